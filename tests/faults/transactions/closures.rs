//! Row 31 for `transact`, and when its closure runs again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dynalock::testing::{Fault, Reply};
use dynalock::{Error, Retry, Table, Tx, transact};
use dynalock_tests::runtimes::retry;

use super::{WRITE, identical, rivals_write, stored, world};
use crate::calls::sdk_code;
use crate::world::{Account, World, always, refusal, throttled};

const READ: &str = "TransactGetItems";

#[derive(Debug, PartialEq)]
enum Refused {
    Overdrawn,
    Failed(String),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Moves 5 from alice to carol.
async fn pay(tx: &Tx, table: &Table<Account>) -> Result<(), Error> {
    let mut alice = tx.get(table, "alice").await?.expect("alice");
    let mut carol = tx.get(table, "carol").await?.expect("carol");
    (alice.balance, carol.balance) = (alice.balance - 5, carol.balance + 5);
    tx.save(table, alice)?;
    tx.save(table, carol)
}

/// Pays, and returns the result and how often the closure ran.
async fn paid(world: &World, retry: Retry) -> (Result<(), Error>, u32) {
    let (table, mut runs) = (&world.table, 0);
    let transaction = transact(&world.client, |tx| {
        runs += 1;
        async move { pay(&tx, table).await }
    });
    let result = transaction.retry(retry).await;
    (result, runs)
}

async fn balances(world: &World) -> [i64; 2] {
    [world.stored("alice").await, world.stored("carol").await].map(|account| account.unwrap().balance)
}

/// The same table serves the next caller.
async fn assert_usable(world: &World) {
    let before = balances(world).await;
    paid(world, retry(&[])).await.0.unwrap();
    world.table.update("alice", |alice| alice.balance += 5).await.unwrap();
    assert_eq!(balances(world).await, [before[0], before[1] + 5]);
}

pub(crate) async fn a_closure_that_panics_writes_nothing_and_holds_nothing_up() {
    for at in 0..3 {
        let world = world().await;
        let (client, table) = (world.client.clone(), world.table.clone());
        let task = tokio::spawn(async move {
            transact(&client, async |tx| {
                assert!(at != 0, "before anything was done");
                tx.get(&table, "alice").await?;
                assert!(at != 1, "between");
                pay(&tx, &table).await?;
                assert!(at != 2, "at the end");
                Ok::<_, Error>(())
            })
            .await
        });
        assert!(task.await.unwrap_err().is_panic());
        assert_eq!(world.sent.count(WRITE), 0);
        assert_eq!(balances(&world).await, [100, 100]);
        assert_usable(&world).await;
    }
}

pub(crate) async fn a_closure_that_returns_its_error_writes_nothing_and_holds_nothing_up() {
    let world = world().await;
    let mut runs = 0;
    let table = &world.table;
    let refused = transact(&world.client, |tx| {
        runs += 1;
        async move {
            pay(&tx, table).await?;
            Err::<(), _>(Refused::Overdrawn)
        }
    });
    assert_eq!(refused.await, Err(Refused::Overdrawn));
    assert_eq!((runs, world.sent.count(WRITE)), (1, 0));
    assert_eq!(balances(&world).await, [100, 100]);
    assert_usable(&world).await;
}

/// The same in the run after a conflict: what the first run wanted to write is forgotten.
pub(crate) async fn a_closure_that_refuses_or_panics_after_a_conflict_writes_nothing() {
    for panics in [false, true] {
        let world = world().await;
        let gate = world.faults.hold_up(WRITE);
        let runs = Arc::new(AtomicU32::new(0));
        let (client, table, counter) = (world.client.clone(), world.table.clone(), Arc::clone(&runs));
        let task = tokio::spawn(async move {
            transact(&client, async |tx| {
                pay(&tx, &table).await?;
                match counter.fetch_add(1, Ordering::Relaxed) {
                    0 => Ok(()),
                    _ if panics => panic!("in the second run"),
                    _ => Err(Refused::Overdrawn),
                }
            })
            .await
        });
        gate.reached().await;
        world.rival.update("carol", |carol| carol.balance = 1).await.unwrap();
        gate.open();
        match task.await {
            Err(error) => assert!(panics && error.is_panic()),
            Ok(result) => assert_eq!((panics, result), (false, Err(Refused::Overdrawn))),
        }
        assert_eq!((runs.load(Ordering::Relaxed), world.sent.count(WRITE)), (2, 1));
        assert_eq!(balances(&world).await, [100, 1]);
        assert_usable(&world).await;
    }
}

/// Row 27.
pub(crate) async fn a_transact_whose_reply_was_lost_is_ok_and_runs_no_closure_again() {
    for rivals in [0, 6] {
        let world = world().await;
        world.faults.script(WRITE, [Fault::ReplyLost]);
        let mut theirs = None;
        let overtake = async {
            assert_eq!(balances(&world).await, [95, 105]);
            rivals_write(&world, rivals).await;
            theirs = Some(stored(&world).await);
        };
        let (result, runs) = world.overtaken(paid(&world, retry(&[])), WRITE, overtake).await;
        result.unwrap();
        assert_eq!((runs, identical(&world)), (1, 2));
        assert_eq!(Some(stored(&world).await), theirs);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_that_may_pass_runs_no_closure_again_and_a_conflict_does() {
    let world = world().await;
    let cancelled = Fault::Instead(Reply::cancelled(["None", "TransactionConflict"]));
    world.faults.script(WRITE, vec![cancelled; 4]);
    let (result, runs) = paid(&world, retry(&[])).await;
    result.unwrap();
    assert_eq!((runs, identical(&world), balances(&world).await), (1, 5, [95, 105]));

    world.faults.script(WRITE, [Fault::RequestLost]);
    let rival = async {
        world.rival.update("carol", |carol| carol.balance = 1).await.unwrap();
    };
    let (result, runs) = world.overtaken(paid(&world, retry(&[])), WRITE, rival).await;
    result.unwrap();
    assert_eq!((runs, balances(&world).await), (2, [90, 6]));
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_ends_in_doubt_leaves_the_outcome_unknown_and_runs_no_closure_again() {
    for (lost, after) in [(Fault::ReplyLost, [95, 105]), (Fault::RequestLost, [100, 100])] {
        let cancelled = Fault::Instead(Reply::cancelled(["TransactionConflict"; 2]));
        for rest in [cancelled, refusal("ValidationException"), Fault::NeverReplies, Fault::RequestLost] {
            let world = world().await;
            world.faults.script(WRITE, [lost.clone()].into_iter().chain(always(&rest)));
            let (result, runs) = paid(&world, retry(&[]).deadline(Duration::from_secs(3))).await;
            assert!(matches!(result, Err(Error::OutcomeUnknown(_))), "{rest:?}: {result:?}");
            assert_eq!(runs, 1, "{rest:?}");
            let hung = matches!(rest, Fault::NeverReplies);
            assert_eq!(balances(&world).await, if hung { [95, 105] } else { after }, "{rest:?}");
        }
    }
}

/// A closure is not interrupted, and after it there is nothing in doubt that was never sent.
#[tokio::test(start_paused = true)]
async fn a_closure_that_takes_all_the_time_is_told_that_nothing_was_written() {
    for one in [true, false] {
        let world = world().await;
        let table = &world.table;
        let transaction = transact(&world.client, async |tx| {
            let alice = tx.get(table, "alice").await?.expect("alice");
            tokio::time::sleep(Duration::from_secs(31)).await;
            if one { tx.save(table, alice) } else { pay(&tx, table).await }
        });
        let error = transaction.await.unwrap_err();
        assert!(matches!(error, Error::Sdk(_)), "{error:?}");
        assert_eq!(world.sent.operations(), ["GetItem"], "nothing is sent after the time is up");
    }
}

/// Two reads that are written to nowhere: one `TransactGetItems` says whether they were stored so at one moment.
#[tokio::test(start_paused = true)]
async fn a_read_of_several_items_is_asked_again_while_another_transaction_is_in_its_way() {
    let cancelled = |code| Fault::Instead(Reply::cancelled([code, "None"]));
    for (code, times) in [("TransactionConflict", 1), ("TransactionConflict", 5), ("ThrottlingError", 2)] {
        let world = world().await;
        world.faults.script(READ, vec![cancelled(code); times]);
        let (table, mut runs) = (&world.table, 0);
        let total = transact(&world.client, |tx| {
            runs += 1;
            async move {
                let alice = tx.get(table, "alice").await?.expect("alice");
                let carol = tx.get(table, "carol").await?.expect("carol");
                Ok::<_, Error>(alice.balance + carol.balance)
            }
        });
        assert_eq!(total.await.unwrap(), 200);
        assert_eq!((runs, world.sent.count(READ), world.sent.count(WRITE)), (1, times + 1, 0));
    }

    let world = world().await;
    world.faults.script(READ, [cancelled("ValidationError")]);
    let table = &world.table;
    let read = transact(&world.client, async |tx| {
        tx.get(table, "alice").await?;
        tx.get(table, "carol").await
    });
    let error = read.await.unwrap_err();
    assert_eq!((sdk_code(&error), world.sent.count(READ)), (Some("TransactionCanceledException"), 1));
}

/// Reads three accounts, of which the last cannot be read in the first run; then refuses, or passes that error on.
async fn read_three(world: &World, passes_on: bool) -> (Result<(), Refused>, u32) {
    world.faults.script("GetItem", [Fault::Pass, Fault::Pass, refusal("AccessDeniedException")]);
    let (table, mut runs) = (&world.table, 0);
    let read = transact(&world.client, |tx| {
        runs += 1;
        async move {
            for id in ["alice", "carol", "dave"] {
                let read = tx.get(table, id).await;
                if passes_on {
                    read?;
                }
            }
            if passes_on { Ok(()) } else { Err(Refused::Overdrawn) }
        }
    });
    (read.retry(retry(&[]).deadline(Duration::from_secs(3))).await, runs)
}

/// What the closure says to a read that failed is not lost in another error.
#[tokio::test(start_paused = true)]
async fn after_a_read_that_failed_the_closures_error_is_the_answer_though_the_others_cannot_be_checked() {
    let broken = [throttled(), refusal("AccessDeniedException"), Fault::NeverReplies, Fault::RequestLost];
    for fault in broken.iter().flat_map(|fault| [always(fault), Vec::new()]) {
        for passes_on in [true, false] {
            let world = world().await;
            world.faults.script(READ, fault.clone());
            let (read, runs) = read_three(&world, passes_on).await;
            match read {
                Err(Refused::Failed(message)) if passes_on => {
                    assert!(message.contains("AccessDenied") && message.contains("GetItem on"), "{message}");
                }
                Err(Refused::Overdrawn) if !passes_on => {}
                other => panic!("{other:?}"),
            }
            assert_eq!(runs, 1);
        }
    }
}

/// Nor does it keep a run from being repeated whose reads do not fit together.
#[tokio::test(start_paused = true)]
async fn after_a_read_that_failed_the_closure_runs_again_where_the_others_were_not_stored_at_one_moment() {
    let world = world().await;
    let rival = async {
        world.rival.update("alice", |alice| alice.balance = 1).await.unwrap();
    };
    let (read, runs) = world.overtaken(read_three(&world, true), READ, rival).await;
    assert_eq!((read, runs), (Ok(()), 2));
}

/// A refusal may rest on what never was, so it is no answer before it is checked.
#[tokio::test(start_paused = true)]
async fn a_refusal_that_cannot_be_checked_is_not_the_answer() {
    for fault in [throttled(), refusal("AccessDeniedException"), Fault::NeverReplies, Fault::RequestLost] {
        let world = world().await;
        world.faults.script(READ, always(&fault));
        let table = &world.table;
        let refused = transact(&world.client, async |tx| {
            tx.get(table, "alice").await?;
            tx.get(table, "carol").await?;
            Err::<(), _>(Refused::Overdrawn)
        });
        match refused.retry(retry(&[]).deadline(Duration::from_secs(3))).await {
            Err(Refused::Failed(message)) => assert!(message.contains(READ), "{message}"),
            other => panic!("{fault:?}: {other:?}"),
        }
    }
}
