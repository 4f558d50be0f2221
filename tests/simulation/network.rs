//! The way from a client to the store: what goes wrong on it is drawn from the seed, and what each client hears is recorded.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};
use dynalock::testing::{self, Fault, Faults};
use dynalock_tests::history::{Attempt, Reply, call_of};
use fastrand::Rng;
use serde_json::Value;
use tokio::time::sleep;

use crate::{
    ledger::{Sent, refusal},
    sender,
    world::{ATTEMPT, CALL, LATE, PROGRAM, World, lock},
};

/// How often things go wrong, and which.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Odds {
    /// Of 1,000 requests.
    pub(crate) faults: u32,
    /// Of 1,000 requests, how many come a second time.
    pub(crate) duplicates: u32,
    /// A bit for each kind that may happen, in the order of [`fault`].
    pub(crate) kinds: u32,
}

/// How many kinds of faults there are; one more bit in [`Odds::kinds`] stands for duplicates.
pub(crate) const KINDS: u32 = 16;

fn fault(kind: u32, delay: Duration) -> Fault {
    let refusal = |exception| Fault::Instead(testing::Reply::new(400, exception));
    match kind {
        0 => Fault::ReplyLost,
        1 => Fault::RequestLost,
        2 => Fault::DeliveredLate(delay),
        3 => Fault::NeverReplies,
        4 => Fault::After(testing::Reply::internal_server_error()),
        5 => Fault::Instead(testing::Reply::internal_server_error()),
        6 => Fault::Truncated,
        7 => Fault::BodyCutOff,
        8 => Fault::ItemWithheld,
        9 => Fault::ClosedByServer,
        10 => Fault::Delay(delay),
        11 => Fault::ConnectionRefused,
        12 => refusal("TransactionConflictException"),
        13 => refusal("ReplicatedWriteConflictException"),
        14 => refusal("ThrottlingException"),
        _ => refusal("AccessDeniedException"),
    }
}

/// A client's way to the store. Clones share dice.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    world: Arc<World>,
    faults: Faults,
    store: SharedHttpClient,
    dice: Arc<Mutex<Rng>>,
    odds: Odds,
}

impl Line {
    pub(crate) fn new(world: &Arc<World>, store: &SharedHttpClient, odds: Odds, seed: u64) -> Self {
        Self {
            world: Arc::clone(world),
            faults: Faults::new(store.clone()),
            store: store.clone(),
            dice: Arc::new(Mutex::new(Rng::with_seed(seed))),
            odds,
        }
    }

    /// Draws what happens to a request: how long it takes, the fault, and when a copy of it comes. Always draws as many
    /// numbers, so that a kind of faults can be left out and the rest stays.
    fn draw(&self) -> (Duration, Option<Fault>, Option<Duration>) {
        let dice = &mut *lock(&self.dice);
        let latency = Duration::from_millis(dice.u64(0..20));
        let (struck, kind) = (dice.u32(0..1000) < self.odds.faults, dice.u32(0..KINDS));
        // Most delays are short, so that copies come between other writes; some outlive every call.
        let short = Duration::from_millis(500);
        let delay = if dice.u32(0..4) == 0 { LATE } else { short }.mul_f64(dice.f64());
        let twice = dice.u32(0..1000) < self.odds.duplicates;
        let later = if dice.u32(0..4) == 0 { LATE } else { short }.mul_f64(dice.f64());
        let allowed = |kind: u32| self.odds.kinds >> kind & 1 == 1;
        let fault = (struck && allowed(kind)).then(|| fault(kind, delay));
        (latency, fault, (twice && allowed(KINDS)).then_some(later))
    }
}

impl HttpClient for Line {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector {
            faulty: self.faults.http_connector(settings, components),
            store: self.store.http_connector(settings, components),
            line: self.clone(),
        })
    }
}

