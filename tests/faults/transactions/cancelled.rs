//! Why a transaction was cancelled decides what follows: a failed check wins, what may pass is sent again, the rest ends it.

use dynalock::testing::{Fault, Reply};
use dynalock::{Error, Retry};
use tokio::time::Instant;

use super::{WRITE, applies, commit, commit_with, conflict, identical, stored, world, world_of};
use crate::calls::sdk_code;
use crate::world::{Account, DEADLINE, World, always, both};

const CANCELLED: &str = "TransactionCanceledException";
const FAILED: &str = "ConditionalCheckFailed";
const NONE: &str = "None";

fn cancelled(codes: [&str; 6]) -> Fault {
    Fault::Instead(Reply::cancelled(codes))
}

/// Reasons that may pass, alone and beside each other.
fn passing() -> [Fault; 5] {
    let (conflict, throttled) = ("TransactionConflict", "ThrottlingError");
    [
        cancelled([conflict; 6]),
        cancelled([NONE, NONE, conflict, NONE, NONE, NONE]),
        cancelled([NONE, NONE, NONE, NONE, NONE, throttled]),
        cancelled([NONE, "ProvisionedThroughputExceeded", NONE, NONE, NONE, NONE]),
        cancelled([throttled, conflict, NONE, NONE, NONE, conflict]),
    ]
}

#[tokio::test(start_paused = true)]
async fn reasons_that_may_pass_are_answered_with_the_identical_request() {
    for (fault, stamps) in both(passing()) {
        for times in [1, 5] {
            let world = world_of(stamps).await;
            world.faults.script(WRITE, vec![fault.clone(); times]);
            commit(&world).await.assert_applied(&world).await;
            assert_eq!(identical(&world), times + 1, "{fault:?}");
        }
    }
}

