//! Attempts and time are bounded, whatever the network does.
//!
//! These tests are about time itself, so they run on the paused clock alone.

use std::time::Duration;

use aws_sdk_dynamodb::config::{retry::RetryConfig, timeout::TimeoutConfig};
use dynalock::testing::Fault;
use dynalock::{Error, Retry};
use dynalock_tests::runtimes::{each, sdk_attempts, time_is_real};
use tokio::time::Instant;

use crate::calls::{Call, sdk_code};
use crate::kinds::Kind;
use crate::world::{DEADLINE, Stamps, World, always, both, breakdown, throttled};

fn within(retry: Retry, deadline: Duration) -> Retry {
    retry.attempts(1000).deadline(deadline)
}

/// Row 1, without an end: every attempt is known to have sent nothing.
#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_connections_until_the_end_has_applied_nothing() {
    for call in Call::ALL {
        let world = World::new().await;
        world.faults.script(call.operation(), always(&Fault::ConnectionRefused));
        let begun = Instant::now();
        let ended = call.run(&world).await;
        let refused = |error: &Error| matches!(error, Error::Sdk(failure) if failure.code().is_none());
        ended.assert_refused(call, &world, refused).await;
        assert!(begun.elapsed() <= DEADLINE, "{call:?}: {:?}", begun.elapsed());
    }
}

/// Row 2, without an end: nothing was applied, but dynalock cannot know. A create does not try for so long.
#[tokio::test(start_paused = true)]
async fn requests_lost_until_the_end_leave_the_outcome_unknown() {
    for call in Call::ALL {
        for fault in [Fault::RequestLost, Fault::ClosedByServer, breakdown()] {
            let world = World::new().await;
            world.faults.script(call.operation(), always(&fault));
            let begun = Instant::now();
            let ended = call.run(&world).await;
            ended.assert_refused(call, &world, |error| matches!(error, Error::OutcomeUnknown(_))).await;
            let took = begun.elapsed();
            if call.creates() {
                ended.assert_sent_once(call, &world).await;
                assert!(took < Duration::from_secs(1), "{call:?} {fault:?}: {took:?}");
                continue;
            }
            assert!(took > Duration::from_secs(10) && took <= DEADLINE, "{call:?} {fault:?}: {took:?}");
        }
    }
}

/// Attempts end a call before its time does.
#[tokio::test(start_paused = true)]
async fn a_call_makes_no_more_attempts_than_it_may() {
    for call in Call::ALL {
        for attempts in [1, 2, 5] {
            let world = World::new().await;
            world.faults.script(call.operation(), always(&throttled()));
            let ended = call.run_with(&world, Retry::default().attempts(attempts)).await;
            ended.assert_refused(call, &world, |error| sdk_code(error).is_some()).await;
            let sent = world.sent.count(call.operation());
            let each = if call.creates() { 1 } else { sdk_attempts() };
            assert_eq!(sent, attempts as usize * each, "{call:?}");
        }
    }
}

/// `Retry::none` leaves the SDK's own retries, and nothing else.
#[tokio::test(start_paused = true)]
async fn never_means_one_attempt() {
    for call in Call::ALL {
        let world = World::with(|config| config.retry_config(RetryConfig::disabled())).await;
        world.faults.script(call.operation(), [throttled()]);
        let ended = call.run_with(&world, Retry::none()).await;
        ended.assert_refused(call, &world, |error| sdk_code(error).is_some()).await;
        assert_eq!(world.sent.count(call.operation()), 1, "{call:?}");
    }
    for call in Call::ALL {
        let world = World::with(|config| config.retry_config(RetryConfig::disabled())).await;
        world.faults.script(call.operation(), [Fault::ReplyLost]);
        let ended = call.run_with(&world, Retry::none()).await;
        if call.creates() {
            // The read that looks for it is no attempt.
            ended.assert_lost(call, &world).await;
        } else {
            assert!(matches!(ended.result, Err(Error::OutcomeUnknown(_))), "{call:?}: {ended:?}");
            ended.assert_untouched(call);
        }
        assert_eq!(world.sent.count(call.operation()), 1, "{call:?}");
    }
}

