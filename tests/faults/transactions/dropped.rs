//! Row 30: the future of a commit, or of `transact`, is dropped at every poll.

use std::future::IntoFuture;
use std::time::Duration;

use dynalock::testing::{Fault, Reply};
use dynalock::{Error, Retry, transact};
use dynalock_tests::polling::polled;
use dynalock_tests::runtimes::retry;

use super::{Held, WRITE, applies, world};
use crate::world::{Account, World, breakdown};

fn scripts() -> [Vec<Fault>; 4] {
    let cancelled = |code| Fault::Instead(Reply::cancelled([code]));
    let conflict = || cancelled("TransactionConflict");
    [
        vec![],
        vec![Fault::ReplyLost],
        vec![Fault::NeverReplies, breakdown()],
        vec![conflict(), Fault::ConnectionRefused, Fault::ReplyLost, conflict()],
    ]
}

/// Not for long on a reply that hangs, because it is waited for again and again.
fn quick() -> Retry {
    retry(&[]).attempt_timeout(Duration::from_millis(50))
}

/// Whatever became of a transaction, its items can be written again, by a single write and by another transaction.
async fn assert_usable(world: &World) {
    world.faults.clear();
    let (table, again) = (&world.table, Account { id: "alice".into(), balance: 1, version: 0 });
    table.update_or_create("alice", || again.clone(), |alice| alice.balance = 1).await.unwrap();
    let moved = transact(&world.client, async |tx| {
        for id in ["alice", "carol"] {
            let mut account = tx.get(table, id).await?.expect(id);
            account.balance = 2;
            tx.save(table, account)?;
        }
        Ok::<_, Error>(())
    });
    moved.await.unwrap();
    assert_eq!(world.stored("alice").await.unwrap().balance, 2);
}

pub(crate) async fn a_commit_dropped_at_any_poll_is_applied_at_most_once_and_raises_no_object() {
    let mut hits = 0;
    for faults in scripts() {
        for polls in 0.. {
            assert!(polls < 1000, "{faults:?} never ends");
            let world = world().await;
            world.faults.script(WRITE, faults.iter().cloned());
            let mut held = Held::<Account>::new();
            let transaction = held.transaction(&world, &world.table).retry(quick());
            let ended = polled(transaction.commit(), polls).await;
            let (versions, applies) = (held.versions(), applies(&world).await);
            if let Some(result) = ended {
                result.unwrap();
                assert_eq!((versions, applies), ([2, 1, 2, 2, 1, 1], 1));
                assert!(polls > 2, "a request alone takes two polls, but all took {polls}");
                break;
            }
            assert_eq!(versions, [1, 0, 1, 1, 1, 1], "{faults:?}: an object changed after {polls} polls");
            hits += applies;
            assert_usable(&world).await;
        }
    }
    assert!(hits > 0, "no drop hit a transaction that had been applied");
}

pub(crate) async fn a_transact_dropped_at_any_poll_is_applied_at_most_once() {
    let mut hits = 0;
    for faults in scripts() {
        for polls in 0.. {
            assert!(polls < 1000, "{faults:?} never ends");
            let world = world().await;
            world.faults.script(WRITE, faults.iter().cloned());
            let (table, mut runs) = (&world.table, 0);
            let pay = transact(&world.client, |tx| {
                runs += 1;
                async move {
                    let mut alice = tx.get(table, "alice").await?.expect("alice");
                    let mut carol = tx.get(table, "carol").await?.expect("carol");
                    (alice.balance, carol.balance) = (alice.balance - 5, carol.balance + 5);
                    tx.save(table, alice)?;
                    tx.save(table, carol)?;
                    Ok::<_, Error>(())
                }
            });
            let ended = polled(pay.retry(quick()).into_future(), polls).await;
            assert!(runs <= 1, "{faults:?}: {runs} runs");
            let balances = [world.stored("alice").await, world.stored("carol").await];
            let applied = match balances.map(|account| account.unwrap().balance) {
                [100, 100] => 0,
                [95, 105] => 1,
                other => panic!("{faults:?}: {other:?} is neither as before nor as written once"),
            };
            if let Some(result) = ended {
                result.unwrap();
                assert_eq!(applied, 1);
                break;
            }
            hits += applied;
            assert_usable(&world).await;
        }
    }
    assert!(hits > 0, "no drop hit a transaction that had been applied");
}
