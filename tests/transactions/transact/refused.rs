//! Writes and runs that are refused before anything is sent for them.

use std::sync::Mutex;

use dynalock::{Error, Retry, transact};

use crate::accounts::{Account, Refused};
use crate::stage::Stage;

#[tokio::test]
async fn a_run_that_ignores_an_invalid_write_commits_nothing() {
    let stage = Stage::with([("alice", 100), ("bob", 0)]).await;
    let accounts = &stage.accounts;
    let committed = transact(&stage.client, async |tx| {
        let mut alice = tx.get(accounts, "alice").await?.unwrap();
        alice.balance = 7;
        tx.save(accounts, alice)?;
        tx.get(accounts, "bob").await?;
        let _ = tx.create(accounts, Account::new("", 1));
        Ok::<_, Error>(())
    })
    .await;
    assert!(matches!(committed, Err(Error::InvalidRequest { .. })), "{committed:?}");
    assert_eq!(stage.sent(), ["GetItem alice", "GetItem bob"]);
    assert_eq!(stage.rival.get("alice").await.unwrap().unwrap().version, 1);
}

#[tokio::test]
async fn what_a_run_has_read_or_written_cannot_be_created() {
    let stage = Stage::with([("alice", 100)]).await;
    let accounts = &stage.accounts;
    let refused = transact(&stage.client, async |tx| {
        tx.create(accounts, Account::new("carol", 1))?;
        let again = tx.create(accounts, Account::new("carol", 2)).unwrap_err();
        assert!(matches!(again, Error::AlreadyExists(_)), "{again:?}");
        assert_eq!(tx.get(accounts, "carol").await?, Some(Account::new("carol", 1)), "as it was before");
        tx.get(accounts, "alice").await?;
        tx.create(accounts, Account::new("alice", 1))
    })
    .await;
    let Err(Error::AlreadyExists(conflict)) = refused else { panic!("{refused:?}") };
    assert_eq!((conflict.table(), conflict.actual()), (accounts.name(), Some(1)));
    assert_eq!(stage.sent(), ["GetItem alice"], "the answer rests on one item");
}

#[tokio::test]
async fn what_a_run_did_not_find_cannot_be_changed() {
    let stage = Stage::with([("alice", 100)]).await;
    let accounts = &stage.accounts;
    let refused = transact(&stage.client, async |tx| {
        assert_eq!(tx.get(accounts, "nobody").await?, None);
        let alice = tx.get(accounts, "alice").await?.unwrap();
        tx.delete(accounts, alice.clone())?;
        for object in [Account::new("nobody", 1), alice] {
            for refused in [
                tx.save(accounts, object.clone()),
                tx.replace(accounts, object.clone()),
                tx.delete(accounts, object),
            ] {
                assert!(matches!(refused, Err(Error::NotFound)), "{refused:?}");
            }
        }
        Err::<(), _>(Refused::NoAccount)
    })
    .await;
    assert!(matches!(refused, Err(Refused::NoAccount)), "{refused:?}");
    assert_eq!(stage.rival.get("alice").await.unwrap().unwrap().version, 1);
}

#[tokio::test]
async fn a_tx_that_outlives_its_run_does_nothing() {
    let stage = Stage::with([("alice", 100)]).await;
    let (accounts, kept) = (&stage.accounts, Mutex::new(None));
    for run_is_ok in [true, false] {
        let answer = transact(&stage.client, async |tx| {
            let alice = tx.get(accounts, "alice").await?.unwrap();
            *kept.lock().unwrap() = Some((tx, alice));
            if run_is_ok { Ok(()) } else { Err(Refused::Overdrawn) }
        })
        .await;
        assert_eq!(answer.is_ok(), run_is_ok);
        let (tx, alice) = kept.lock().unwrap().take().unwrap();
        let _ = stage.sent();
        let read = tx.get(accounts, "alice").await.map(drop);
        let writes = [
            tx.create(accounts, Account::new("bob", 1)),
            tx.save(accounts, alice.clone()),
            tx.replace(accounts, alice.clone()),
            tx.delete(accounts, alice),
        ];
        for refused in writes.into_iter().chain([read]) {
            assert!(matches!(refused, Err(Error::InvalidRequest { .. })), "{refused:?}");
        }
        assert_eq!(stage.sent(), [""; 0]);
    }
}

#[tokio::test]
async fn a_hundred_items_are_written_together_and_not_one_more() {
    let stage = Stage::with([]).await;
    let accounts = &stage.accounts;
    let create = async |many: usize, last: Result<(), Refused>| {
        transact(&stage.client, async |tx| {
            for number in 0..many {
                tx.create(accounts, Account::new(&format!("{many} {number}"), 1))?;
            }
            match &last {
                Ok(()) => Ok(()),
                Err(_) => Err(Refused::Overdrawn),
            }
        })
        .await
    };
    create(100, Ok(())).await.unwrap();
    assert_eq!(stage.rival.get("100 99").await.unwrap().unwrap().version, 1);
    let _ = stage.sent();
    let refused = create(101, Ok(())).await;
    assert!(matches!(refused, Err(Refused::Failed(Error::InvalidRequest { .. }))), "{refused:?}");
    let refused = create(101, Err(Refused::Overdrawn)).await;
    assert!(matches!(refused, Err(Refused::Overdrawn)), "what is not written is not too much: {refused:?}");
    assert_eq!(stage.sent(), [""; 0]);
    assert_eq!(stage.rival.get("101 0").await.unwrap(), None);
}

#[tokio::test]
async fn a_hundred_items_are_read_together_and_not_one_more() {
    let stage = Stage::with([]).await;
    let accounts = &stage.accounts;
    let read = async |many: usize| {
        transact(&stage.client, async |tx| {
            for number in 0..many {
                assert_eq!(tx.get(accounts, &number.to_string()).await?, None);
            }
            Ok::<_, Error>(())
        })
        .await
    };
    read(100).await.unwrap();
    let refused = read(101).await;
    assert!(matches!(refused, Err(Error::InvalidRequest { .. })), "{refused:?}");
    assert_eq!(refused.unwrap_err().to_string(), "the transaction touches 101 items, but may touch 100");
}

#[tokio::test]
async fn objects_from_elsewhere_are_written_under_the_conditions_of_the_table_calls() {
    let stage = Stage::with([("alice", 100), ("bob", 0), ("carol", 0)]).await;
    let accounts = &stage.accounts;
    let held: Vec<_> = accounts.get_many(["alice", "bob", "carol"]).await.unwrap();
    let [Some(alice), Some(bob), Some(carol)] = &held[..] else { panic!("{held:?}") };
    let _ = stage.sent();
    let write = async || {
        transact(&stage.client, async |tx| {
            tx.save(accounts, alice.clone())?;
            tx.replace(accounts, bob.clone())?;
            tx.delete(accounts, carol.clone())
        })
        .retry(Retry::none())
        .await
    };
    write().await.unwrap();
    let request =
        "TransactWriteItems: Update alice IF version=1, Put bob IF version=1, Delete carol IF version=1";
    assert_eq!(stage.sent(), [request]);
    let error = write().await.unwrap_err();
    let Error::Conflict(conflict) = error else { panic!("{error:?}") };
    assert_eq!((conflict.expected(), conflict.actual(), conflict.other_refusals().len()), (1, Some(2), 2));
}
