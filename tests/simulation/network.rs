//! The way from a client to the store: what goes wrong on it is drawn from the seed, and what the store does is recorded.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};
use aws_smithy_types::body::SdkBody;
use dynalock::testing::{Fault, Faults, Reply};
use dynalock_tests::history::{Effect, Stored};
use fastrand::Rng;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    sender,
    world::{CALL, LATE, LATE_CREATE, PROGRAM, World, lock},
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
    let refusal = |exception| Fault::Instead(Reply::new(400, exception));
    match kind {
        0 => Fault::ReplyLost,
        1 => Fault::RequestLost,
        2 => Fault::Late(delay),
        3 => Fault::Hang,
        4 => Fault::After(Reply::internal_server_error()),
        5 => Fault::Instead(Reply::internal_server_error()),
        6 => Fault::Truncated,
        7 => Fault::BrokenOff,
        8 => Fault::Untold,
        9 => Fault::HungUp,
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
    pub(crate) fn new(world: &Arc<World>, store: &Ledger, odds: Odds, seed: u64) -> Self {
        Self {
            world: Arc::clone(world),
            faults: Faults::new(store.clone()),
            store: SharedHttpClient::new(store.clone()),
            dice: Arc::new(Mutex::new(Rng::with_seed(seed))),
            odds,
        }
    }

    /// Draws what happens to a request: how long it takes, the fault, and when a copy of it comes. Always draws as many
    /// numbers, so that a kind of faults can be left out and the rest stays.
    fn draw(&self, latest: Duration) -> (Duration, Option<Fault>, Option<Duration>) {
        let dice = &mut *lock(&self.dice);
        let latency = Duration::from_millis(dice.u64(0..20));
        let (struck, kind) = (dice.u32(0..1000) < self.odds.faults, dice.u32(0..KINDS));
        // Most delays are short, so that copies come between other writes; some outlive every call.
        let short = latest.min(Duration::from_millis(500));
        let delay = if dice.u32(0..4) == 0 { latest } else { short }.mul_f64(dice.f64());
        let twice = dice.u32(0..1000) < self.odds.duplicates;
        let later = if dice.u32(0..4) == 0 { latest } else { short }.mul_f64(dice.f64());
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
        request.headers_mut().insert(PROGRAM, program.to_string());
        request.headers_mut().insert(CALL, call.to_string());
        let Sent { operation, body } = Sent::read(&request);
        let condition = body["ConditionExpression"].as_str().unwrap_or_default();
        let is_create = operation == "PutItem" && condition.contains("attribute_not_exists");
        if is_create {
            world.creating(call);
        }
        let (latency, fault, copy) = self.line.draw(if is_create { LATE_CREATE } else { LATE });
        let later = copy.and_then(|later| behind(fault.as_ref(), later));
        let copy = later.filter(|_| operation != "GetItem").zip(request.try_clone());
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
                faults.script(&operation, [fault]);
            }
            faulty.call(request).await
        })
    }
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

/// What a request says.
struct Sent {
    operation: String,
    body: Value,
}

impl Sent {
    fn read(request: &HttpRequest) -> Self {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit_once('.').map_or("", |(_, operation)| operation).to_owned();
        let body = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default();
        Self { operation, body }
    }
}

/// The store, and the record of what it does. A request that has come here is carried out, whoever waits for it.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    world: Arc<World>,
    store: SharedHttpClient,
    /// One request at a time, so that what is read after a write is what it left.
    items: Arc<tokio::sync::Mutex<BTreeMap<String, Stored>>>,
}

impl Ledger {
    pub(crate) fn new(world: &Arc<World>, store: SharedHttpClient) -> Self {
        Self { world: Arc::clone(world), store, items: Arc::default() }
    }
}

impl HttpClient for Ledger {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let store = self.store.http_connector(settings, components);
        SharedHttpConnector::new(Recorder { ledger: self.clone(), store })
    }
}

#[derive(Debug)]
struct Recorder {
    ledger: Ledger,
    store: SharedHttpConnector,
}

impl HttpConnector for Recorder {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let carried_out = tokio::spawn(carry_out(self.ledger.clone(), self.store.clone(), request));
        HttpConnectorFuture::new(async move {
            carried_out.await.map_err(|error| ConnectorError::other(error.into(), None))?
        })
    }
}

async fn carry_out(
    ledger: Ledger,
    store: SharedHttpConnector,
    request: HttpRequest,
) -> Result<HttpResponse, ConnectorError> {
    let mut items = ledger.items.lock().await;
    let Sent { operation, body } = Sent::read(&request);
    let number = |header| request.headers().get(header).and_then(|number| number.parse().ok());
    let (program, sender) = (number(PROGRAM).unwrap_or_default(), number(CALL).unwrap_or_default());
    let response = store.call(request).await?;
    if response.status().is_success() && matches!(&*operation, "PutItem" | "UpdateItem" | "DeleteItem") {
        let key = body["Key"]["id"].as_object().or_else(|| body["Item"]["id"].as_object());
        let key = key.and_then(|key| key["S"].as_str()).unwrap_or_default().to_owned();
        let after = read(&store, &body["TableName"], &key).await?;
        let before = items.insert(key.clone(), after.clone()).flatten();
        ledger.world.apply(Effect::new(program, sender, operation, key, before, after));
    }
    Ok(response)
}

/// Reads an item as it is stored. The engine asks for no signature.
async fn read(store: &SharedHttpConnector, table: &Value, key: &str) -> Result<Stored, ConnectorError> {
    let body = json!({ "TableName": table, "Key": { "id": { "S": key } }, "ConsistentRead": true });
    let mut request = HttpRequest::new(SdkBody::from(body.to_string()));
    request.headers_mut().insert("x-amz-target", "DynamoDB_20120810.GetItem");
    let response = store.call(request).await?;
    let mut reply: Value = serde_json::from_slice(response.body().bytes().unwrap_or_default())
        .map_err(|error| ConnectorError::user(error.into()))?;
    Ok(reply.as_object_mut().and_then(|reply| reply.remove("Item")))
}
