//! A network that goes wrong by script, to test what an application makes of it.
//!
//! [`Faults`] takes the place of the network behind the real SDK, whose serialization, retries and timeouts run as in production.
//! It wraps the HTTP client of an [`Engine`](crate::embedded::Engine), or any other one. The [guide](crate::guide::testing) shows
//! how to test an application with it. Dynalock's own tests use it as well.
//!
//! ```
//! use aws_sdk_dynamodb::Client;
//! use dynalock::embedded::Engine;
//! use dynalock::testing::{Fault, Faults};
//! # use dynalock::{Table, Versioned};
//! # #[derive(serde::Serialize, serde::Deserialize, Versioned)]
//! # struct Account { #[dynalock(partition_key)] id: String, balance: i64, #[dynalock(version)] version: u64 }
//!
//! // The paused clock skips the delays between attempts.
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> dynalock::Result<()> {
//! tokio::time::pause();
//! let engine = Engine::in_memory();
//! let faults = Faults::new(engine.http_client());
//! let client = Client::from_conf(engine.config().http_client(faults.clone()).build());
//!
//! let accounts = Table::<Account>::new(&client, "accounts");
//! accounts.create_table().await?;
//! accounts.create(&mut Account { id: "alice".into(), balance: 100, version: 0 }).await?;
//!
//! faults.script("UpdateItem", [Fault::ReplyLost]);
//! let alice = accounts.update("alice", |alice| alice.balance -= 30).await?;
//! assert!(faults.is_over(), "the reply was lost");
//! assert_eq!(alice.balance, 70, "and yet the change was made once");
//! # Ok(())
//! # }
//! ```

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{future, io};

use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use aws_smithy_types::retry::ErrorKind;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::lock::lock;

/// What happens to one request. If the SDK sends a request again, that is another request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// No fault: the request and its reply pass, so that the next fault of the script hits a later attempt.
    Pass,
    /// The connection is refused, and nothing is sent.
    ConnectionRefused,
    /// The connection breaks before the request reaches the store.
    RequestLost,
    /// The server closes the connection when the request comes, as it does with a connection that was idle for too long.
    ClosedByServer,
    /// Something between the client and the store delivers the request twice, and only the second reply arrives.
    DeliveredTwice,
    /// The connection breaks. The request reaches the store after this time, if tokio's runtime still runs.
    DeliveredLate(Duration),
    /// The request reaches the store after this time, and the store answers.
    Delay(Duration),
    /// The store carries out the request, and the connection breaks before its reply.
    ReplyLost,
    /// The store carries out the request and never replies.
    NeverReplies,
    /// The store carries out the request, and the connection breaks in the middle of its reply.
    BodyCutOff,
    /// The store carries out the request, and half of its reply arrives as if it were complete.
    Truncated,
    /// The store carries out the request, but if a check fails, its reply has no item.
    ItemWithheld,
    /// Something between the client and the store replies with this error, and the request does not reach the store.
    Instead(Reply),
    /// The store carries out the request, and something between it and the client replaces the reply by this error.
    After(Reply),
}

/// An error reply.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The name of the exception, such as `"ThrottlingException"`.
    pub exception: String,
    /// The message of the exception.
    pub message: String,
    /// The reason of each action of a cancelled transaction, with `"None"` for an action that is not at fault. Empty for any
    /// other reply.
    pub reasons: Vec<String>,
    /// The item that each reason returns; `Null` for none.
    item: Value,
}

impl Reply {
    /// Returns an error reply with this HTTP status and exception.
    #[must_use]
    pub fn new(status: u16, exception: &str) -> Self {
        let message = format!("{exception}, by script");
        Self { status, exception: exception.to_owned(), message, reasons: Vec::new(), item: Value::Null }
    }

    /// Returns the same reply with this item in each reason. `item` is in DynamoDB's JSON. If it is not valid JSON, the reasons
    /// have no item.
    #[must_use]
    pub fn telling(mut self, item: &str) -> Self {
        self.item = serde_json::from_str(item).unwrap_or_default();
        self
    }

    /// Returns the reply that cancels a transaction, with a code for each of its actions.
    #[must_use]
    pub fn cancelled<const N: usize>(codes: [&str; N]) -> Self {
        let reasons = codes.map(str::to_owned).to_vec();
        Self { reasons, ..Self::new(400, "TransactionCanceledException") }
    }

    /// Returns the reply of a table or a partition that is throttled.
    #[must_use]
    pub fn throttled() -> Self {
        Self::new(400, "ThrottlingException")
    }

    /// Returns the reply of a server that failed.
    #[must_use]
    pub fn internal_server_error() -> Self {
        Self::new(500, "InternalServerError")
    }
}

