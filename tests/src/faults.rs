//! An HTTP client that goes wrong by script.
//!
//! A fault sits where the network is, behind the real SDK: its serialization, its retries and its timeouts run as they
//! would against a store far away.

use std::{
    collections::VecDeque,
    future, io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream, retry::ErrorKind};
use serde_json::{Value, json};

use crate::recording::operation;

/// What happens to one request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Nothing: the request and its reply pass, so that a script can strike a later attempt.
    Pass,
    /// The connection is refused: nothing is sent.
    ConnectionRefused,
    /// The connection breaks before the request reaches the store.
    RequestLost,
    /// The server closes the connection when the request comes, as one does that was idle for too long.
    HungUp,
    /// Something between the client and the store delivers the request twice, and only the second reply arrives.
    Twice,
    /// The connection breaks, and the request reaches the store only after this long.
    Late(Duration),
    /// The store answers after this long.
    Delay(Duration),
    /// The store carries out the request, and the connection breaks before its reply.
    ReplyLost,
    /// The store carries out the request and never replies.
    Hang,
    /// The store carries out the request, and the connection breaks in the middle of its reply.
    BrokenOff,
    /// The store carries out the request, and half of its reply arrives as if it were all.
    Truncated,
    /// The store refuses a failed check without telling the item, as some stores do.
    Untold,
    /// Something before the store replies with this error.
    Instead(Reply),
    /// The store carries out the request, and something after it replies with this error.
    After(Reply),
}

/// An error reply.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The name of the exception, such as `"ThrottlingException"`.
    pub exception: String,
    /// What it says.
    pub message: String,
    /// Why each action of a transaction was cancelled, or `"None"`; empty for any other reply.
    pub reasons: Vec<String>,
    /// The item that each of these reasons tells, in DynamoDB's JSON; `Null` for none.
    pub item: Value,
}

impl Reply {
    /// A reply with the exception's `status` and name.
    #[must_use]
    pub fn new(status: u16, exception: &str) -> Self {
        let message = format!("{exception}, by script");
        Self { status, exception: exception.to_owned(), message, reasons: Vec::new(), item: Value::Null }
    }

    /// The reply that cancels a transaction, with the code for each of its actions.
    #[must_use]
    pub fn cancelled<const N: usize>(codes: [&str; N]) -> Self {
        let reasons = codes.map(str::to_owned).to_vec();
        Self { reasons, ..Self::new(400, "TransactionCanceledException") }
    }

    /// The reply of a server that broke down.
    #[must_use]
    pub fn internal_server_error() -> Self {
        Self::new(500, "InternalServerError")
    }
}

/// Wraps an HTTP client and strikes requests by script; whatever the script doesn't name passes. Clones share one
/// script.
///
/// ```
/// # use aws_sdk_dynamodb::Client;
/// # use dynalock_tests::{engines::Store, faults::{Fault, Faults}, recording::Recording};
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let store = Store::memory();
/// let recording = Recording::new(store.http_client());
/// let faults = Faults::new(recording.clone());
/// let client = Client::from_conf(store.config().http_client(faults.clone()).build());
///
/// faults.script("ListTables", [Fault::RequestLost, Fault::ReplyLost]);
/// client.list_tables().send().await.unwrap();
/// assert_eq!(recording.count("ListTables"), 2, "the lost request never came through");
/// assert!(faults.is_over());
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Faults {
    inner: SharedHttpClient,
    script: Script,
    item_is_denied: Arc<AtomicBool>,
}

type Script = Arc<Mutex<VecDeque<(String, Fault)>>>;

impl Faults {
    /// Puts an empty script in front of `inner`.
    #[must_use]
    pub fn new(inner: impl HttpClient + 'static) -> Self {
        let inner = SharedHttpClient::new(inner);
        Self { inner, script: Script::default(), item_is_denied: Arc::default() }
    }