/// A client that doesn't retry gets the same answers: dynalock re-sends by itself.
#[tokio::test(start_paused = true)]
async fn a_client_without_retries_changes_no_answer() {
    for (call, stamps) in both(Call::ALL) {
        let without = async || {
            let world = World::with(|config| config.retry_config(RetryConfig::disabled())).await;
            World { stamps, ..world }
        };
        let definite = [Fault::ConnectionRefused, throttled()];
        let lost = if call.creates() { vec![] } else { vec![Fault::RequestLost, breakdown()] };
        let world = without().await;
        world.faults.script(call.operation(), definite.iter().chain(&lost).cloned());
        call.run(&world).await.assert_applied(call, &world).await;
        let world = without().await;
        let faults = definite.iter().chain(&lost).cloned().chain([Fault::ReplyLost]).chain(lost.clone());
        world.faults.script(call.operation(), faults);
        call.run(&world).await.assert_lost(call, &world).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_by_its_deadline_though_every_reply_hangs() {
    let second = Duration::from_secs(1);
    for (call, stamps) in both(Call::ALL) {
        let world = World::of(stamps).await;
        world.faults.script(call.operation(), always(&Fault::NeverReplies));
        let begun = Instant::now();
        let ended = call.run_with(&world, within(Retry::default(), second)).await;
        assert_eq!(call.applies(&world).await, 1, "{call:?}");
        if call.creates() && stamps == Stamps::On {
            // It is given up early enough to be looked for.
            assert!(ended.result.is_ok(), "{call:?}: {ended:?}");
        } else {
            assert!(matches!(ended.result, Err(Error::OutcomeUnknown(_))), "{call:?}: {ended:?}");
            ended.assert_untouched(call);
        }
        assert!(begun.elapsed() <= second, "{call:?}: {:?}", begun.elapsed());
    }
}

/// The same while the SDK waits between its attempts, which is where most of the time goes.
#[tokio::test(start_paused = true)]
async fn a_call_ends_by_its_deadline_whatever_happens() {
    for call in Call::ALL {
        for fault in
            [throttled(), breakdown(), Fault::ConnectionRefused, Fault::RequestLost, Fault::ReplyLost]
        {
            for deadline in [0, 1, 40, 300, 1000, 2500].map(Duration::from_millis) {
                let world = World::new().await;
                world.faults.script(call.operation(), always(&fault));
                let begun = Instant::now();
                let ended = call.run_with(&world, within(Retry::default(), deadline)).await;
                let took = begun.elapsed();
                assert!(took <= deadline + Duration::from_millis(1), "{call:?} {fault:?}: {took:?}");
                if ended.result.is_err() {
                    ended.assert_untouched(call);
                }
                let unknown = matches!(ended.result, Err(Error::OutcomeUnknown(_)));
                assert!(
                    unknown || call.applies(&world).await == 0 || ended.result.is_ok(),
                    "{call:?}: {ended:?}"
                );
            }
        }
    }
}

/// What could only be given up at once is not begun, so that nothing is in doubt.
#[tokio::test(start_paused = true)]
async fn a_call_without_time_sends_nothing_and_has_applied_nothing() {
    for call in Call::ALL {
        let world = World::new().await;
        let ended = call.run_with(&world, Retry::default().deadline(Duration::ZERO)).await;
        ended.assert_refused(call, &world, |error| matches!(error, Error::Sdk(_))).await;
        assert_eq!(world.sent.operations(), [""; 0], "{call:?}");
    }
}

/// Row 47: whichever of its requests a connection takes along that is dead, there is time for another attempt.
pub(crate) async fn a_dead_connection_costs_an_attempt_and_not_the_call() {
    let mut cases = Vec::new();
    for kind in Kind::all() {
        let deadlines = if time_is_real() { &[2500][..] } else { &[1000, 2500, 30_000] };
        let operations = kind.operations().into_iter();
        cases.extend(operations.flat_map(|operation| deadlines.iter().map(move |ms| (kind, operation, *ms))));
    }
    each(cases, |(kind, operation, deadline)| async move {
        let deadline = Duration::from_millis(deadline);
        let world = World::new().await;
        world.faults.script(operation, [Fault::NeverReplies]);
        let begun = Instant::now();
        let answer = kind.run(&world, Retry::default().deadline(deadline)).await;
        assert!(answer.is_ok(), "{kind:?}, {operation} within {deadline:?}: {answer:?}");
        kind.assert_done(&world).await;
        assert!(world.faults.is_over(), "{kind:?}, {operation}");
        if !time_is_real() {
            // One attempt, and what the read after a doubt may take.
            assert!(begun.elapsed() <= deadline, "{kind:?}, {operation}: {:?}", begun.elapsed());
        }
    })
    .await;
}

/// A store that is further away than the first attempt reaches is reached by a later one.
#[tokio::test(start_paused = true)]
async fn a_store_that_is_slow_to_answer_is_waited_for_longer_each_time() {
    for (deadline, delay) in [(1000, 450), (2500, 1200), (30_000, 11_000)] {
        for kind in Kind::all().into_iter().filter(|kind| kind.operations().len() == 1) {
            let [deadline, delay] = [deadline, delay].map(Duration::from_millis);
            let world = World::new().await;
            world.faults.script(kind.operations()[0], always(&Fault::Delay(delay)));
            let answer = kind.run(&world, Retry::default().deadline(deadline)).await;
            assert!(answer.is_ok(), "{kind:?} within {deadline:?}: {answer:?}");
        }
    }
}

/// The SDK waits for up to a second before it sends again what had no answer; dynalock does not.
#[tokio::test(start_paused = true)]
async fn what_had_no_answer_is_sent_again_at_once() {
    for kind in Kind::all() {
        if matches!(kind, Kind::Write(call) if call.creates()) {
            continue;
        }
        for operation in kind.operations() {
            let world = World::new().await;
            world.faults.script(operation, [Fault::NeverReplies]);
            let begun = Instant::now();
            let retry = Retry::default().attempt_timeout(Duration::from_millis(300));
            kind.run(&world, retry).await.unwrap();
            assert!(begun.elapsed() <= Duration::from_millis(311), "{kind:?}: {:?}", begun.elapsed());
        }
    }
}

/// A read that hangs counts against the same deadline as the write after it.
#[tokio::test(start_paused = true)]
async fn reading_and_writing_share_one_deadline() {
    for call in Call::ALL.into_iter().filter(|call| call.reads_first()) {
        let world = World::new().await;
        world.faults.script("GetItem", [Fault::Delay(Duration::from_millis(900))]);
        world.faults.script(call.operation(), always(&Fault::NeverReplies));
        let begun = Instant::now();
        let ended = call.run_with(&world, within(Retry::default(), Duration::from_secs(1))).await;
        let unknown = matches!(ended.result, Err(Error::OutcomeUnknown(_)));
        assert!(unknown != call.creates(), "{call:?}: {ended:?}");
        assert!(begun.elapsed() <= Duration::from_secs(1), "{call:?}: {:?}", begun.elapsed());
    }
}

/// Row 5: the timeout for one answer, and not the deadline of the call, ends a reply that hangs.
#[tokio::test(start_paused = true)]
async fn a_hanging_reply_is_given_up_after_the_timeout_for_one_answer() {
    for (call, stamps) in both(Call::ALL) {
        let world = World::of(stamps).await;
        world.faults.script(call.operation(), [Fault::NeverReplies]);
        let begun = Instant::now();
        let retry = Retry::default().attempt_timeout(Duration::from_millis(700));
        call.run_with(&world, retry).await.assert_lost(call, &world).await;
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(700) && took < Duration::from_secs(3), "{call:?}: {took:?}");
    }
}

/// A client with these timeouts, of 200 ms, cuts off an attempt that hangs, and the call ends `within` this time.
async fn assert_cut_off(timeouts: TimeoutConfig, within: Duration) {
    for (call, stamps) in both(Call::ALL) {
        let world = World { stamps, ..World::with(|config| config.timeout_config(timeouts.clone())).await };
        world.faults.script(call.operation(), [Fault::NeverReplies]);
        let begun = Instant::now();
        call.run(&world).await.assert_lost(call, &world).await;
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(200) && took < within, "{call:?}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_clients_own_shorter_attempt_timeout_is_kept() {
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_millis(200)).build();
    assert_cut_off(timeouts, Duration::from_secs(3)).await;
}

/// A longer one would let a call wait longer for one answer than its `Retry` says.
#[tokio::test(start_paused = true)]
async fn the_clients_own_longer_attempt_timeout_gives_way() {
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(20)).build();
    let world = World::with(|config| config.timeout_config(timeouts)).await;
    world.faults.script("UpdateItem", [Fault::NeverReplies]);
    let begun = Instant::now();
    let retry = Retry::default().attempt_timeout(Duration::from_secs(4));
    Call::Save.run_with(&world, retry).await.assert_lost(Call::Save, &world).await;
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
}

/// The client's timeout for a whole operation ends the SDK's call, not ours: an attempt it cuts off stays in doubt.
#[tokio::test(start_paused = true)]
async fn the_clients_own_operation_timeout_is_kept_and_leaves_doubt() {
    let timeouts = TimeoutConfig::builder().operation_timeout(Duration::from_millis(200)).build();
    assert_cut_off(timeouts, Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn no_limit_that_can_be_written_down_panics() {
    let max = Duration::MAX;
    let extremes = [
        Retry::default().deadline(max),
        Retry::default().attempt_timeout(max),
        Retry::default().backoff(Duration::ZERO, Duration::ZERO),
        Retry::default().backoff(max, max),
        Retry::default().attempts(u32::MAX).deadline(max).attempt_timeout(max),
    ];
    for retry in extremes {
        let world = World::new().await;
        world.faults.script("UpdateItem", vec![throttled(); 4]);
        let ended = Call::Update.run_with(&world, retry).await;
        assert!(ended.result.is_ok() || sdk_code(ended.result.as_ref().unwrap_err()).is_some(), "{ended:?}");
    }
}
