//! Row 30: the future of a call is dropped at every poll.

use std::time::Duration;

use dynalock::Retry;
use dynalock::testing::Fault;
use dynalock_tests::polling::polled;
use dynalock_tests::runtimes::{each, retry};

use crate::calls::{Call, Done, Ended};
use crate::world::{Account, Bare, Holder, Testbed, World, breakdown, refusal};

/// What came of dropping a call after each number of polls.
struct Dropped {
    /// How many polls the call needed to end.
    polls: usize,
    /// How many of the drops hit a write that had been applied.
    hits: u32,
}

/// Drops `call`, under `faults`, after each number of polls until one is enough.
async fn drop_at_every_poll<T: Holder>(call: Call, faults: &[Fault], retry: Retry) -> Dropped {
    let store = World::new().await.testbed.store;
    let mut hits = 0;
    for polls in 0.. {
        assert!(polls < 1000, "{call:?} {faults:?} never ends");
        let world = World::on(Testbed::on(store.clone()));
        world.faults.script(call.operation(), faults.iter().cloned());
        let table = world.table_of::<T>();
        let before = call.held();
        let (mut held, mut runs) = (T::from(before.clone()), 0);
        let send = call.send(&table, retry, &mut held, &mut runs);
        let result = polled(send, polls).await;
        let held: Account = held.into();
        let applies = call.applies(&world).await;
        if let Some(result) = result {
            let ended = Ended { result, held: (before, held), runs };
            match &ended.result {
                Ok(Done::Written(_)) => assert_eq!(applies, 1),
                Ok(Done::Gone(_)) => assert_eq!(world.stored("alice").await, None),
                Err(_) => ended.assert_untouched(call),
            }
            return Dropped { polls, hits };
        }
        hits += applies;
        assert!(runs <= 1, "{call:?}");
        assert_eq!(held, before, "{call:?}: the object changed without an Ok, after {polls} polls");

        // Whatever became of it, the next call on the item works.
        world.faults.clear();
        let next = world.table.update_or_create(call.id(), || before.clone(), |next| next.balance = 1);
        let next = next.await.unwrap();
        assert_eq!(next.balance, 1, "{call:?}: after {polls} polls");

        world.rival.delete(&next).await.unwrap();
        if !call.creates() {
            world.rival.create(&mut Account::alice()).await.unwrap();
        }
    }
    unreachable!("the range has no end")
}

pub(crate) async fn a_call_dropped_at_any_poll_is_applied_at_most_once_and_blocks_nobody() {
    each(Call::ALL, |call| async move {
        let Dropped { polls, hits } = drop_at_every_poll::<Account>(call, &[], retry(&[])).await;
        let requests = if call.reads_first() { 2 } else { 1 };
        assert!(
            polls > 2 * requests,
            "{call:?}: every request takes two polls or more, and all took {polls}"
        );
        assert!(hits > 0, "{call:?}: no drop hit a write under way");
    })
    .await;
}

pub(crate) async fn a_call_dropped_at_any_poll_of_its_retries_is_applied_at_most_once_and_blocks_nobody() {
    let conflict = || refusal("TransactionConflictException");
    let scripts = || {
        [
            vec![Fault::ReplyLost],
            vec![Fault::RequestLost],
            vec![Fault::NeverReplies],
            vec![Fault::Truncated, breakdown()],
            vec![conflict(), conflict(), conflict()],
            vec![Fault::ConnectionRefused, breakdown(), conflict(), Fault::ReplyLost, Fault::ItemWithheld],
        ]
    };
    each(Call::ALL.map(|call| (call, scripts())), |(call, scripts)| async move {
        // Not for long on a reply that hangs, because it is waited for again and again.
        let retry = retry(&[]).attempt_timeout(Duration::from_millis(50));
        let mut hits = drop_at_every_poll::<Bare>(call, &[Fault::ReplyLost], retry).await.hits;
        for faults in &scripts {
            hits += drop_at_every_poll::<Account>(call, faults, retry).await.hits;
        }
        // Not in each of the scripts: where time is real, a delay that is over already takes no poll.
        assert!(hits > 0, "{call:?}: no drop hit a write under way");
    })
    .await;
}

/// The same where a task is aborted, on several threads while it runs.
pub(crate) async fn an_aborted_task_leaves_one_effect_at_most() {
    for round in 0..100 {
        let world = World::new().await;
        let table = world.table.clone();
        let task = tokio::spawn(async move { Call::Update.run_on(&table, retry(&[])).await });
        for _ in 0..round % 20 {
            tokio::task::yield_now().await;
        }
        task.abort();
        let ended = task.await;
        let applies = Call::Update.applies(&world).await;
        if let Ok(ended) = ended {
            assert_eq!((ended.result.unwrap(), applies), (Done::Written(2), 1));
        }
        world.table.update("alice", |alice| alice.balance = 1).await.unwrap();
    }
}
