//! DynamoDB refuses: at once, for a while, or after a reply was lost.

use std::error::Error as StdError;

use dynalock::testing::{Fault, Reply};
use dynalock::{Condition, Error};
use dynalock_tests::runtimes::{each, retry, sdk_attempts};

use crate::calls::{Call, sdk_code, unknown_because_of};
use crate::world::{Account, World, always, both, breakdown, refusal, throttled};

/// Refusals that no re-send changes.
const FOR_GOOD: [&str; 10] = [
    "AccessDeniedException",
    "ValidationException",
    "ResourceNotFoundException",
    "ItemCollectionSizeLimitExceededException",
    "ExpiredTokenException",
    "UnrecognizedClientException",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "SerializationException",
    "ExceptionOfNextYear",
];

/// A policy may forbid only that a failed check returns the item, so a denied write is tried once without that wish. Expired
/// credentials are asked for once more.
fn requests_until_refused(exception: &str) -> usize {
    if ["AccessDeniedException", "ExpiredTokenException"].contains(&exception) { 2 } else { 1 }
}

/// Refusals that go away.
const FOR_NOW: [&str; 5] = [
    "ThrottlingException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "TransactionConflictException",
    "ReplicatedWriteConflictException",
];

#[tokio::test(start_paused = true)]
async fn a_refusal_for_good_is_the_error_and_one_request() {
    for call in Call::ALL {
        for exception in FOR_GOOD {
            let world = World::new().await;
            let requests = requests_until_refused(exception);
            world.faults.script(call.operation(), vec![refusal(exception); requests]);
            let ended = call.run(&world).await;
            ended.assert_refused(call, &world, |error| sdk_code(error) == Some(exception)).await;
            assert_eq!(world.sent.count(call.operation()), requests, "{call:?} {exception}");
            assert!(world.faults.is_over());
        }
    }
}

/// Rows 24 and 25, and throttling: one more than the SDK takes on by itself.
pub(crate) async fn a_refusal_for_now_is_retried_until_the_write_goes_through() {
    for call in Call::ALL {
        for exception in FOR_NOW {
            let world = World::new().await;
            world.faults.script(call.operation(), vec![refusal(exception); 8]);
            let ended = call.run(&world).await;
            println!("{call:?} {exception}");
            ended.assert_applied(call, &world).await;
            assert_eq!(world.sent.count(call.operation()), 9, "{call:?} {exception}");
        }
    }
}

/// Refusals are definite: after any number of them a rival's write is a conflict, and no doubt.
#[tokio::test(start_paused = true)]
async fn a_refusal_leaves_no_doubt() {
    for exception in FOR_NOW {
        let world = World::new().await;
        world.rival.update("alice", |alice| alice.balance = 1).await.unwrap();
        world.faults.script("UpdateItem", vec![refusal(exception); 4]);
        let error = world.table.save(&mut Account::alice()).await.unwrap_err();
        assert!(matches!(error, Error::Conflict(_)), "{exception}: {error:?}");
    }
}

/// A definite answer is one of DynamoDB's, with a status of 4xx. A proxy's 500 or 200 with the same words is none.
#[tokio::test(start_paused = true)]
async fn a_refusal_with_the_status_of_a_server_error_leaves_doubt() {
    for (status, stamps) in both([500, 503]) {
        for exception in ["ThrottlingException", "AccessDeniedException", "ValidationException"] {
            let world = World::of(stamps).await;
            world.faults.script("UpdateItem", [Fault::After(Reply::new(status, exception))]);
            let ended = Call::Save.run(&world).await;
            println!("{status} {exception}");
            ended.assert_lost(Call::Save, &world).await;
        }
    }
}

/// Row 22.
pub(crate) async fn throttling_until_the_budget_ends_is_the_sdks_error_and_nothing_is_applied() {
    each(Call::ALL, |call| async move {
        let world = World::new().await;
        let ended = call.run_into(&world, &always(&throttled())).await;
        let throttled =
            |error: &Error| sdk_code(error) == Some("ThrottlingException") && error.is_retryable();
        ended.assert_refused(call, &world, throttled).await;
        // As many as the SDK makes for each attempt of ours; of a create one.
        let sent = world.sent.count(call.operation());
        let most = 512 * sdk_attempts();
        assert!((sdk_attempts()..=most).contains(&sent), "{call:?}: {sent} requests");
    })
    .await;
}

/// Row 23.
pub(crate) async fn a_refusal_after_a_lost_reply_is_the_cause_of_an_unknown_outcome() {
    each(both(Call::ALL), |(call, stamps)| async move {
        for lost in [Fault::ReplyLost, breakdown(), Fault::NeverReplies, Fault::RequestLost, Fault::Truncated]
        {
            for exception in ["AccessDeniedException", "ValidationException", "ExpiredTokenException"] {
                let world = World::of(stamps).await;
                call.strike(&world, &lost, vec![refusal(exception); requests_until_refused(exception)]);
                let ended = call.run_with(&world, retry(std::slice::from_ref(&lost))).await;
                let error = ended.result.as_ref().unwrap_err();
                assert_eq!(unknown_because_of(error), Some(exception), "{call:?} {lost:?}: {error:?}");
                assert!(!error.is_retryable() && !error.is_conflict());
                ended.assert_untouched(call);
                call.applies(&world).await;
            }
        }
    })
    .await;
}

