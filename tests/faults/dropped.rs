//! Row 30: the future of a call is dropped at every poll.

use std::pin::pin;
use std::task::Poll;

use dynalock::Retry;
use dynalock_tests::faults::Fault;

use crate::calls::{Call, Done, Ended};
use crate::world::{Account, Bare, Holder, World, breakdown, refusal};

/// Polls `future` at most `polls` times, then drops it; `None` if it had not ended by then.
async fn polled<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut done = 0;
    std::future::poll_fn(move |context| {
        if done == polls {
            return Poll::Ready(None);
        }
        done += 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if done == polls => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Drops `call`, under `faults`, after each number of polls until one is enough, and returns that number.
async fn drop_at_every_poll<T: Holder>(call: Call, faults: &[Fault]) -> usize {
    let mut applied_and_dropped = 0;
    for polls in 0.. {
        assert!(polls < 1000, "{call:?} {faults:?} never ends");
        let world = World::new().await;
        world.faults.script(call.operation(), faults.iter().cloned());
        let table = world.table_of::<T>();
        let before = call.held();
        let (mut held, mut runs) = (T::from(before.clone()), 0);
        let send = call.send(&table, Retry::default(), &mut held, &mut runs);
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
            assert!(applied_and_dropped > 0, "{call:?}: no drop hit a write under way");
            return polls;
        }
        applied_and_dropped += applies;
        assert!(runs <= 1, "{call:?}");
        assert_eq!(held, before, "{call:?}: the object changed without an Ok, after {polls} polls");

        // Whatever became of it, the next call on the item works.
        world.faults.clear();
        world.rival.delete(&world.stored(call.id()).await.unwrap_or(held)).await.unwrap();
        let next = world.table.update_or_create(call.id(), || before.clone(), |next| next.balance = 1);
        assert_eq!(next.await.unwrap().balance, 1, "{call:?}: after {polls} polls");
    }
    unreachable!("the range has no end")
}

#[tokio::test(start_paused = true)]
async fn a_call_dropped_at_any_poll_is_applied_at_most_once_and_blocks_nobody() {
    for call in Call::ALL {
        let polls = drop_at_every_poll::<Account>(call, &[]).await;
        let requests = if call.reads_first() { 2 } else { 1 };
        assert!(
            polls > 2 * requests,
            "{call:?}: every request takes two polls or more, but all took {polls}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_dropped_at_any_poll_of_its_retries_is_applied_at_most_once_and_blocks_nobody() {
    let conflict = || refusal("TransactionConflictException");
    let scripts = [
        vec![Fault::ReplyLost],
        vec![Fault::RequestLost],
        vec![Fault::Hang],
        vec![Fault::Truncated, breakdown()],
        vec![conflict(), conflict(), conflict()],
        vec![Fault::ConnectionRefused, breakdown(), conflict(), Fault::ReplyLost, Fault::Untold],
    ];
    for call in Call::ALL {
        for faults in &scripts {
            drop_at_every_poll::<Account>(call, faults).await;
        }
        drop_at_every_poll::<Bare>(call, &[Fault::ReplyLost]).await;
    }
}

/// The same where a task is aborted while other threads go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_aborted_task_leaves_one_effect_at_most() {
    for round in 0..200 {
        let world = World::new().await;
        let table = world.table.clone();
        let task = tokio::spawn(async move { Call::Update.run_on(&table, Retry::default()).await });
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
