//! Error answers that DynamoDB itself does not give: another store's, a proxy's, a disabled account's.

use std::time::Duration;

use aws_sdk_dynamodb::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use dynalock::Error;
use dynalock::testing::{Fault, Reply};
use dynalock_tests::engines::retries_of_2026;
use dynalock_tests::runtimes::{each, hasty, retry, time_is_real};

use crate::calls::{Call, sdk_code, unknown_because_of};
use crate::kinds::Kind;
use crate::world::{World, always, both, breakdown_after, refusal, throttled};

/// Replaces the body of each answer with this status by a page.
#[derive(Debug)]
struct Page(u16);

impl Intercept for Page {
    fn name(&self) -> &'static str {
        "Page"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if context.response().status().as_u16() == self.0 {
            *context.response_mut().body_mut() = "<html><h1>Nothing here</h1></html>".into();
        }
        Ok(())
    }
}

/// A world behind which every request is answered with such a page.
async fn paged(status: u16, operation: &str) -> World {
    let world = World::with(|config| config.interceptor(Page(status))).await;
    world.faults.script(operation, always(&Fault::Instead(Reply::new(status, "Page"))));
    world
}

/// A refusal with a code is DynamoDB's, or that of a store which is like it: nothing was done.
#[tokio::test(start_paused = true)]
async fn a_refusal_with_a_code_that_nobody_knows_is_final_and_costs_one_request() {
    let codes = [
        (400, "UnknownOperationException"),
        (400, "ExceptionOfNextYear"),
        (403, "AccountProblem"),
        (400, "SubscriptionRequiredException"),
        (403, "ForbiddenException"),
        (404, "NotFound"),
        (413, "RequestEntityTooLarge"),
    ];
    for (status, code) in codes {
        for kind in Kind::all() {
            for operation in kind.operations() {
                let world = World::new().await;
                world.faults.script(operation, always(&Fault::Instead(Reply::new(status, code))));
                let error = kind.run(&world, dynalock::Retry::default()).await.unwrap_err();
                assert_eq!(sdk_code(&error), Some(code), "{kind:?} {operation}: {error:?}");
                assert!(!error.is_retryable(), "{kind:?} {operation}: {error:?}");
                assert_eq!(world.sent.count(operation), 1, "{kind:?} {operation}");
            }
        }
    }
}

/// After a doubt it is final as well, and the doubt remains.
#[tokio::test(start_paused = true)]
async fn such_a_refusal_after_a_lost_reply_is_the_cause_of_an_unknown_outcome() {
    for (call, stamps) in both(Call::ALL.into_iter().filter(|call| !call.creates())) {
        let world = World::of(stamps).await;
        let refusal = Fault::Instead(Reply::new(400, "ExceptionOfNextYear"));
        world.faults.script(call.operation(), [Fault::ReplyLost, refusal]);
        let ended = call.run(&world).await;
        let error = ended.result.as_ref().unwrap_err();
        assert_eq!(unknown_because_of(error), Some("ExceptionOfNextYear"), "{call:?}: {error:?}");
        ended.assert_untouched(call);
    }
}

/// Time ran out, or the work was broken off: that says nothing of whether the write was applied.
#[tokio::test(start_paused = true)]
async fn a_refusal_that_says_that_time_ran_out_leaves_doubt() {
    let interrupted = [
        (408, "ValidationException"),
        (400, "RequestTimeout"),
        (400, "RequestTimeoutException"),
        (400, "RequestAborted"),
        (400, "RequestAbortedException"),
        (400, "InternalServerError"),
    ];
    for (status, code) in interrupted {
        for (call, stamps) in both(Call::ALL) {
            let world = World::of(stamps).await;
            world.faults.script(call.operation(), [Fault::After(Reply::new(status, code))]);
            println!("{call:?} {status} {code}");
            call.run(&world).await.assert_lost(call, &world).await;
        }
        let world = World::new().await;
        world.faults.script("GetItem", [Fault::Instead(Reply::new(status, code))]);
        assert!(world.table.get("alice").await.unwrap().is_some(), "a read is asked again");
    }
}

/// An answer without a code is a proxy's or a wrong endpoint's, and what that did with the request nobody knows. The second
/// attempt of what may be sent again may tell; a read has nothing to find out.
#[tokio::test(start_paused = true)]
async fn a_page_in_place_of_an_answer_is_worth_two_attempts_of_a_write_and_one_of_a_read() {
    for (call, stamps) in both(Call::ALL) {
        for status in [400, 403, 404] {
            let world = World { stamps, ..paged(status, call.operation()).await };
            let ended = call.run(&world).await;
            let unknown = |error: &Error| matches!(error, Error::OutcomeUnknown(_));
            ended.assert_refused(call, &world, unknown).await;
            let sent = world.sent.count(call.operation());
            assert!(sent == 2 || call.creates() && sent == 1, "{call:?} {status}: {sent}");
        }
    }
    for kind in Kind::all() {
        let read = kind.operations().into_iter().find(|operation| operation.contains("Get"));
        let Some(operation) = read else { continue };
        let world = paged(404, operation).await;
        let error = kind.run(&world, dynalock::Retry::default()).await.unwrap_err();
        assert!(matches!(error, Error::Sdk(_)), "{kind:?}: {error:?}");
        assert_eq!(world.sent.count(operation), 1, "{kind:?}");
    }
}

/// A proxy that lets one request through to the store, and a page back, costs no answer.
#[tokio::test(start_paused = true)]
async fn one_page_in_place_of_an_answer_is_a_lost_reply() {
    for (call, stamps) in both(Call::ALL) {
        let world = World::with(|config| config.interceptor(Page(404))).await;
        let world = World { stamps, ..world };
        world.faults.script(call.operation(), [Fault::After(Reply::new(404, "Page"))]);
        call.run(&world).await.assert_lost(call, &world).await;
    }
}

/// Row 48: whatever the SDK does by itself, no answer is another one.
pub(crate) async fn a_client_with_the_retries_of_2026_gets_the_same_answers() {
    let retries = || {
        let retries = retries_of_2026();
        if time_is_real() { hasty(retries, Duration::from_millis(1)) } else { retries }
    };
    each(both(Call::ALL), move |(call, stamps)| async move {
        let world = async || {
            let world = World::with(|config| config.retry_config(retries())).await;
            World { stamps, ..world }
        };
        let nothing_sent = [Fault::ConnectionRefused, throttled(), refusal("TransactionConflictException")];
        let before = world().await;
        let nothing_sent: Vec<Fault> = nothing_sent.iter().cycle().take(9).cloned().collect();
        call.run_into(&before, &nothing_sent).await.assert_applied(call, &before).await;
        for lost in [Fault::ReplyLost, Fault::Truncated, breakdown_after()] {
            let after = world().await;
            call.run_into(&after, &[Fault::ConnectionRefused, lost]).await.assert_lost(call, &after).await;
        }
        let throttled_for_good = world().await;
        let retry = retry(&[]).attempts(2);
        throttled_for_good.faults.script(call.operation(), always(&throttled()));
        let ended = call.run_with(&throttled_for_good, retry).await;
        let code = |error: &Error| sdk_code(error) == Some("ThrottlingException");
        ended.assert_refused(call, &throttled_for_good, code).await;
        // dynalock's own attempts are 2. In each of them the SDK makes 4, or 1 for a create.
        let sent = if call.creates() { 2 } else { 2 * 4 };
        assert_eq!(throttled_for_good.sent.count(call.operation()), sent, "{call:?}");
    })
    .await;
}