/// An HTTP client that wraps another one, and makes requests fail by script. All other requests pass. Clones share one script.
#[derive(Clone, Debug)]
pub struct Faults {
    inner: SharedHttpClient,
    plan: Arc<Plan>,
}

#[derive(Debug, Default)]
struct Plan {
    script: Mutex<VecDeque<(String, Fault)>>,
    gates: Mutex<Vec<Gate>>,
    is_item_denied: AtomicBool,
}

impl Faults {
    /// Puts an empty script in front of `inner`.
    #[must_use]
    pub fn new(inner: impl HttpClient + 'static) -> Self {
        Self { inner: SharedHttpClient::new(inner), plan: Arc::default() }
    }

    /// Adds the faults of the next requests of `operation`, such as `"UpdateItem"`, one fault for each request.
    pub fn script(&self, operation: &str, faults: impl IntoIterator<Item = Fault>) {
        lock(&self.plan.script).extend(faults.into_iter().map(|fault| (operation.to_owned(), fault)));
    }

    /// Removes the rest of the script, and opens all gates.
    pub fn clear(&self) {
        lock(&self.plan.script).clear();
        lock(&self.plan.gates).drain(..).for_each(|gate| gate.open());
    }

    /// Returns whether every fault of the script has happened.
    #[must_use]
    pub fn is_over(&self) -> bool {
        lock(&self.plan.script).is_empty()
    }

    /// Stops all requests of `operation` that come after the end of the script, until the gate is opened. Something else can be
    /// done first. Opens an earlier gate of this operation.
    #[must_use]
    pub fn hold_up(&self, operation: impl Into<String>) -> Gate {
        let closed = || Arc::new(Semaphore::new(0));
        let gate = Gate { operation: operation.into().into(), reached: closed(), barrier: closed() };
        let mut gates = lock(&self.plan.gates);
        gates.retain(|earlier| {
            let is_kept = earlier.operation != gate.operation;
            if !is_kept {
                earlier.open();
            }
            is_kept
        });
        gates.push(gate.clone());
        gate
    }

    /// From now on, denies every request that asks a failed check to return the item, as an IAM policy may. A denied request
    /// takes no fault from the script.
    pub fn deny_item(&self) {
        self.plan.is_item_denied.store(true, Ordering::Relaxed);
    }
}

/// A gate at which the requests of one operation stop until it is opened, those that the SDK sends again included. It stays
/// closed when its handles are dropped.
#[derive(Clone, Debug)]
pub struct Gate {
    operation: Arc<str>,
    /// A semaphore without permits, which is closed when the first request comes.
    reached: Arc<Semaphore>,
    /// A semaphore without permits, which is closed when the gate is opened.
    barrier: Arc<Semaphore>,
}

impl Gate {
    /// Waits until a request has come to the gate.
    ///
    /// # Panics
    ///
    /// Panics if no request comes within an hour of tokio's clock, which passes at once if the clock is paused. The code under
    /// test then sends another operation, or none.
    pub async fn reached(&self) {
        let reached = tokio::time::timeout(Duration::from_hours(1), self.reached.acquire()).await;
        assert!(reached.is_ok(), "no request of {} came to the gate", self.operation);
    }

    /// Lets all requests pass, those at the gate and later ones.
    pub fn open(&self) {
        self.barrier.close();
    }

    async fn pass(&self) {
        self.reached.close();
        // There is never a permit: the wait ends with an error when the gate is opened.
        let _ = self.barrier.acquire().await;
    }
}

impl HttpClient for Faults {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(Faulty { inner, plan: Arc::clone(&self.plan) })
    }
}

#[derive(Debug)]
struct Faulty {
    inner: SharedHttpConnector,
    plan: Arc<Plan>,
}

impl Plan {
    fn gate_of(&self, operation: &str) -> Option<Gate> {
        let gate = lock(&self.gates).iter().find(|gate| &*gate.operation == operation).cloned();
        gate.filter(|_| lock(&self.script).is_empty())
    }

    fn next_fault(&self, request: &HttpRequest) -> Fault {
        if self.is_item_denied.load(Ordering::Relaxed) && asks_for_item(request) {
            return Fault::Instead(Reply::new(400, "AccessDeniedException"));
        }
        let operation = operation(request);
        let mut script = lock(&self.script);
        let next = script.iter().position(|(scripted, _)| scripted == operation);
        next.and_then(|next| script.remove(next)).map_or(Fault::Pass, |(_, fault)| fault)
    }
}

impl HttpConnector for Faulty {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let inner = self.inner.clone();
        let plan = Arc::clone(&self.plan);
        let gate = plan.gate_of(operation(&request));
        HttpConnectorFuture::new(async move {
            if let Some(gate) = gate {
                gate.pass().await;
            }
            strike(plan.next_fault(&request), inner, request).await
        })
    }
}

