//! Signatures that are out of date: a process that is frozen and goes on later, and clocks that differ.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::DateTime;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::date_time::Format;
use dynalock::testing::{Fault, Reply};
use dynalock::{Error, Retry};
use dynalock_tests::engines::Store;
use dynalock_tests::middleware::{Middleware, operation};
use dynalock_tests::runtimes::{each, time_is_real};

use crate::calls::{Call, sdk_code, unknown_because_of};
use crate::kinds::Kind;
use crate::world::{Testbed, World, always, both};

const MINUTE: Duration = Duration::from_mins(1);

/// How much older or newer than DynamoDB's clock a signature may be.
const TOLERANCE: Duration = Duration::from_mins(5);

/// A clock that the process and the store share, and that only goes on when the process is frozen.
#[derive(Clone, Debug)]
struct Clock(Arc<Mutex<SystemTime>>);

impl Clock {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(SystemTime::UNIX_EPOCH + Duration::from_hours(500_000))))
    }

    fn advance(&self, time: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += time;
    }
}

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When the process is frozen: before a request goes out that is signed already, or before its reply is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Freeze {
    Request(Duration),
    Reply(Duration),
}

/// A store that checks how old signatures are, and says what time it is, as DynamoDB does.
#[derive(Clone, Debug)]
struct Strict {
    clock: Clock,
    /// How far the store's clock is ahead of the process's.
    ahead: Duration,
    freezes: Arc<Mutex<VecDeque<(&'static str, Freeze)>>>,
}

impl Middleware for Strict {
    fn handle(&self, request: HttpRequest, inner: &SharedHttpConnector) -> HttpConnectorFuture {
        let (store, inner) = (self.clone(), inner.clone());
        HttpConnectorFuture::new(async move {
            let freeze = store.next_freeze(&request);
            if let Some(Freeze::Request(time)) = freeze {
                store.clock.advance(time);
            }
            let now = store.clock.now() + store.ahead;
            let mut response = match refusal(signed(&request), now) {
                Some(refusal) => HttpResponse::new(400.try_into().unwrap(), SdkBody::from(refusal)),
                None => inner.call(request).await?,
            };
            let date = DateTime::from(now).fmt(Format::HttpDate).unwrap();
            response.headers_mut().insert("date", date);
            if let Some(Freeze::Reply(time)) = freeze {
                store.clock.advance(time);
            }
            Ok(response)
        })
    }
}

impl Strict {
    fn next_freeze(&self, request: &HttpRequest) -> Option<Freeze> {
        let mut freezes = self.freezes.lock().unwrap_or_else(PoisonError::into_inner);
        let next = freezes.iter().position(|(frozen, _)| *frozen == operation(request))?;
        freezes.remove(next).map(|(_, freeze)| freeze)
    }