/// Row 23, with throttling to the end.
pub(crate) async fn throttling_after_a_lost_reply_is_the_cause_of_an_unknown_outcome() {
    each(both(Call::ALL), |(call, stamps)| async move {
        let world = World::of(stamps).await;
        call.strike(&world, &Fault::ReplyLost, always(&throttled()));
        let ended = call.run(&world).await;
        let error = ended.result.as_ref().unwrap_err();
        assert_eq!(unknown_because_of(error), Some("ThrottlingException"), "{call:?}: {error:?}");
        ended.assert_untouched(call);
        assert_eq!(call.applies(&world).await, 1, "{call:?}");
    })
    .await;
}

/// The chain of causes goes from the unknown outcome over dynalock's error to DynamoDB's own words.
#[tokio::test(start_paused = true)]
async fn the_cause_of_an_unknown_outcome_is_reachable_to_the_end() {
    let world = World::new().await;
    world.faults.script("UpdateItem", [Fault::ReplyLost, refusal("ValidationException")]);
    let error = world.table.touch(&mut Account::alice()).await.unwrap_err();
    let chain: Vec<_> = std::iter::successors(error.source(), |&cause| cause.source()).collect();
    assert!(chain.iter().any(|cause| cause.is::<Error>()), "{chain:?}");
    assert!(chain.iter().any(|cause| cause.is::<aws_sdk_dynamodb::Error>()), "{chain:?}");
}

fn rich() -> Condition {
    Condition::new("balance >= :least").value(":least", 1_000_000)
}

/// Row 33.
pub(crate) async fn a_condition_that_is_false_after_a_doubt_is_definite_where_there_is_a_version() {
    for lost in [Fault::RequestLost, breakdown(), Fault::ConnectionRefused] {
        let world = World::new().await;
        let mut alice = Account::alice();
        macro_rules! assert_failed {
            ($operation:literal, $call:expr) => {
                world.faults.script($operation, [lost.clone()]);
                let error = $call.condition(rich()).await.unwrap_err();
                let Error::ConditionFailed(failed) = error else { panic!("{lost:?}: {error:?}") };
                assert_eq!((failed.expected(), failed.actual()), (1, Some(1)));
                assert_eq!(failed.current::<Account>().unwrap(), Account::alice());
                assert!(world.faults.is_over());
            };
        }
        assert_failed!("UpdateItem", world.table.save(&mut alice));
        assert_failed!("PutItem", world.table.replace(&mut alice));
        assert_failed!("UpdateItem", world.table.touch(&mut alice));
        assert_failed!("DeleteItem", world.table.delete(&alice));
        assert_failed!("UpdateItem", world.table.update("alice", |alice| alice.balance += 5));
        assert_eq!(world.stored("alice").await, Some(alice));
    }
}

/// Row 33, for items from before there was a version: contents may have changed under it, so a doubt remains.
pub(crate) async fn a_condition_that_is_false_after_a_doubt_is_unknown_where_there_is_no_version() {
    for (lost, unknown) in [(Fault::ConnectionRefused, false), (Fault::RequestLost, true)] {
        let world = World::new().await;
        let old = world.store.client().put_item().table_name("accounts");
        let old = old.item("id", aws_sdk_dynamodb::types::AttributeValue::S("old".into()));
        let old = old.item("balance", aws_sdk_dynamodb::types::AttributeValue::N("3".into()));
        old.send().await.unwrap();
        let mut held = world.stored("old").await.unwrap();
        assert_eq!(held.version, 0);
        macro_rules! assert_failed {
            ($operation:literal, $call:expr) => {
                world.faults.script($operation, [lost.clone()]);
                match $call.condition(rich()).await.unwrap_err() {
                    Error::OutcomeUnknown(_) if unknown => {}
                    Error::ConditionFailed(_) if !unknown => {}
                    error => panic!("{lost:?}: {error:?}"),
                }
                assert!(world.faults.is_over());
            };
        }
        assert_failed!("UpdateItem", world.table.save(&mut held));
        assert_failed!("PutItem", world.table.replace(&mut held));
        assert_failed!("UpdateItem", world.table.touch(&mut held));
        assert_failed!("DeleteItem", world.table.delete(&held));
        assert_failed!("UpdateItem", world.table.update("old", |old| old.balance += 5));
        assert_eq!(world.stored("old").await, Some(held));
    }
}

/// After a doubt, that there is no item may mean that a rival deleted ours.
#[tokio::test(start_paused = true)]
async fn a_create_whose_condition_is_false_is_definite_unless_a_reply_was_lost() {
    for (lost, unknown) in [(Fault::ConnectionRefused, false), (Fault::RequestLost, true)] {
        let world = World::new().await;
        let mut bob = Account::bob();
        world.faults.script("PutItem", [lost]);
        match world.table.create(&mut bob).condition(rich()).await.unwrap_err() {
            Error::OutcomeUnknown(_) if unknown => {}
            Error::ConditionFailed(_) if !unknown => {}
            error => panic!("{error:?}"),
        }
        assert_eq!((bob, world.stored("bob").await), (Account::bob(), None));
    }
}