/// The SDK does not retry them: dynalock must.
#[tokio::test(start_paused = true)]
async fn reasons_that_may_pass_are_not_retried_by_the_sdk() {
    for fault in passing() {
        let world = world().await;
        world.faults.script(WRITE, [fault.clone()]);
        let ended = commit_with(&world, Retry::none()).await;
        let error = ended.result.as_ref().unwrap_err();
        assert!(sdk_code(error) == Some(CANCELLED) && error.is_retryable(), "{fault:?}: {error:?}");
        ended.assert_untouched();
        assert_eq!((identical(&world), applies(&world).await), (1, 0), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn reasons_that_pass_only_after_the_end_have_applied_nothing() {
    for fault in passing() {
        let world = world().await;
        world.faults.script(WRITE, always(&fault));
        let begun = Instant::now();
        let ended = commit(&world).await;
        assert_eq!(ended.result.as_ref().err().and_then(sdk_code), Some(CANCELLED), "{ended:?}");
        ended.assert_untouched();
        assert_eq!(applies(&world).await, 0);
        assert!(begun.elapsed() <= DEADLINE && (10..=512).contains(&identical(&world)));
    }
}

#[tokio::test(start_paused = true)]
async fn other_reasons_end_the_commit_at_once() {
    for code in
        ["ValidationError", "ItemCollectionSizeLimitExceeded", "DuplicateItem", "AccessDenied", "NextYear"]
    {
        for other in [NONE, "TransactionConflict"] {
            let world = world().await;
            world.faults.script(WRITE, [cancelled([other, other, code, NONE, NONE, NONE])]);
            let ended = commit(&world).await;
            let error = ended.result.as_ref().unwrap_err();
            assert!(sdk_code(error) == Some(CANCELLED) && !error.is_retryable(), "{code}: {error:?}");
            ended.assert_untouched();
            assert_eq!((identical(&world), applies(&world).await), (1, 0), "{code} {other}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_without_reasons_ends_the_commit_at_once() {
    let world = world().await;
    world.faults.script(WRITE, [Fault::Instead(Reply::new(400, CANCELLED))]);
    let ended = commit(&world).await;
    assert_eq!(ended.result.as_ref().err().and_then(sdk_code), Some(CANCELLED), "{ended:?}");
    assert_eq!((identical(&world), applies(&world).await), (1, 0));
}

/// Row 29.
pub(crate) async fn a_failed_check_wins_over_reasons_that_may_pass() {
    for (passing, stamps) in both(["TransactionConflict", "ThrottlingError"]) {
        for place in [0, 3] {
            let world = world_of(stamps).await;
            let id = super::IDS[place];
            let theirs = world.rival.update(id, |account| account.balance = -1).await.unwrap();
            let before = stored(&world).await;
            let mut codes = [passing; 6];
            codes[place] = FAILED;
            world.faults.script(WRITE, [cancelled(codes)]);
            let ended = commit(&world).await;
            ended.assert_untouched();
            let found = conflict(ended.result.as_ref().unwrap_err());
            assert_eq!((found.action_index(), found.expected(), found.actual()), (Some(place), 1, Some(2)));
            assert_eq!(found.current::<Account>().unwrap(), theirs);
            assert_eq!(found.cancellation_reasons(), codes);
            assert!(found.other_refusals().is_empty(), "only one check failed");
            assert_eq!(identical(&world), 1);
            assert_eq!(stored(&world).await, before, "a partial write");
        }
    }
}

/// The error of a commit that a rival overtakes after `lost`.
async fn raced(world: &World, lost: &Fault, rival: impl Future<Output = ()>) -> Error {
    world.faults.script(WRITE, [lost.clone()]);
    let mut theirs = None;
    let rival = async {
        rival.await;
        theirs = Some(stored(world).await);
    };
    let ended = world.overtaken(commit(world), WRITE, rival).await;
    ended.assert_untouched();
    assert_eq!(Some(stored(world).await), theirs, "written in spite of a refusal");
    ended.result.unwrap_err()
}

/// A version refuses every copy of the request, so a doubt changes nothing, nor do stamps that are off.
#[tokio::test(start_paused = true)]
async fn a_rival_that_comes_first_is_a_conflict_even_after_a_lost_request() {
    for (lost, stamps) in both([Fault::ConnectionRefused, Fault::RequestLost]) {
        for (place, id) in super::IDS.into_iter().enumerate() {
            let world = world_of(stamps).await;
            let rival = async {
                if id == "bob" {
                    world.rival.create(&mut Account::bob()).await.unwrap();
                } else {
                    world.rival.update(id, |account| account.balance = -1).await.unwrap();
                }
            };
            let error = raced(&world, &lost, rival).await;
            assert_eq!(matches!(error, Error::AlreadyExists(_)), id == "bob", "{id}: {error:?}");
            assert_eq!(conflict(&error).action_index(), Some(place));
            assert_eq!(conflict(&error).current::<Account>().ok(), world.stored(id).await);
        }
    }
}

/// Which attempt it was, each of the refusals tells.
#[tokio::test(start_paused = true)]
async fn every_refusal_tells_how_often_it_was_tried() {
    let world = world().await;
    world.faults.script(WRITE, vec![passing()[0].clone(); 2]);
    let rival = async {
        for id in ["alice", "carol", "dave"] {
            world.rival.update(id, |account| account.balance = -1).await.unwrap();
        }
    };
    let error = world.overtaken(commit(&world), WRITE, rival).await.result.unwrap_err();
    assert_eq!(conflict(&error).attempts(), 3);
    let others: Vec<u32> =
        conflict(&error).other_refusals().iter().map(|other| conflict(other).attempts()).collect();
    assert_eq!(others, [3, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_rival_that_deletes_first_is_a_conflict_without_an_item_even_after_a_lost_request() {
    for (lost, stamps) in both([Fault::ConnectionRefused, Fault::RequestLost]) {
        for (place, id) in super::IDS.into_iter().enumerate().filter(|(_, id)| *id != "bob") {
            let world = world_of(stamps).await;
            let rival = async {
                world.rival.delete(&world.stored(id).await.unwrap()).await.unwrap();
            };
            let error = raced(&world, &lost, rival).await;
            assert!(matches!(error, Error::Conflict(_)), "{id}: {error:?}");
            assert_eq!(
                (conflict(&error).action_index(), conflict(&error).item()),
                (Some(place), None),
                "{id}"
            );
        }
    }
}