/// The call whose change is the last one in a write of one item, where it leaves a mark.
fn last_change(body: &Value) -> Option<u32> {
    let values = body["ExpressionAttributeValues"].as_object().into_iter().flat_map(|values| values.values());
    let mut lists = values.chain([&body["Item"]["log"]]).filter_map(|value| value["L"].as_array());
    lists.find_map(|list| call_of(list.last()?["S"].as_str()?))
}

#[derive(Debug)]
struct Connector {
    line: Line,
    faulty: SharedHttpConnector,
    store: SharedHttpConnector,
}

impl HttpConnector for Connector {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let Line { world, faults, .. } = self.line.clone();
        let (program, call) = sender::count();
        let Sent { operation, body } = Sent::read(&request);
        // Another caller of its line may go on with the write of one that is gone.
        let call = last_change(&body).unwrap_or(call);
        request.headers_mut().insert(PROGRAM, program.to_string());
        request.headers_mut().insert(CALL, call.to_string());
        let (latency, fault, copy) = self.line.draw();
        let later = copy.and_then(|later| behind(fault.as_ref(), later));
        let is_read = matches!(&*operation, "GetItem" | "TransactGetItems");
        let attempt = (!is_read).then(|| {
            world.sent(Attempt { sender: call, operation: operation.clone(), body, reply: Reply::Doubt })
        });
        request.headers_mut().insert(ATTEMPT, attempt.unwrap_or_default().to_string());
        let copy = later.filter(|_| !is_read).zip(request.try_clone());
        let (faulty, store) = (self.faulty.clone(), self.store.clone());
        HttpConnectorFuture::new(async move {
            sleep(latency).await;
            if let Some((later, copy)) = copy {
                world.note(format_args!("call {call:<4} {operation} comes again after {later:?}"));
                tokio::spawn(async move {
                    sleep(later).await;
                    store.call(copy).await
                });
            }
            if let Some(fault) = fault {
                world.note(format_args!("call {call:<4} {operation} struck: {fault:?}"));
                // No other request can come between this one and its fault.
                faults.script(&operation, [fault.clone()]);
                let reply = faulty.call(request).await;
                return heard(&world, attempt, Some(&fault), reply);
            }
            let reply = faulty.call(request).await;
            heard(&world, attempt, None, reply)
        })
    }
}

/// Notes what the sender of an attempt hears of it. Whoever no longer waits hears nothing.
fn heard(
    world: &World,
    attempt: Option<usize>,
    fault: Option<&Fault>,
    reply: Result<HttpResponse, ConnectorError>,
) -> Result<HttpResponse, ConnectorError> {
    let heard = match (&reply, fault) {
        (_, Some(Fault::Truncated | Fault::BodyCutOff)) => Reply::Doubt,
        (Ok(response), _) if response.status().is_success() => Reply::Done,
        (Ok(response), _) if response.status().is_server_error() => Reply::Doubt,
        (Ok(response), _) => match refusal(response) {
            Some(item) => Reply::Refused(item),
            None => Reply::NotDone,
        },
        (Err(_), Some(Fault::ConnectionRefused)) => Reply::NotDone,
        (Err(_), Some(Fault::ClosedByServer)) => Reply::HungUp,
        (Err(_), _) => Reply::Doubt,
    };
    if let Some(attempt) = attempt {
        world.history().attempts[attempt].reply = heard;
    }
    reply
}

/// When a copy of a request comes, that is to come this much later than the request. An answer that is told is the first
/// one that the store gave: a copy comes behind what was carried out, and none comes of what was refused on the way.
fn behind(fault: Option<&Fault>, later: Duration) -> Option<Duration> {
    let later = later.max(Duration::from_millis(2));
    match fault {
        Some(Fault::ConnectionRefused) => None,
        Some(Fault::Instead(reply)) if reply.status < 500 => None,
        Some(Fault::Delay(delay)) => Some(later + *delay),
        _ => Some(later),
    }
}
