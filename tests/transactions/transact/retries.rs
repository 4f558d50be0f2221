//! How often a closure runs, and what is said when it ran in vain.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dynalock::{Error, Result, Retry, Tx, transact};

use crate::accounts::{Account, Refused};
use crate::stage::Stage;

/// Five attempts, without long waits.
fn five() -> Retry {
    Retry::default().attempts(5).backoff(Duration::from_millis(1), Duration::from_millis(5))
}

/// Reads alice's account and counts the run; then a rival is faster.
async fn read_too_early(tx: &Tx, stage: &Stage, runs: &AtomicU32) -> Result<Account> {
    runs.fetch_add(1, Ordering::Relaxed);
    let alice = tx.get(&stage.accounts, "alice").await?.unwrap();
    stage.rival.update("alice", |alice| alice.balance += 1).await?;
    Ok(alice)
}

#[tokio::test]
async fn conflicts_end_with_the_attempts_and_name_what_is_stored() {
    let stage = Stage::with([("alice", 100), ("bob", 0)]).await;
    let accounts = &stage.accounts;
    for reads_bob in [false, true] {
        let (before, runs) = (stage.rival.get("alice").await.unwrap().unwrap(), AtomicU32::new(0));
        let saved = transact(&stage.client, async |tx| {
            let alice = read_too_early(&tx, &stage, &runs).await?;
            if reads_bob {
                tx.get(accounts, "bob").await?;
            }
            tx.save(accounts, alice)
        })
        .retry(five())
        .await;
        assert_eq!(runs.into_inner(), 5);
        let Err(Error::Conflict(conflict)) = saved else { panic!("{saved:?}") };
        let (expected, actual) = (before.version + 4, before.version + 5);
        assert_eq!((conflict.expected(), conflict.actual()), (expected, Some(actual)));
        assert_eq!(conflict.current::<Account>().unwrap().balance, before.balance + 5);
        assert_eq!(conflict.action_index(), reads_bob.then_some(0), "an action only of a transaction");
    }
    assert_eq!(stage.stored("alice").await["balance"], 110, "only the rival has written");
}

/// The refusal returned all items as they were at one moment, so the second run needs no third.
#[tokio::test]
async fn a_run_that_only_reads_is_refused_once_however_busy_the_rival() {
    let stage = Stage::with([("alice", 100), ("bob", 0)]).await;
    let runs = AtomicU32::new(0);
    let read = transact(&stage.client, async |tx| {
        let alice = read_too_early(&tx, &stage, &runs).await?;
        Ok::<_, Refused>((alice, tx.get(&stage.accounts, "bob").await?))
    });
    let (alice, bob) = read.retry(five()).await.unwrap();
    assert_eq!((runs.into_inner(), alice.version, bob.unwrap().version), (2, 2, 1));
}

#[tokio::test]
async fn a_refusal_that_rests_on_no_one_state_is_run_once_more() {
    let stage = Stage::with([("alice", 100), ("bob", 0)]).await;
    let runs = AtomicU32::new(0);
    let refused = transact(&stage.client, async |tx| {
        read_too_early(&tx, &stage, &runs).await?;
        tx.get(&stage.accounts, "bob").await?;
        Err::<(), _>(Refused::Overdrawn)
    })
    .retry(five())
    .await;
    assert!(matches!(refused, Err(Refused::Overdrawn)), "{refused:?}");
    assert_eq!(runs.into_inner(), 2);
}

#[tokio::test]
async fn an_item_that_a_rival_creates_each_time_is_reported_as_there() {
    let stage = Stage::with([]).await;
    let (accounts, runs) = (&stage.accounts, AtomicU32::new(0));
    let created = transact(&stage.client, async |tx| {
        let id = runs.fetch_add(1, Ordering::Relaxed).to_string();
        assert_eq!(tx.get(accounts, &id).await?, None);
        stage.rival.create(&mut Account::new(&id, 1)).await?;
        tx.create(accounts, Account::new(&id, 2))
    })
    .retry(five())
    .await;
    let Err(Error::AlreadyExists(conflict)) = created else { panic!("{created:?}") };
    assert_eq!((runs.into_inner(), conflict.current::<Account>().unwrap().balance), (5, 1));
}

#[tokio::test]
async fn without_retries_the_first_conflict_is_the_answer() {
    let stage = Stage::with([("alice", 100)]).await;
    let runs = AtomicU32::new(0);
    let saved = transact(&stage.client, async |tx| {
        let alice = read_too_early(&tx, &stage, &runs).await?;
        tx.save(&stage.accounts, alice)
    })
    .retry(Retry::none())
    .await;
    assert!(matches!(saved, Err(Error::Conflict(_))), "{saved:?}");
    assert_eq!(runs.into_inner(), 1);
}

#[tokio::test]
async fn an_item_that_was_deleted_since_it_was_read_is_a_conflict() {
    let stage = Stage::with([("alice", 100)]).await;
    let (accounts, runs) = (&stage.accounts, AtomicU32::new(0));
    let seen = transact(&stage.client, async |tx| {
        let Some(alice) = tx.get(accounts, "alice").await? else { return Ok(None) };
        if runs.fetch_add(1, Ordering::Relaxed) == 0 {
            stage.rival.delete(&alice).await?;
        }
        let balance = alice.balance;
        tx.save(accounts, alice)?;
        Ok::<_, Error>(Some(balance))
    })
    .await
    .unwrap();
    assert_eq!((seen, runs.into_inner()), (None, 1), "the second run finds no item");
    assert_eq!(stage.rival.get("alice").await.unwrap(), None);
}

#[tokio::test]
async fn an_undisturbed_closure_runs_once_whatever_it_returns() {
    let stage = Stage::with([("alice", 100), ("bob", 0)]).await;
    let (accounts, runs) = (&stage.accounts, AtomicU32::new(0));
    for refuses in [false, true] {
        let answer = transact(&stage.client, async |tx| {
            runs.fetch_add(1, Ordering::Relaxed);
            let (alice, bob) = tokio::try_join!(tx.get(accounts, "alice"), tx.get(accounts, "bob"))?;
            if refuses {
                // Not a conflict of the store's, whatever it looks like.
                return tx.create(accounts, bob.unwrap());
            }
            tx.save(accounts, alice.unwrap())
        })
        .await;
        assert_eq!(matches!(answer, Err(Error::AlreadyExists(_))), refuses, "{answer:?}");
    }
    assert_eq!(runs.into_inner(), 2);
}

#[tokio::test]
async fn what_no_run_can_cure_is_not_tried_again() {
    let stage = Stage::with([("alice", 100)]).await;
    let (accounts, runs) = (&stage.accounts, AtomicU32::new(0));
    let created = transact(&stage.client, async |tx| {
        runs.fetch_add(1, Ordering::Relaxed);
        tx.create(accounts, Account::new("alice", 1))
    })
    .await;
    assert!(matches!(created, Err(Error::AlreadyExists(_))), "{created:?}");
    assert_eq!(runs.into_inner(), 1);
}
