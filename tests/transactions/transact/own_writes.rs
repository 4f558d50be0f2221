//! A run sees its own writes, and the commit does what they come to.

use dynalock::{Error, Result, Retry, Table, Tx, Versioned, transact};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::accounts::Account;
use crate::stage::Stage;

async fn alice(tx: &Tx, accounts: &Table<Account>) -> Result<Option<Account>> {
    tx.get(accounts, "alice").await
}

#[tokio::test]
async fn what_was_saved_or_replaced_is_read_at_the_version_that_was_read() {
    let stage = Stage::with([("alice", 100)]).await;
    let accounts = &stage.accounts;
    transact(&stage.client, async |tx| {
        let mut object = alice(&tx, accounts).await?.unwrap();
        object.balance = 7;
        tx.save(accounts, object.clone())?;
        assert_eq!(alice(&tx, accounts).await?.as_ref(), Some(&object));
        object.balance = 8;
        tx.replace(accounts, object.clone())?;
        assert_eq!(alice(&tx, accounts).await?.as_ref(), Some(&object));
        object.balance = 9;
        tx.save(accounts, object)
    })
    .await
    .unwrap();
    assert_eq!(stage.sent(), ["GetItem alice", "PutItem alice IF version=1"]);
    assert_eq!(stage.stored("alice").await, json!({ "id": "alice", "balance": 9, "version": 2 }));
}

#[tokio::test]
async fn what_was_created_is_there() {
    let stage = Stage::with([]).await;
    let accounts = &stage.accounts;
    transact(&stage.client, async |tx| {
        assert_eq!(alice(&tx, accounts).await?, None);
        tx.create(accounts, Account::new("alice", 1))?;
        let mut object = alice(&tx, accounts).await?.unwrap();
        assert_eq!(object, Account::new("alice", 1));
        object.balance = 2;
        tx.save(accounts, object)
    })
    .await
    .unwrap();
    assert_eq!(stage.sent(), ["GetItem alice", "TransactWriteItems: Put alice IF attribute_not_exists(id)"]);
    assert_eq!(stage.stored("alice").await, json!({ "id": "alice", "balance": 2, "version": 1 }));
}

