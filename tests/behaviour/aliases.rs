//! Items that were stored under another name, which a `#[serde(alias)]` reads.

use std::collections::BTreeMap;

use dynalock::{Error, Table, Transaction, Versioned};
use dynalock_tests::engines;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::fixtures::Stage;

/// `balance` was once called `sum`, and `note` was called `remark` or `memo`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
#[dynalock(stamps = 0)]
struct Account {
    #[dynalock(partition_key)]
    id: String,
    #[serde(alias = "sum")]
    balance: i64,
    #[serde(alias = "remark", alias = "memo", default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[dynalock(version)]
    version: u64,
}

/// Alice's account, as an older application has stored it.
fn older() -> Value {
    json!({ "id": "alice", "sum": 100, "memo": "old", "version": 1, "colour": "red" })
}

async fn stage() -> (Stage, Table<Account>) {
    let (stage, accounts) = Stage::of::<Account>().await;
    stage.put(older()).await;
    (stage, accounts)
}

/// What is stored fits the struct, and is the object.
async fn is_stored(stage: &Stage, accounts: &Table<Account>, expected: Value) {
    assert_eq!(stage.stored_alice().await, expected);
    let read = accounts.get("alice").await.expect("no name stands twice").expect("there is an item");
    assert_eq!((read.balance, read.version), (expected["balance"].as_i64().unwrap_or(100), 2));
    assert_eq!(json!(read.note), expected.get("note").or(expected.get("memo")).cloned().unwrap_or_default());
}

#[tokio::test]
async fn a_save_moves_an_item_to_the_new_names() {
    let (stage, accounts) = stage().await;
    let mut account = accounts.get("alice").await.unwrap().unwrap();
    assert_eq!((account.balance, account.note.as_deref()), (100, Some("old")));
    accounts.save(&mut account).await.unwrap();
    let stored = json!({ "id": "alice", "balance": 100, "note": "old", "version": 2, "colour": "red" });
    is_stored(&stage, &accounts, stored).await;
}

#[tokio::test]
async fn an_update_moves_what_it_changes() {
    let (stage, accounts) = stage().await;
    accounts.update("alice", |account| account.balance += 7).await.unwrap();
    let stored = json!({ "id": "alice", "balance": 107, "memo": "old", "version": 2, "colour": "red" });
    is_stored(&stage, &accounts, stored).await;
}

/// The old name would give the field its old value back.
#[tokio::test]
async fn what_is_cleared_is_gone_under_every_name() {
    let (stage, accounts) = stage().await;
    accounts.update("alice", |account| account.note = None).await.unwrap();
    let stored = json!({ "id": "alice", "sum": 100, "version": 2, "colour": "red" });
    is_stored(&stage, &accounts, stored).await;

    stage.put(older()).await;
    let mut account = accounts.get("alice").await.unwrap().unwrap();
    account.note = None;
    accounts.save(&mut account).await.unwrap();
    let stored = json!({ "id": "alice", "balance": 100, "version": 2, "colour": "red" });
    is_stored(&stage, &accounts, stored).await;
}

#[tokio::test]
async fn changes_that_share_a_write_move_it_once() {
    let (stage, accounts) = stage().await;
    let accounts = accounts.coalescing();
    let add = |cents| accounts.update("alice", move |account| account.balance += cents);
    let note = accounts.update("alice", |account| account.note = Some("new".into()));
    // The others come while the first one reads.
    let (first, second, third, fourth) = tokio::join!(add(1), add(2), note, add(4));
    first.and(second).and(third).and(fourth).unwrap();
    let stored = json!({ "id": "alice", "balance": 107, "note": "new", "version": 2, "colour": "red" });
    is_stored(&stage, &accounts, stored).await;
}

#[tokio::test]
async fn a_transaction_moves_what_it_writes() {
    if engines::skipped(&["dynalite"], engines::NO_TRANSACTIONS) {
        return;
    }
    let (stage, accounts) = stage().await;
    let mut account = accounts.get("alice").await.unwrap().unwrap();
    account.balance += 7;
    Transaction::new(&stage.client).save(&accounts, &mut account).commit().await.unwrap();
    let stored = json!({ "id": "alice", "balance": 107, "note": "old", "version": 2, "colour": "red" });
    is_stored(&stage, &accounts, stored).await;
}

/// Reading would give the entry's value to `balance`.
#[tokio::test]
async fn a_flattened_entry_under_another_name_of_a_field_is_refused() {
    #[derive(Serialize, Deserialize, Versioned)]
    #[dynalock(stamps = 0)]
    struct Open {
        #[dynalock(partition_key)]
        id: String,
        #[serde(alias = "sum")]
        balance: i64,
        #[dynalock(version)]
        version: u64,
        #[serde(flatten)]
        rest: BTreeMap<String, Value>,
    }

    let (stage, accounts) = Stage::of::<Open>().await;
    stage.put(older()).await;
    let change = |account: &mut Open| _ = account.rest.insert("sum".into(), json!(5));
    let error = accounts.update("alice", change).await.err().expect("it is refused");
    assert!(matches!(&error, Error::InvalidItem { attribute, .. } if &**attribute == "sum"), "{error:?}");
    assert_eq!(stage.stored_alice().await, older());
    accounts.update("alice", |account| account.balance += 7).await.expect("what was read has no such entry");
    let stored = json!({ "id": "alice", "balance": 107, "memo": "old", "version": 2, "colour": "red" });
    assert_eq!(stage.stored_alice().await, stored);
}
