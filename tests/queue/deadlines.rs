//! Callers whose time is up while they wait for others.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use dynalock::testing::Fault;
use dynalock::{Error, Retry, Table};
use dynalock_tests::polling::together;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::world::{Answer, Journal, SECOND, World, add};

/// Adds an entry, within `deadline`.
fn add_within(table: &Table<Journal>, deadline: Duration, entry: u32) -> Answer<'static> {
    // No answer is given up before the call is.
    let retry = Retry::default().attempt_timeout(100 * SECOND).deadline(deadline);
    table.update("a", move |journal| journal.entries.push(entry)).retry(retry).into_future()
}

/// The answer, and how long it took.
async fn timed(answer: Answer<'_>) -> (dynalock::Result<Journal>, Duration) {
    let begun = Instant::now();
    (answer.await, begun.elapsed())
}

/// The error of a call that did nothing because others took too long.
fn assert_is_late(error: &Error) {
    assert!(matches!(error, Error::Busy { .. }), "{error:?}");
    assert!(error.is_retryable());
    let expected =
        "table \"journals\": other calls of this process for the same item took until the deadline";
    assert_eq!(error.to_string(), expected);
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_for_its_turn_does_nothing_and_says_so() {
    for coalesces in [false, true] {
        let world = World::new().await;
        let table = if coalesces { &world.coalescing } else { &world.table };
        world.faults.script("UpdateItem", [Fault::Delay(10 * SECOND)]);
        let first = add_within(table, 60 * SECOND, 1);
        let others = async {
            // Else it would be in the first batch.
            tokio::time::sleep(SECOND).await;
            together([add_within(table, 2 * SECOND, 2), add(table, 3)].map(timed)).await
        };
        let (first, others) = tokio::join!(first, others);
        let [(two, took), (three, _)] = others.try_into().unwrap();
        assert_is_late(&two.unwrap_err());
        assert_eq!(took.as_secs(), 2);
        assert!(first.is_ok() && three.is_ok());
        assert_eq!(world.stored().await.entries, [1, 3]);
        world.assert_is_quiet().await;
    }
}

/// A future that takes its place when it is first polled, and is not polled again until `resume`.
async fn stalls<F: Future>(future: F, resume: &Notify) -> F::Output {
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        assert!(future.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
    resume.notified().await;
    future.await
}

/// What it had added to the others' changes is taken out again.
#[tokio::test(start_paused = true)]
async fn who_waits_too_long_after_its_closure_ran_does_nothing_and_says_so() {
    let world = World::new().await;
    let table = &world.coalescing;
    let resume = Notify::new();
    let others = async {
        // One that has its turn, and does not take it, holds up those behind it.
        let stalled = stalls(add(table, 3), &resume);
        let late = async {
            let (late, took) = timed(add_within(table, 2 * SECOND, 1)).await;
            resume.notify_one();
            (late, took)
        };
        tokio::join!(late, add(table, 2), stalled)
    };
    let ((late, took), two, three) = world.behind_a_write(table, others).await;
    assert_is_late(&late.unwrap_err());
    assert_eq!(took.as_secs(), 2);
    assert!(two.is_ok() && three.is_ok());
    assert_eq!(world.stored().await.entries, [0, 2, 3]);
    assert!(world.written().iter().all(|entries| !entries.contains(&1)), "its change was never sent");
    world.assert_is_quiet().await;
}

/// Its change is on its way with those of the others, who have more time to find out.
#[tokio::test(start_paused = true)]
async fn who_waits_too_long_after_its_change_was_sent_does_not_know() {
    let world = World::new().await;
    let table = &world.coalescing;
    world.faults.script("UpdateItem", [Fault::Delay(10 * SECOND)]);
    let calls = [add_within(table, 60 * SECOND, 1), add_within(table, 2 * SECOND, 2), add(table, 3)];
    let [(one, _), (two, took), (three, _)] = together(calls.map(timed)).await.try_into().unwrap();
    let Err(Error::OutcomeUnknown(unknown)) = two else { panic!("{two:?}") };
    assert_eq!(took.as_secs(), 2);
    assert_eq!((unknown.table(), unknown.expected(), unknown.intended()), ("journals", 1, Some(11)));
    assert_eq!(unknown.key().len(), 1);
    let cause = std::error::Error::source(&*unknown).and_then(|cause| cause.downcast_ref::<Error>());
    assert_is_late(cause.expect("the time that was up"));
    assert_eq!(one.unwrap().entries, [1]);
    assert_eq!(three.unwrap(), Journal::after(1, &[1, 2, 3]));
    let read = world.client.get_item().table_name("journals").set_key(Some(unknown.key().clone()));
    let item = read.send().await.unwrap().item;
    assert_eq!(unknown.was_applied(item.as_ref()), Some(true), "as a later read finds out");
    world.assert_is_quiet().await;
}

/// The next one goes on with the same write.
#[tokio::test(start_paused = true)]
async fn a_sender_whose_time_is_up_leaves_the_write_to_the_others() {
    for hangs in [Fault::NeverReplies, Fault::Delay(100 * SECOND)] {
        let world = World::new().await;
        let table = &world.coalescing;
        world.faults.script("UpdateItem", [hangs.clone()]);
        let calls = [add_within(table, 2 * SECOND, 1), add(table, 2), add_within(table, 20 * SECOND, 3)];
        let [(one, took), (two, _), (three, _)] = together(calls.map(timed)).await.try_into().unwrap();
        assert!(matches!(one, Err(Error::OutcomeUnknown(_))), "{one:?}");
        assert_eq!(took.as_secs(), 2);
        assert_eq!(two.unwrap().entries, [1, 2]);
        assert_eq!(three.unwrap(), Journal::after(1, &[1, 2, 3]));
        assert_eq!(world.stored().await, Journal::after(1, &[1, 2, 3]));
        let sent = world.sent.sent();
        assert_eq!((sent.len(), &sent[1].body), (3, &sent[2].body), "the identical request");
        world.assert_is_quiet().await;
    }
}

/// Nobody of the batch is left when the next one comes: it reads, and does not ask what became of it.
#[tokio::test(start_paused = true)]
async fn a_write_that_nobody_waits_for_is_not_sent_again() {
    let world = World::new().await;
    let table = &world.coalescing;
    world.faults.script("UpdateItem", [Fault::NeverReplies]);
    let calls = [add_within(table, 2 * SECOND, 1), add_within(table, 2 * SECOND, 2)];
    let late = async {
        tokio::time::sleep(SECOND).await;
        add(table, 3).await
    };
    let (ended, late) = tokio::join!(together(calls), late);
    assert!(ended.iter().all(|answer| matches!(answer, Err(Error::OutcomeUnknown(_)))), "{ended:?}");
    assert_eq!(late.unwrap(), Journal::after(2, &[1, 2, 3]));
    assert_eq!(world.written(), [vec![1, 2], vec![1, 2, 3]]);
    world.assert_is_quiet().await;
}

/// A caller that only sends for others, because its condition is not theirs, waits for them.
#[tokio::test(start_paused = true)]
async fn who_cannot_send_because_of_others_was_not_applied() {
    let world = World::new().await;
    let table = &world.coalescing;
    let others = async {
        world.faults.script("UpdateItem", [Fault::Pass, Fault::NeverReplies]);
        let condition = dynalock::Condition::new("attribute_exists(id)");
        let retry = Retry::default().attempt_timeout(100 * SECOND).deadline(2 * SECOND);
        let alone = table.update("a", |journal| journal.entries.push(3)).condition(condition).retry(retry);
        together([add(table, 1), add(table, 2), alone.into_future()]).await
    };
    let [one, two, alone] = world.behind_a_write(table, others).await.try_into().unwrap();
    assert_is_late(&alone.unwrap_err());
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(world.stored().await.entries, [0, 1, 2]);
    world.assert_is_quiet().await;
}
