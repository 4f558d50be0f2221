//! What a run reads is remembered, and stays as it is until the run ends.

use std::sync::atomic::{AtomicU32, Ordering};

use dynalock::{Error, transact};

use crate::accounts::Account;
use crate::stage::Stage;

#[tokio::test]
async fn an_item_is_read_once_however_often_it_is_asked_for() {
    let stage = Stage::with([("alice", 100)]).await;
    let (accounts, name) = (&stage.accounts, "alice".to_owned());
    let same_table = stage.table();
    transact(&stage.client, async |tx| {
        let alice = tx.get(accounts, "alice").await?;
        assert!(alice.is_some());
        assert_eq!(tx.get(accounts, &name).await?, alice);
        assert_eq!(tx.get(&same_table, "alice").await?, alice);
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_eq!(stage.sent(), ["GetItem alice"]);
}

#[tokio::test]
async fn that_there_is_no_item_is_remembered_too() {
    let stage = Stage::with([]).await;
    let (accounts, runs) = (&stage.accounts, AtomicU32::new(0));
    let seen = transact(&stage.client, async |tx| {
        let before = tx.get(accounts, "alice").await?;
        if runs.fetch_add(1, Ordering::Relaxed) == 0 {
            stage.rival.create(&mut Account::new("alice", 1)).await?;
        }
        assert_eq!(tx.get(accounts, "alice").await?, before);
        // A second item, so that the absence of the first is checked.
        tx.get(accounts, "bob").await?;
        Ok::<_, Error>(before.map(|alice| alice.balance))
    })
    .await
    .unwrap();
    assert_eq!((seen, runs.into_inner()), (Some(1), 2), "the run that saw no item does not count");
}

#[tokio::test]
async fn a_rival_does_not_change_what_a_run_has_read() {
    let stage = Stage::with([("alice", 100)]).await;
    let (accounts, runs) = (&stage.accounts, AtomicU32::new(0));
    let left = transact(&stage.client, async |tx| {
        let before = tx.get(accounts, "alice").await?;
        if runs.fetch_add(1, Ordering::Relaxed) == 0 {
            stage.rival.update("alice", |alice| alice.balance += 5).await?;
        }
        let again = tx.get(accounts, "alice").await?;
        assert_eq!(again, before);
        let mut alice = again.unwrap();
        alice.balance -= 1;
        let left = alice.balance;
        tx.save(accounts, alice)?;
        Ok::<_, Error>(left)
    })
    .await
    .unwrap();
    assert_eq!((left, runs.into_inner()), (104, 2), "the second run reads afresh");
    assert_eq!(stage.stored("alice").await["balance"], 104);
}

#[tokio::test]
async fn reads_of_one_run_may_be_under_way_at_once() {
    let stage = Stage::with([("alice", 100), ("bob", 3)]).await;
    let accounts = &stage.accounts;
    let total = transact(&stage.client, async |tx| {
        let (alice, bob, again, nobody) = tokio::try_join!(
            tx.get(accounts, "alice"),
            tx.get(accounts, "bob"),
            tx.get(accounts, "alice"),
            tx.get(accounts, "nobody"),
        )?;
        assert_eq!((&again, nobody), (&alice, None));
        let (mut alice, bob) = (alice.unwrap(), bob.unwrap());
        alice.balance += bob.balance;
        let total = alice.balance;
        tx.save(accounts, alice)?;
        tx.delete(accounts, bob)?;
        Ok::<_, Error>(total)
    })
    .await
    .unwrap();
    assert_eq!(total, 103);
    let written = stage.sent().pop().unwrap();
    for action in ["Update alice IF version=1", "Delete bob IF version=1"] {
        assert!(written.contains(action), "{written}");
    }
    assert!(written.contains("ConditionCheck nobody IF attribute_not_exists(id)"), "{written}");
}

/// Both are on their way when the first is answered, and a rival writes in between.
#[tokio::test]
async fn the_same_item_read_twice_at_once_is_the_same() {
    let stage = Stage::with([("alice", 100)]).await;
    let (accounts, runs) = (&stage.accounts, AtomicU32::new(0));
    transact(&stage.client, async |tx| {
        let first = runs.fetch_add(1, Ordering::Relaxed) == 0;
        let read = || async {
            let before = tx.get(accounts, "alice").await?;
            if first {
                stage.rival.update("alice", |alice| alice.balance += 1).await?;
            }
            Ok::<_, Error>((before, tx.get(accounts, "alice").await?))
        };
        let (one, other) = tokio::try_join!(read(), read())?;
        assert_eq!(one, other);
        assert_eq!(one.0, one.1);
        tx.save(accounts, one.0.unwrap())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn each_run_begins_without_what_earlier_ones_read_and_wrote() {
    let stage = Stage::with([("alice", 100), ("bob", 0)]).await;
    let (accounts, runs) = (&stage.accounts, AtomicU32::new(0));
    transact(&stage.client, async |tx| {
        let mut alice = tx.get(accounts, "alice").await?.unwrap();
        if runs.fetch_add(1, Ordering::Relaxed) == 0 {
            tx.get(accounts, "bob").await?;
            tx.create(accounts, Account::new("carol", 1))?;
            stage.rival.update("alice", |alice| alice.balance += 5).await?;
        }
        alice.balance += 1;
        tx.save(accounts, alice)
    })
    .await
    .unwrap();
    assert_eq!(stage.sent().pop().unwrap(), "UpdateItem alice IF version=2");
    assert_eq!(stage.stored("alice").await["balance"], 106);
    assert_eq!(stage.rival.get("carol").await.unwrap(), None);
}