/// The operation that `request` calls, or `""`.
fn operation(request: &HttpRequest) -> &str {
    let target = request.headers().get("x-amz-target").unwrap_or_default();
    target.rsplit_once('.').map_or("", |(_service, operation)| operation)
}

/// Whether a write, or any action of a transaction, asks a failed check to return the item.
fn asks_for_item(request: &HttpRequest) -> bool {
    let body = serde_json::from_slice::<Value>(request.body().bytes().unwrap_or_default());
    let asks = |write: &Value| write["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD";
    body.is_ok_and(|body| {
        let actions = body["TransactItems"].as_array().into_iter().flatten();
        let mut parts = actions.filter_map(Value::as_object).flat_map(|action| action.values());
        asks(&body) || parts.any(asks)
    })
}

/// Sends the request to the store, with the fault.
async fn strike(
    fault: Fault,
    store: SharedHttpConnector,
    request: HttpRequest,
) -> Result<HttpResponse, ConnectorError> {
    match fault {
        Fault::Pass => store.call(request).await,
        Fault::ConnectionRefused => Err(broken(io::ErrorKind::ConnectionRefused)),
        Fault::RequestLost => Err(broken(io::ErrorKind::ConnectionReset)),
        Fault::ClosedByServer => {
            let closed = "the connection was closed before the reply".into();
            Err(ConnectorError::other(closed, Some(ErrorKind::TransientError)))
        }
        Fault::DeliveredTwice => {
            let copy = request.try_clone().ok_or_else(|| broken(io::ErrorKind::InvalidInput))?;
            store.call(copy).await?;
            store.call(request).await
        }
        Fault::DeliveredLate(time) => {
            tokio::spawn(async move {
                tokio::time::sleep(time).await;
                store.call(request).await
            });
            Err(broken(io::ErrorKind::ConnectionReset))
        }
        Fault::Delay(time) => {
            tokio::time::sleep(time).await;
            store.call(request).await
        }
        Fault::ReplyLost => {
            store.call(request).await?;
            Err(broken(io::ErrorKind::ConnectionReset))
        }
        Fault::NeverReplies => {
            store.call(request).await?;
            future::pending().await
        }
        Fault::BodyCutOff => {
            let mut response = store.call(request).await?;
            // The body that this leaves behind fails when it is read, like that of a broken connection.
            response.take_body();
            Ok(response)
        }
        Fault::Truncated => half_of(store.call(request).await?).await,
        Fault::ItemWithheld => without_item(store.call(request).await?).await,
        Fault::Instead(reply) => response(&reply),
        Fault::After(reply) => {
            store.call(request).await?;
            response(&reply)
        }
    }
}

fn broken(kind: io::ErrorKind) -> ConnectorError {
    ConnectorError::io(io::Error::from(kind).into())
}

async fn body_of(response: &mut HttpResponse) -> Result<Vec<u8>, ConnectorError> {
    let whole = ByteStream::new(response.take_body()).collect().await;
    Ok(whole.map_err(|error| ConnectorError::io(error.into()))?.to_vec())
}

async fn without_item(mut response: HttpResponse) -> Result<HttpResponse, ConnectorError> {
    let body = body_of(&mut response).await?;
    let mut reply: Value =
        serde_json::from_slice(&body).map_err(|error| ConnectorError::user(error.into()))?;
    if !response.status().is_success() {
        let remove_item =
            |refusal: &mut Value| drop(refusal.as_object_mut().map(|refusal| refusal.remove("Item")));
        remove_item(&mut reply);
        let reasons = reply.get_mut("CancellationReasons").and_then(Value::as_array_mut);
        reasons.into_iter().flatten().for_each(remove_item);
    }
    *response.body_mut() = SdkBody::from(reply.to_string());
    Ok(response)
}

async fn half_of(mut response: HttpResponse) -> Result<HttpResponse, ConnectorError> {
    let whole = body_of(&mut response).await?;
    *response.body_mut() = SdkBody::from(&whole[..whole.len() / 2]);
    Ok(response)
}

fn response(reply: &Reply) -> Result<HttpResponse, ConnectorError> {
    let exception = format!("com.amazonaws.dynamodb.v20120810#{}", reply.exception);
    let mut body = json!({ "__type": exception, "message": reply.message });
    if !reply.reasons.is_empty() {
        let reasons = reply.reasons.iter().map(|code| json!({ "Code": code, "Item": reply.item }));
        body["CancellationReasons"] = reasons.collect();
    }
    let body = body.to_string();
    let status = reply.status.try_into().map_err(|error| ConnectorError::user(Box::new(error)))?;
    Ok(HttpResponse::new(status, SdkBody::from(body)))
}