    /// Adds what happens to the next requests of `operation`, one fault for each.
    pub fn script(&self, operation: &str, faults: impl IntoIterator<Item = Fault>) {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        script.extend(faults.into_iter().map(|fault| (operation.to_owned(), fault)));
    }

    /// From now on denies every request that a failed check shall return the item of, as a policy may, before the script
    /// strikes it.
    pub fn deny_item(&self) {
        self.item_is_denied.store(true, Ordering::Relaxed);
    }

    /// Forgets the rest of the script.
    pub fn clear(&self) {
        self.script.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Returns whether every fault of the script has struck.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.script.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

impl HttpClient for Faults {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Faulty {
            inner: self.inner.http_connector(settings, components),
            script: Arc::clone(&self.script),
            item_is_denied: Arc::clone(&self.item_is_denied),
        })
    }
}

#[derive(Debug)]
struct Faulty {
    inner: SharedHttpConnector,
    script: Script,
    item_is_denied: Arc<AtomicBool>,
}

impl Faulty {
    fn next_fault(&self, operation: &str) -> Fault {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        let next = script.iter().position(|(struck, _)| struck == operation);
        next.and_then(|next| script.remove(next)).map_or(Fault::Pass, |(_, fault)| fault)
    }
}

impl HttpConnector for Faulty {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let denied = self.item_is_denied.load(Ordering::Relaxed) && asks_for_item(&request);
        let fault = if denied {
            Fault::Instead(Reply::new(400, "AccessDeniedException"))
        } else {
            self.next_fault(operation(&request))
        };
        let inner = self.inner.clone();
        HttpConnectorFuture::new(strike(fault, inner, request))
    }
}

/// Whether a write, or any action of a transaction, asks for the item.
fn asks_for_item(request: &HttpRequest) -> bool {
    let body = serde_json::from_slice::<Value>(request.body().bytes().unwrap_or_default());
    let asks = |write: &Value| write["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD";
    body.is_ok_and(|body| {
        let actions = body["TransactItems"].as_array().into_iter().flatten();
        let mut parts = actions.filter_map(Value::as_object).flat_map(|action| action.values());
        asks(&body) || parts.any(asks)
    })
}

async fn strike(
    fault: Fault,
    store: SharedHttpConnector,
    request: HttpRequest,
) -> Result<HttpResponse, ConnectorError> {
    match fault {
        Fault::Pass => store.call(request).await,
        Fault::ConnectionRefused => Err(broken(io::ErrorKind::ConnectionRefused)),
        Fault::RequestLost => Err(broken(io::ErrorKind::ConnectionReset)),
        Fault::HungUp => {
            let closed = "the connection was closed before the reply".into();
            Err(ConnectorError::other(closed, Some(ErrorKind::TransientError)))
        }
        Fault::Twice => {
            let copy = request.try_clone().ok_or_else(|| broken(io::ErrorKind::InvalidInput))?;
            store.call(copy).await?;
            store.call(request).await
        }
        Fault::Late(time) => {
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
        Fault::Hang => {
            store.call(request).await?;
            future::pending().await
        }
        Fault::BrokenOff => {
            let mut response = store.call(request).await?;
            // A body that was taken away fails to be read, as one does whose connection is gone.
            response.take_body();
            Ok(response)
        }
        Fault::Truncated => half_of(store.call(request).await?).await,
        Fault::Untold => without_item(store.call(request).await?).await,
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
    let mut told: Value =
        serde_json::from_slice(&body).map_err(|error| ConnectorError::user(error.into()))?;
    if !response.status().is_success() {
        let forget =
            |refusal: &mut Value| drop(refusal.as_object_mut().map(|refusal| refusal.remove("Item")));
        forget(&mut told);
        let reasons = told.get_mut("CancellationReasons").and_then(Value::as_array_mut);
        reasons.into_iter().flatten().for_each(forget);
    }
    *response.body_mut() = SdkBody::from(told.to_string());
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
