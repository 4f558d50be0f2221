//! Row 51: an object from elsewhere that is older than what the run read is another state, and never written over it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use dynalock::{Error, Result, Table, Tx, transact};
use serde_json::{Value, json};

use crate::accounts::Account;
use crate::stage::Stage;

/// A write of an object.
type Write = fn(&Tx, &Table<Account>, Account) -> Result<()>;

const WRITES: [(&str, Write); 3] = [
    ("save", |tx, accounts, object| tx.save(accounts, object)),
    ("replace", |tx, accounts, object| tx.replace(accounts, object)),
    ("delete", |tx, accounts, object| tx.delete(accounts, object)),
];

/// Alice's account as it was at version 1; somebody has written it since, and bob's is at version 1.
async fn stage() -> (Stage, Account) {
    let stage = Stage::with([("alice", 100), ("bob", 0)]).await;
    let held = stage.rival.get("alice").await.unwrap().unwrap();
    stage.rival.update("alice", |alice| alice.balance = 7).await.unwrap();
    (stage, held)
}

async fn alice(stage: &Stage) -> Value {
    stage.stored("alice").await
}

fn theirs() -> Value {
    json!({ "id": "alice", "balance": 7, "version": 2 })
}

fn assert_conflict(error: &Error, stage: &Stage) {
    let Error::Conflict(conflict) = error else { panic!("{error:?}") };
    assert_eq!(
        (conflict.table(), conflict.expected(), conflict.actual()),
        (stage.accounts.name(), 1, Some(2))
    );
    assert_eq!(*conflict.key(), serde_dynamo::to_item(json!({ "id": "alice" })).unwrap());
    assert_eq!(conflict.current::<Account>().unwrap().balance, 7);
}

#[tokio::test]
async fn an_object_older_than_what_the_run_read_is_a_conflict_and_runs_no_closure_again() {
    for (name, write) in WRITES {
        for reads_bob in [false, true] {
            let (stage, held) = stage().await;
            let (accounts, runs) = (&stage.accounts, AtomicU32::new(0));
            let written = transact(&stage.client, async |tx| {
                runs.fetch_add(1, Ordering::Relaxed);
                assert_eq!(tx.get(accounts, "alice").await?.unwrap().version, 2);
                if reads_bob {
                    let mut bob = tx.get(accounts, "bob").await?.unwrap();
                    bob.balance += 1;
                    tx.save(accounts, bob)?;
                }
                write(&tx, accounts, held.clone())
            })
            .await;
            assert_conflict(&written.expect_err(name), &stage);
            assert_eq!((runs.into_inner(), alice(&stage).await), (1, theirs()), "{name}");
            assert_eq!(stage.stored("bob").await["version"], 1, "{name}");
            let sent = stage.sent();
            assert!(!sent.iter().any(|sent| sent.contains("IF")), "{name}: {sent:?}");
        }
    }
}

#[tokio::test]
async fn the_conflict_may_be_answered_by_a_write_of_what_was_read() {
    for (name, write) in WRITES {
        let (stage, held) = stage().await;
        let accounts = &stage.accounts;
        transact(&stage.client, async |tx| {
            tx.get(accounts, "alice").await?;
            let Err(Error::Conflict(conflict)) = write(&tx, accounts, held.clone()) else { panic!("{name}") };
            let mut current = conflict.current::<Account>()?;
            current.balance += 1;
            tx.save(accounts, current)
        })
        .await
        .unwrap();
        assert_eq!(stage.sent(), ["GetItem alice", "UpdateItem alice IF version=2"], "{name}");
        assert_eq!(alice(&stage).await, json!({ "id": "alice", "balance": 8, "version": 3 }), "{name}");
    }
}

#[tokio::test]
async fn the_refused_write_leaves_no_trace() {
    for (name, write) in WRITES {
        let (stage, held) = stage().await;
        let accounts = &stage.accounts;
        transact(&stage.client, async |tx| {
            let mut object = tx.get(accounts, "alice").await?.unwrap();
            object.balance = 50;
            tx.save(accounts, object.clone())?;
            // Also on top of the run's own write, which it must not undo.
            let refused = write(&tx, accounts, held.clone());
            assert!(matches!(refused, Err(Error::Conflict(_))), "{name}: {refused:?}");
            assert_eq!(tx.get(accounts, "alice").await?, Some(object), "{name}");
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
        assert_eq!(alice(&stage).await, json!({ "id": "alice", "balance": 50, "version": 3 }), "{name}");
    }
}

/// The first object says which version is expected; nothing was read that could be told.
#[tokio::test]
async fn an_object_older_than_one_that_was_written_unread_is_a_conflict_without_an_item() {
    for (name, write) in WRITES {
        let (stage, held) = stage().await;
        let accounts = &stage.accounts;
        transact(&stage.client, async |tx| {
            tx.save(accounts, Account { balance: 9, version: 2, ..held.clone() })?;
            let Err(Error::Conflict(conflict)) = write(&tx, accounts, held.clone()) else { panic!("{name}") };
            assert_eq!((conflict.expected(), conflict.item()), (1, None), "{name}");
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
        assert_eq!(stage.sent(), ["UpdateItem alice IF version=2"], "{name}");
        assert_eq!(alice(&stage).await, json!({ "id": "alice", "balance": 9, "version": 3 }), "{name}");
    }
}

/// A conflict makes the closure run again on what the refusal returned; what it kept of the run before is older.
#[tokio::test]
async fn an_object_that_the_closure_kept_from_the_run_before_is_a_conflict() {
    for (name, write) in WRITES {
        let stage = Stage::with([("alice", 100)]).await;
        let (accounts, kept, runs) = (&stage.accounts, Mutex::new(None), AtomicU32::new(0));
        let written = transact(&stage.client, async |tx| {
            let object = tx.get(accounts, "alice").await?.unwrap();
            if runs.fetch_add(1, Ordering::Relaxed) == 0 {
                stage.rival.update("alice", |alice| alice.balance = 7).await?;
            }
            let first = kept.lock().unwrap().get_or_insert(object).clone();
            write(&tx, accounts, first)
        })
        .await;
        assert_conflict(&written.expect_err(name), &stage);
        assert_eq!((runs.into_inner(), alice(&stage).await), (2, theirs()), "{name}");
    }
}

/// A create makes a new object of it, whatever its version.
#[tokio::test]
async fn an_older_object_may_be_created_where_the_run_deleted_the_item() {
    let (stage, held) = stage().await;
    let accounts = &stage.accounts;
    transact(&stage.client, async |tx| {
        let object = tx.get(accounts, "alice").await?.unwrap();
        tx.delete(accounts, object)?;
        tx.create(accounts, held.clone())
    })
    .await
    .unwrap();
    assert_eq!(alice(&stage).await, json!({ "id": "alice", "balance": 100, "version": 3 }));
}

/// There is no version to be older than.
#[tokio::test]
async fn an_object_with_a_version_may_be_saved_over_what_the_run_created() {
    let stage = Stage::with([]).await;
    let accounts = &stage.accounts;
    transact(&stage.client, async |tx| {
        assert_eq!(tx.get(accounts, "alice").await?, None);
        tx.create(accounts, Account::new("alice", 1))?;
        tx.save(accounts, Account { version: 1, ..Account::new("alice", 2) })
    })
    .await
    .unwrap();
    assert_eq!(alice(&stage).await, json!({ "id": "alice", "balance": 2, "version": 1 }));
}
