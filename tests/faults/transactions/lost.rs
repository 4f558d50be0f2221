//! Requests and replies that are lost: the client token tells, whatever other writers do meanwhile.

use std::time::Duration;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use dynalock::testing::{Fault, Reply};
use dynalock::{Error, Retry, Transaction};
use tokio::time::Instant;

use super::{
    WRITE, applies, commit, commit_with, identical, rivals_write, stored, with_others, world, world_of,
};
use crate::lost::{after_the_store, before_the_store};
use crate::world::{Account, DEADLINE, World, always, both, breakdown, refusal};

#[tokio::test(start_paused = true)]
async fn a_request_lost_before_the_store_is_sent_again_and_applied_once() {
    for (fault, stamps) in both(before_the_store()) {
        for times in [1, 10] {
            let world = world_of(stamps).await;
            world.faults.script(WRITE, vec![fault.clone(); times]);
            commit(&world).await.assert_applied(&world).await;
            assert_eq!(identical(&world), times + 1, "{fault:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_lost_after_the_store_is_asked_for_again_by_the_token() {
    for (fault, stamps) in both(after_the_store()) {
        for times in [1, 3] {
            let world = world_of(stamps).await;
            world.faults.script(WRITE, vec![fault.clone(); times]);
            commit(&world).await.assert_applied(&world).await;
            assert_eq!(identical(&world), times + 1, "{fault:?}");
            assert_eq!(world.sent.sent().len(), times + 1, "{fault:?}: no read was needed to find out");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lost_requests_and_replies_in_any_order_are_one_apply_of_one_request() {
    for (place, stamps) in both(0..8) {
        let world = world_of(stamps).await;
        let others = [Fault::RequestLost, breakdown(), Fault::ConnectionRefused];
        let mut faults: Vec<Fault> = others.into_iter().cycle().take(9).collect();
        faults[place] = Fault::ReplyLost;
        world.faults.script(WRITE, faults);
        commit(&world).await.assert_applied(&world).await;
        assert_eq!(identical(&world), 10);
    }
}

/// The SDK may not retry at all: dynalock re-sends by itself, under the same token.
#[tokio::test(start_paused = true)]
async fn a_client_without_retries_changes_no_answer() {
    for fault in before_the_store().into_iter().chain(after_the_store()) {
        let world = World::with(|config| config.retry_config(RetryConfig::disabled())).await;
        let world = with_others(world).await;
        world.faults.script(WRITE, vec![fault.clone(); 3]);
        commit(&world).await.assert_applied(&world).await;
        assert_eq!(identical(&world), 4, "{fault:?}");
    }
}

/// Row 27: a single write would not know what became of it once its stamps are gone, or without any.
pub(crate) async fn a_commit_whose_reply_was_lost_is_ok_however_often_rivals_write_after_it() {
    for (rivals, stamps) in both([1, 3, 6]) {
        let world = world_of(stamps).await;
        world.faults.script(WRITE, [Fault::ReplyLost]);
        let mut theirs = None;
        let overtake = async {
            assert_eq!(applies(&world).await, 1);
            rivals_write(&world, rivals).await;
            world.rival.delete(&world.stored("dave").await.unwrap()).await.unwrap();
            theirs = Some(stored(&world).await);
        };
        world.overtaken(commit(&world), WRITE, overtake).await.assert_ok();
        assert_eq!(Some(stored(&world).await), theirs, "what the rivals wrote stays");
        assert_eq!(identical(&world), 2);
    }
}

/// Row 28.
pub(crate) async fn a_transaction_in_progress_is_asked_for_until_it_is_done() {
    for (times, stamps) in both([1, 3, 10]) {
        for first in [Fault::ConnectionRefused, Fault::ReplyLost, Fault::Truncated] {
            let world = world_of(stamps).await;
            let progress = vec![refusal("TransactionInProgressException"); times];
            world.faults.script(WRITE, [first].into_iter().chain(progress));
            commit(&world).await.assert_applied(&world).await;
            assert_eq!(identical(&world), times + 2);
        }
    }
}

/// A delete is the only action whose condition may hold again. The token is what stops its late copy.
#[tokio::test(start_paused = true)]
async fn a_late_copy_of_a_commit_that_went_through_has_no_effect() {
    let world = world().await;
    world.faults.script(WRITE, [Fault::RequestLost]);
    let mut erin = Account { id: "erin".into(), ..Account::alice() };
    Transaction::new(&world.client).delete(&world.table, &erin).commit().await.unwrap();
    world.rival.create(&mut erin).await.unwrap();
    assert_eq!(world.transit.deliver_lost().await, 1);
    assert_eq!(world.stored("erin").await, Some(erin));

    world.faults.script(WRITE, [Fault::RequestLost]);
    commit(&world).await.assert_applied(&world).await;
    assert_eq!(world.transit.deliver_lost().await, 1);
    assert_eq!(applies(&world).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_reply_is_given_up_after_the_timeout_for_one_answer() {
    let world = world().await;
    world.faults.script(WRITE, [Fault::NeverReplies]);
    let begun = Instant::now();
    let retry = Retry::default().attempt_timeout(Duration::from_millis(700));
    commit_with(&world, retry).await.assert_applied(&world).await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(700) && took < Duration::from_secs(3), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_commit_ends_by_its_deadline_whatever_happens() {
    let progress = refusal("TransactionInProgressException");
    let cancelled = Fault::Instead(Reply::cancelled(["TransactionConflict"; 6]));
    for fault in before_the_store().into_iter().chain(after_the_store()).chain([progress, cancelled]) {
        for deadline in [0, 40, 1000].map(Duration::from_millis) {
            let world = world().await;
            world.faults.script(WRITE, always(&fault));
            let begun = Instant::now();
            let ended = commit_with(&world, Retry::default().attempts(1000).deadline(deadline)).await;
            let took = begun.elapsed();
            assert!(took <= deadline + Duration::from_millis(1), "{fault:?}: {took:?}");
            ended.assert_untouched();
            let unknown = matches!(ended.result, Err(Error::OutcomeUnknown(_)));
            assert!(unknown || applies(&world).await == 0, "{fault:?}: {ended:?}");
        }
    }
}

/// DynamoDB knows a token for ten minutes, so no re-send may come later, whatever the caller allows.
#[tokio::test(start_paused = true)]
async fn no_deadline_is_longer_than_5_minutes() {
    const LONGEST: Duration = Duration::from_mins(5);
    let cancelled = Fault::Instead(Reply::cancelled(["TransactionConflict"; 6]));
    for (deadline, fault) in [(Duration::from_hours(1), Fault::NeverReplies), (Duration::MAX, cancelled)] {
        let world = world().await;
        world.faults.script(WRITE, always(&fault));
        let begun = Instant::now();
        commit_with(&world, Retry::default().attempts(u32::MAX).deadline(deadline)).await.assert_untouched();
        let took = begun.elapsed();
        assert!(took > LONGEST / 2 && took <= LONGEST, "{fault:?}: {took:?}");
        assert!(!world.faults.is_over(), "the script ended the call, and not the deadline");
    }
}

#[tokio::test(start_paused = true)]
async fn refused_connections_until_the_end_have_applied_nothing() {
    let world = world().await;
    world.faults.script(WRITE, always(&Fault::ConnectionRefused));
    let begun = Instant::now();
    let ended = commit(&world).await;
    assert!(matches!(&ended.result, Err(Error::Sdk(failure)) if failure.operation() == WRITE), "{ended:?}");
    ended.assert_untouched();
    assert!(begun.elapsed() <= DEADLINE);
    assert_eq!(applies(&world).await, 0);
}
