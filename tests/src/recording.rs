//! An HTTP client that writes down what passes, so that a test can tell exactly which requests were sent.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::HttpRequest,
};
use serde_json::Value;

/// One request, as it was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// Where it went, such as `"dynamodb.us-east-1.amazonaws.com"`.
    pub host: String,
    /// What was called, such as `"UpdateItem"`.
    pub operation: String,
    /// The JSON that went with it.
    pub body: Value,
}

/// Wraps an HTTP client and records every attempt that passes, the SDK's retries included; clones share one record.
///
/// ```
/// # use dynalock_tests::{engines::Store, recording::Recording};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let store = Store::memory();
/// let recording = Recording::new(store.http_client());
/// let client = aws_sdk_dynamodb::Client::from_conf(store.config().http_client(recording.clone()).build());
///
/// client.list_tables().limit(7).send().await.unwrap();
/// assert_eq!(recording.operations(), ["ListTables"]);
/// assert_eq!(recording.sent()[0].body["Limit"], 7);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Recording {
    inner: SharedHttpClient,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Recording {
    /// Starts an empty record in front of `inner`.
    #[must_use]
    pub fn new(inner: impl HttpClient + 'static) -> Self {
        let inner = SharedHttpClient::new(inner);
        Self { inner, sent: Arc::default() }
    }

    /// Returns all requests so far, in the order in which they were sent.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns all requests since the last call of `take`, so that a test can leave its preparations out.
    #[must_use]
    pub fn take(&self) -> Vec<Sent> {
        std::mem::take(&mut self.sent.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the names of all operations so far, in order.
    #[must_use]
    pub fn operations(&self) -> Vec<String> {
        self.sent().into_iter().map(|sent| sent.operation).collect()
    }

    /// Returns how often `operation` was sent.
    #[must_use]
    pub fn count(&self, operation: &str) -> usize {
        self.sent().iter().filter(|sent| sent.operation == operation).count()
    }
}

impl HttpClient for Recording {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Recorder {
            inner: self.inner.http_connector(settings, components),
            sent: Arc::clone(&self.sent),
        })
    }
}

#[derive(Debug)]
struct Recorder {
    inner: SharedHttpConnector,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl HttpConnector for Recorder {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = request.body().bytes().unwrap_or_default();
        let host = request.uri().split("://").last().unwrap_or_default();
        let sent = Sent {
            host: host.split('/').next().unwrap_or_default().to_owned(),
            operation: operation(&request).to_owned(),
            body: serde_json::from_slice(body).unwrap_or_default(),
        };
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(sent);
        self.inner.call(request)
    }
}

/// Returns the operation that `request` calls, or `""`.
pub(crate) fn operation(request: &HttpRequest) -> &str {
    let target = request.headers().get("x-amz-target").unwrap_or_default();
    target.rsplit_once('.').map_or("", |(_service, operation)| operation)
}