    fn freeze(&self, operation: &'static str, freeze: Freeze) {
        self.freezes.lock().unwrap_or_else(PoisonError::into_inner).push_back((operation, freeze));
    }
}

/// When the request was signed, such as `20270115T080000Z`.
fn signed(request: &HttpRequest) -> SystemTime {
    let date = request.headers().get("x-amz-date").expect("a signed request");
    let [day, time] = [&date[..8], &date[9..15]];
    let date =
        format!("{}-{}-{}T{}:{}:{}Z", &day[..4], &day[4..6], &day[6..], &time[..2], &time[2..4], &time[4..]);
    DateTime::from_str(&date, Format::DateTime).unwrap().try_into().unwrap()
}

fn refusal(signed: SystemTime, now: SystemTime) -> Option<String> {
    let message = if signed + TOLERANCE < now {
        "Signature expired: 20270115T080000Z is now earlier than 20270115T080100Z (20270115T080600Z - 5 min.)"
    } else if signed > now + TOLERANCE {
        "Signature not yet current: 20270115T081000Z is still later than 20270115T080900Z (20270115T080400Z + 5 min.)"
    } else {
        return None;
    };
    let exception = "com.amazon.coral.service#InvalidSignatureException";
    Some(serde_json::json!({ "__type": exception, "message": message }).to_string())
}

/// Some of them where time is real: it is the same code.
fn freezes() -> Vec<Duration> {
    FREEZES.into_iter().step_by(if time_is_real() { 3 } else { 1 }).collect()
}

/// A world whose store is strict, at first with agreeing clocks, and that store.
async fn strict() -> (World, Strict) {
    strict_ahead(Duration::ZERO, |config| config).await
}

async fn strict_ahead(
    ahead: Duration,
    configure: impl FnOnce(aws_sdk_dynamodb::config::Builder) -> aws_sdk_dynamodb::config::Builder,
) -> (World, Strict) {
    let store = Store::memory();
    let clock = Clock::new();
    let strict = Strict { clock: clock.clone(), ahead, freezes: Arc::default() };
    let http_client = strict.wrap(store.http_client());
    let testbed = Testbed::before(store, http_client, |config| configure(config.time_source(clock)));
    let world = World::on(testbed);
    world.prepare().await;
    (world, strict)
}

/// The SDK takes half of the freeze for a difference between the clocks and signs by that, unless it was longer than 15 minutes.
const FREEZES: [Duration; 10] = [
    Duration::from_mins(4),
    Duration::from_secs(5 * 60 + 10),
    Duration::from_mins(7),
    Duration::from_mins(9),
    Duration::from_secs(10 * 60 + 10),
    Duration::from_mins(12),
    Duration::from_mins(14),
    Duration::from_mins(16),
    Duration::from_hours(1),
    Duration::from_hours(24 * 7),
];

/// Row 46: what is refused for the age of its signature was not applied, and is signed anew.
pub(crate) async fn a_request_that_was_frozen_after_it_was_signed_is_signed_anew() {
    let mut cases = Vec::new();
    for kind in Kind::all() {
        for operation in kind.operations() {
            cases.extend(freezes().into_iter().map(|time| (kind, operation, time)));
        }
    }
    each(cases, |(kind, operation, time)| async move {
        let (world, strict) = strict().await;
        strict.freeze(operation, Freeze::Request(time));
        let answer = kind.run(&world, Retry::default()).await;
        assert!(answer.is_ok(), "{kind:?}, {operation} after {time:?}: {answer:?}");
        kind.assert_done(&world).await;
        let sent = world.sent.count(operation);
        assert!(sent <= 4 + kind.operations().len(), "{kind:?}, {operation} after {time:?}: {sent} requests");
    })
    .await;
}

/// The same for the request after the one whose reply was late: the SDK then signs it for another time.
pub(crate) async fn a_request_after_a_reply_that_was_frozen_is_signed_anew() {
    let cases = Kind::all().into_iter().flat_map(|kind| freezes().into_iter().map(move |time| (kind, time)));
    each(cases, |(kind, time)| async move {
        let (world, strict) = strict().await;
        strict.freeze("GetItem", Freeze::Reply(time));
        world.table.get("carol").await.unwrap();
        let answer = kind.run(&world, Retry::default()).await;
        assert!(answer.is_ok(), "{kind:?} after {time:?}: {answer:?}");
        kind.assert_done(&world).await;
        let sent = world.sent.operations().len();
        assert!(sent <= 6 + kind.operations().len(), "{kind:?} after {time:?}: {sent} requests");
    })
    .await;
}

/// Nothing was applied, so there is no doubt either: a rival's write meanwhile is a conflict.
#[tokio::test(start_paused = true)]
async fn a_frozen_request_leaves_no_doubt() {
    for time in FREEZES {
        let (world, strict) = strict().await;
        world.rival.update("alice", |alice| alice.balance = 1).await.unwrap();
        strict.freeze("UpdateItem", Freeze::Request(time));
        let error = world.table.save(&mut Call::Save.held()).await.unwrap_err();
        assert!(matches!(error, Error::Conflict(_)), "{time:?}: {error:?}");
    }
}

/// A clock that is wrong all the time is no freeze: where the SDK may not correct it, the call ends after a few requests.
#[tokio::test(start_paused = true)]
async fn a_clock_that_stays_wrong_costs_a_few_requests_and_leaves_no_doubt() {
    for kind in Kind::all() {
        let ahead = 10 * MINUTE;
        let (world, _) = strict_ahead(ahead, |config| config.disable_clock_skew_correction(true)).await;
        let error = kind.run(&world, Retry::default()).await.unwrap_err();
        assert_eq!(sdk_code(&error), Some("InvalidSignatureException"), "{kind:?}: {error:?}");
        assert!(error.is_retryable(), "{kind:?}: a clock can be set");
        assert_eq!(world.sent.operations(), [kind.operations()[0]; 4], "{kind:?}");
    }
}

/// The SDK corrects it by itself, once it knows.
#[tokio::test(start_paused = true)]
async fn a_clock_that_stays_wrong_is_corrected() {
    for kind in Kind::all() {
        let (world, _) = strict_ahead(10 * MINUTE, |config| config).await;
        let answer = kind.run(&world, Retry::default()).await;
        assert!(answer.is_ok(), "{kind:?}: {answer:?}");
        kind.assert_done(&world).await;
    }
}

/// Other words for the same.
#[tokio::test(start_paused = true)]
async fn what_says_that_the_request_is_out_of_date_is_sent_again() {
    let expired = |status, exception: &str, message: &str| {
        let mut reply = Reply::new(status, exception);
        reply.message = message.to_owned();
        Fault::Instead(reply)
    };
    let refusals = [
        expired(400, "RequestExpired", ""),
        expired(403, "RequestTimeTooSkewed", "The difference between the request time and .. is too large."),
        expired(403, "SignatureDoesNotMatch", "Signature expired: 1 is now earlier than 2"),
        expired(400, "InvalidSignatureException", "Signature expired: 1 is now earlier than 2"),
        expired(400, "InvalidSignatureException", "Signature not yet current: 2 is still later than 1"),
    ];
    for refusal in refusals {
        for call in Call::ALL {
            let world = World::new().await;
            world.faults.script(call.operation(), vec![refusal.clone(); 3]);
            call.run(&world).await.assert_applied(call, &world).await;
            world.faults.script("GetItem", vec![refusal.clone(); 3]);
            world.table.get("carol").await.unwrap();

            if call.creates() {
                continue;
            }
            // For good, after a lost reply.
            let world = World::new().await;
            world.faults.script(call.operation(), [Fault::ReplyLost]);
            world.faults.script(call.operation(), always(&refusal));
            let error = call.run(&world).await.result.unwrap_err();
            assert!(unknown_because_of(&error).is_some(), "{call:?}: {error:?}");
            assert_eq!(world.sent.count(call.operation()), 5, "{call:?}");
        }
    }
}

/// A new call of the SDK asks for credentials, which a provider renews that knows when they expire.
#[tokio::test(start_paused = true)]
async fn expired_credentials_are_asked_for_once_more() {
    for (call, stamps) in both(Call::ALL) {
        let expired = Fault::Instead(Reply::new(400, "ExpiredTokenException"));
        let world = World::of(stamps).await;
        world.faults.script(call.operation(), [expired.clone()]);
        call.run(&world).await.assert_applied(call, &world).await;

        let world = World::of(stamps).await;
        world.faults.script(call.operation(), always(&expired));
        let ended = call.run(&world).await;
        let code = |error: &Error| sdk_code(error) == Some("ExpiredTokenException");
        ended.assert_refused(call, &world, code).await;
        assert_eq!(world.sent.count(call.operation()), 2, "{call:?}");
    }
}
