//! Reads that are refused, lost or cut short.

use std::time::Duration;

use dynalock::testing::Fault;
use dynalock::{Error, Retry};
use tokio::time::Instant;

use crate::calls::sdk_code;
use crate::world::{Account, DEADLINE, World, always, breakdown, breakdown_after, refusal, throttled};

/// Everything that a read survives.
fn passing() -> Vec<Fault> {
    vec![
        Fault::ConnectionRefused,
        Fault::RequestLost,
        Fault::ClosedByServer,
        Fault::ReplyLost,
        Fault::NeverReplies,
        Fault::BodyCutOff,
        Fault::Truncated,
        breakdown(),
        breakdown_after(),
        throttled(),
        refusal("ProvisionedThroughputExceededException"),
        refusal("RequestLimitExceeded"),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_read_that_fails_is_done_again() {
    for fault in passing() {
        let world = World::new().await;
        world.faults.script("GetItem", vec![fault.clone(); 7]);
        let retry = Retry::default().attempt_timeout(Duration::from_secs(1));
        let read = world.table.get("alice").retry(retry).await;
        assert_eq!(read.unwrap(), Some(Account::alice()), "{fault:?}");
        assert_eq!(world.sent.count("GetItem"), 8, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_of_many_that_fails_is_done_again() {
    for fault in passing() {
        let world = World::new().await;
        world.faults.script("BatchGetItem", vec![fault.clone(); 7]);
        let retry = Retry::default().attempt_timeout(Duration::from_secs(1));
        let read = world.table.clone().with_retry(retry).get_many(["bob", "alice", "alice"]).await;
        let alice = Some(Account::alice());
        assert_eq!(read.unwrap(), [None, alice.clone(), alice], "{fault:?}");
        assert_eq!(world.sent.count("BatchGetItem"), 8, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_that_is_refused_for_good_is_not_done_again() {
    for exception in ["AccessDeniedException", "ResourceNotFoundException", "ValidationException"] {
        let world = World::new().await;
        world.faults.script("GetItem", [refusal(exception)]);
        world.faults.script("BatchGetItem", [refusal(exception)]);
        let error = world.table.get("alice").await.unwrap_err();
        assert_eq!(sdk_code(&error), Some(exception));
        let error = world.table.get_many(["alice"]).await.unwrap_err();
        assert_eq!(sdk_code(&error), Some(exception));
        assert_eq!(world.sent.operations(), ["GetItem", "BatchGetItem"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_ends_by_its_deadline_though_every_reply_hangs() {
    let world = World::new().await;
    world.faults.script("GetItem", always(&Fault::NeverReplies));
    let begun = Instant::now();
    let second = Duration::from_secs(1);
    let read = world.table.get("alice").retry(Retry::default().deadline(second)).await;
    assert!(matches!(read, Err(Error::Sdk(_))), "{read:?}");
    assert_eq!(begun.elapsed().as_secs(), 1);

    world.faults.script("BatchGetItem", always(&Fault::NeverReplies));
    let begun = Instant::now();
    let table = world.table.clone().with_retry(Retry::default().deadline(second));
    let read = table.get_many(["alice"]).await;
    assert!(matches!(read, Err(Error::Sdk(_))), "{read:?}");
    assert_eq!(begun.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_is_throttled_to_the_end_is_bounded() {
    let world = World::new().await;
    world.faults.script("GetItem", always(&throttled()));
    world.faults.script("BatchGetItem", always(&throttled()));
    let begun = Instant::now();
    let error = world.table.get("alice").await.unwrap_err();
    assert_eq!(sdk_code(&error), Some("ThrottlingException"));
    assert!(error.is_retryable());
    assert!(begun.elapsed() <= DEADLINE);
    let begun = Instant::now();
    let error = world.table.get_many(["alice"]).await.unwrap_err();
    assert_eq!(sdk_code(&error), Some("ThrottlingException"));
    assert!(begun.elapsed() <= DEADLINE);
    assert!(world.sent.sent().len() <= 2 * 64 * 3);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_fails_before_an_update_leaves_the_item_and_runs_no_closure() {
    let world = World::new().await;
    world.faults.script("GetItem", [refusal("AccessDeniedException")]);
    let mut runs = 0;
    let error = world.table.update("alice", |_| runs += 1).await.unwrap_err();
    assert_eq!(sdk_code(&error), Some("AccessDeniedException"));
    assert_eq!((runs, world.stored("alice").await), (0, Some(Account::alice())));
    assert_eq!(world.sent.operations(), ["GetItem"]);
}
