//! Attributes that a struct leaves out, attributes that it does not know, and structs that share a table.

use dynalock::{Error, Versioned, transact};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::accounts::Account;
use crate::stage::Stage;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
struct Noted {
    #[dynalock(partition_key)]
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[dynalock(version)]
    version: u64,
}

/// Alice's account with a note, as an application that knows more has stored it.
async fn stage() -> Stage {
    let stage = Stage::with([]).await;
    stage.put(json!({ "id": "alice", "balance": 100, "note": "old", "colour": "red", "version": 1 })).await;
    stage
}

#[tokio::test]
async fn a_save_keeps_what_the_struct_does_not_know_and_removes_what_it_left_out() {
    let stage = stage().await;
    let notes = stage.table::<Noted>();
    transact(&stage.client, async |tx| {
        let mut alice = tx.get(&notes, "alice").await?.unwrap();
        alice.note = None;
        tx.save(&notes, alice.clone())?;
        assert_eq!(tx.get(&notes, "alice").await?, Some(alice));
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    let stored = json!({ "id": "alice", "balance": 100, "colour": "red", "version": 2 });
    assert_eq!(stage.stored("alice").await, stored);
}

#[tokio::test]
async fn a_replace_drops_what_the_struct_does_not_know_and_a_later_save_does_not_bring_it_back() {
    for saved_again in [false, true] {
        let stage = stage().await;
        let notes = stage.table::<Noted>();
        transact(&stage.client, async |tx| {
            let mut alice = tx.get(&notes, "alice").await?.unwrap();
            tx.replace(&notes, alice.clone())?;
            if saved_again {
                alice.note = Some("new".into());
                tx.save(&notes, alice)?;
            }
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
        let note = if saved_again { "new" } else { "old" };
        assert_eq!(stage.stored("alice").await, json!({ "id": "alice", "note": note, "version": 2 }));
    }
}

#[tokio::test]
async fn a_save_after_a_save_does_what_the_last_one_says() {
    let stage = stage().await;
    let notes = stage.table::<Noted>();
    transact(&stage.client, async |tx| {
        let mut alice = tx.get(&notes, "alice").await?.unwrap();
        for note in [Some("new".to_owned()), None] {
            alice.note = note;
            tx.save(&notes, alice.clone())?;
            assert_eq!(tx.get(&notes, "alice").await?.as_ref(), Some(&alice));
        }
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_eq!(stage.stored("alice").await["note"], Value::Null);
}

#[tokio::test]
async fn items_of_two_structs_in_one_table_are_written_together() {
    let stage = stage().await;
    stage.put(json!({ "id": "note", "note": "old", "version": 3 })).await;
    let (accounts, notes) = (&stage.accounts, stage.table::<Noted>());
    transact(&stage.client, async |tx| {
        let mut alice = tx.get(accounts, "alice").await?.unwrap();
        let mut note = tx.get(&notes, "note").await?.unwrap();
        alice.balance = 7;
        note.note = Some("new".into());
        tx.save(accounts, alice)?;
        tx.save(&notes, note)
    })
    .await
    .unwrap();
    let write = "TransactWriteItems: Update alice IF version=1, Update note IF version=3";
    assert_eq!(stage.sent()[2..], [write]);
    let stored = json!({ "id": "alice", "balance": 7, "note": "old", "colour": "red", "version": 2 });
    assert_eq!(stage.stored("alice").await, stored);
    assert_eq!(stage.stored("note").await, json!({ "id": "note", "note": "new", "version": 4 }));
}

/// The two structs know different attributes of the same item.
#[tokio::test]
async fn an_item_read_as_one_struct_is_the_same_as_another() {
    let stage = stage().await;
    let (accounts, notes) = (&stage.accounts, stage.table::<Noted>());
    transact(&stage.client, async |tx| {
        let mut alice: Account = tx.get(accounts, "alice").await?.unwrap();
        let with_note = tx.get(&notes, "alice").await?.unwrap();
        assert_eq!((with_note.note.as_deref(), with_note.version), (Some("old"), 1));
        alice.balance = 7;
        tx.save(accounts, alice)?;
        assert_eq!(tx.get(&notes, "alice").await?, Some(with_note));
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_eq!(stage.sent(), ["GetItem alice", "UpdateItem alice IF version=1"]);
}

#[tokio::test]
async fn an_item_saved_as_two_structs_is_stored_as_the_run_saw_it() {
    let stage = stage().await;
    let (accounts, notes) = (&stage.accounts, stage.table::<Noted>());
    transact(&stage.client, async |tx| {
        let mut alice = tx.get(accounts, "alice").await?.unwrap();
        alice.balance = 7;
        tx.save(accounts, alice)?;
        let mut with_note = tx.get(&notes, "alice").await?.unwrap();
        with_note.note = Some("new".into());
        tx.save(&notes, with_note)?;
        assert_eq!(tx.get(accounts, "alice").await?.unwrap().balance, 7);
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    let stored = json!({ "id": "alice", "balance": 7, "note": "new", "colour": "red", "version": 2 });
    assert_eq!(stage.stored("alice").await, stored);
}

#[tokio::test]
async fn an_item_created_as_one_struct_and_saved_as_another_has_the_attributes_of_both() {
    let stage = Stage::with([]).await;
    let (accounts, notes) = (&stage.accounts, stage.table::<Noted>());
    transact(&stage.client, async |tx| {
        tx.create(accounts, Account::new("alice", 7))?;
        let mut with_note = tx.get(&notes, "alice").await?.unwrap();
        with_note.note = Some("new".into());
        tx.save(&notes, with_note)
    })
    .await
    .unwrap();
    assert_eq!(
        stage.stored("alice").await,
        json!({ "id": "alice", "balance": 7, "note": "new", "version": 1 })
    );
}