#[tokio::test]
async fn what_was_deleted_is_gone() {
    let stage = Stage::with([("alice", 100)]).await;
    let accounts = &stage.accounts;
    transact(&stage.client, async |tx| {
        let object = alice(&tx, accounts).await?.unwrap();
        tx.delete(accounts, object)?;
        assert_eq!(alice(&tx, accounts).await?, None);
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_eq!(stage.stored("alice").await, Value::Null);
}

/// The version goes on: somebody who holds the old item must not take the new one for it.
#[tokio::test]
async fn an_item_deleted_and_created_again_is_replaced() {
    let stage = Stage::with([]).await;
    stage.put(json!({ "id": "alice", "balance": 100, "version": 5, "colour": "red" })).await;
    let accounts = &stage.accounts;
    transact(&stage.client, async |tx| {
        let object = alice(&tx, accounts).await?.unwrap();
        tx.delete(accounts, object)?;
        tx.create(accounts, Account::new("alice", 1))?;
        assert_eq!(alice(&tx, accounts).await?.map(|alice| alice.balance), Some(1));
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_eq!(stage.sent(), ["GetItem alice", "PutItem alice IF version=5"]);
    assert_eq!(stage.stored("alice").await, json!({ "id": "alice", "balance": 1, "version": 6 }));
}

#[tokio::test]
async fn an_item_created_and_deleted_again_is_as_if_it_was_only_read() {
    let stage = Stage::with([("bob", 0)]).await;
    let accounts = &stage.accounts;
    transact(&stage.client, async |tx| {
        assert_eq!(alice(&tx, accounts).await?, None);
        tx.create(accounts, Account::new("alice", 1))?;
        let object = alice(&tx, accounts).await?.unwrap();
        tx.delete(accounts, object)?;
        assert_eq!(alice(&tx, accounts).await?, None);
        let bob = tx.get(accounts, "bob").await?.unwrap();
        tx.save(accounts, bob)
    })
    .await
    .unwrap();
    let write =
        "TransactWriteItems: ConditionCheck alice IF attribute_not_exists(id), Update bob IF version=1";
    assert_eq!(stage.sent(), ["GetItem alice", "GetItem bob", write]);
    assert_eq!(stage.stored("alice").await, Value::Null);
}

#[tokio::test]
async fn a_write_is_not_read_back_from_the_store() {
    let stage = Stage::with([]).await;
    let accounts = &stage.accounts;
    transact(&stage.client, async |tx| {
        tx.create(accounts, Account::new("alice", 1))?;
        assert_eq!(alice(&tx, accounts).await?, Some(Account::new("alice", 1)));
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_eq!(stage.sent(), ["TransactWriteItems: Put alice IF attribute_not_exists(id)"]);
}

/// Another struct of the same item, which knows nothing of the balance.
#[derive(Debug, Clone, Serialize, Deserialize, Versioned)]
struct Remark {
    #[dynalock(partition_key)]
    id: String,
    #[serde(default, rename = "note")]
    text: String,
    #[dynalock(version)]
    version: u64,
}

/// What the object does not hold is read, and no default of another struct takes its place.
#[tokio::test]
async fn an_item_that_was_saved_unread_is_read_for_what_the_object_does_not_hold() {
    let stage = Stage::with([("alice", 100)]).await;
    let accounts = &stage.accounts;
    let notes = &Table::<Remark>::new(&stage.client, accounts.name());
    let held = notes.get("alice").await.unwrap().unwrap();
    stage.sent();
    transact(&stage.client, async |tx| {
        tx.save(notes, Remark { text: "n".into(), ..held.clone() })?;
        let Err(Error::AlreadyExists(conflict)) = tx.create(accounts, Account::new("alice", 1)) else {
            panic!()
        };
        assert_eq!(conflict.item(), None, "what is stored is not known yet");
        let mut object = alice(&tx, accounts).await?.unwrap();
        assert_eq!((object.balance, object.version), (100, 1));
        object.balance += 1;
        tx.save(accounts, object)?;
        assert_eq!(alice(&tx, accounts).await?.unwrap().balance, 101);
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_eq!(stage.sent(), ["GetItem alice", "UpdateItem alice IF version=1"]);
    let expected = json!({ "id": "alice", "balance": 101, "note": "n", "version": 2 });
    assert_eq!(stage.stored("alice").await, expected);
}

#[tokio::test]
async fn an_item_that_was_saved_unread_and_is_another_by_now_is_a_conflict() {
    let stage = Stage::with([("alice", 100)]).await;
    let (accounts, notes) = (&stage.accounts, &Table::<Remark>::new(&stage.client, stage.accounts.name()));
    let held = notes.get("alice").await.unwrap().unwrap();
    stage.rival.update("alice", |alice| alice.balance = 7).await.unwrap();
    let ended = transact(&stage.client, async |tx| {
        tx.save(notes, Remark { text: "n".into(), ..held.clone() })?;
        let object = alice(&tx, accounts).await?.unwrap();
        tx.save(accounts, object)
    });
    let Err(Error::Conflict(conflict)) = ended.await else { panic!("it was saved") };
    assert_eq!((conflict.expected(), conflict.actual()), (1, Some(2)));
    assert_eq!(stage.stored("alice").await, json!({ "id": "alice", "balance": 7, "version": 2 }));
}

#[tokio::test]
async fn a_version_that_the_closure_changed_is_ignored() {
    let stage = Stage::with([("alice", 100), ("bob", 0)]).await;
    let accounts = &stage.accounts;
    transact(&stage.client, async |tx| {
        for (id, version) in [("alice", 77), ("bob", 0)] {
            let mut object = tx.get(accounts, id).await?.unwrap();
            object.version = version;
            tx.save(accounts, object)?;
            assert_eq!(tx.get(accounts, id).await?.unwrap().version, 1);
        }
        let mut carol = Account::new("carol", 1);
        carol.version = 99;
        tx.create(accounts, carol)
    })
    .await
    .unwrap();
    let write = "TransactWriteItems: Update alice IF version=1, Update bob IF version=1, \
                 Put carol IF attribute_not_exists(id)";
    assert_eq!(stage.sent()[2..], [write]);
    for (id, version) in [("alice", 2), ("bob", 2), ("carol", 1)] {
        assert_eq!(stage.stored(id).await["version"], version, "{id}");
    }
}

#[tokio::test]
async fn an_absence_that_only_a_create_assumed_is_checked() {
    let stage = Stage::with([("alice", 100)]).await;
    let accounts = &stage.accounts;
    let seen = transact(&stage.client, async |tx| {
        tx.create(accounts, Account::new("alice", 1))?;
        tx.delete(accounts, Account::new("alice", 1))?;
        tx.get(accounts, "alice").await
    })
    .retry(Retry::none())
    .await;
    assert!(matches!(seen, Err(Error::AlreadyExists(_) | Error::Conflict(_))), "{seen:?}");
}

#[tokio::test]
async fn a_create_that_is_refused_may_be_answered_by_a_save() {
    let stage = Stage::with([("alice", 100)]).await;
    let accounts = &stage.accounts;
    transact(&stage.client, async |tx| {
        let stored = tx.get(accounts, "alice").await?;
        match tx.create(accounts, Account::new("alice", 1)) {
            Err(Error::AlreadyExists(_)) => tx.save(accounts, Account { balance: 1, ..stored.unwrap() }),
            created => created,
        }
    })
    .await
    .unwrap();
}
