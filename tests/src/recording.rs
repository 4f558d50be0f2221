//! A record of the requests that were sent.

use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector},
    orchestrator::HttpRequest,
};
use serde_json::Value;

use crate::middleware::{Middleware, operation};

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

/// Records every attempt that passes, the SDK's retries included. Clones share one record.
///
/// ```
/// # use dynalock_tests::{engines::Store, recording::Recording};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let store = Store::memory();
/// let recording = Recording::default();
/// let client = store.client_through(&recording);
///
/// client.list_tables().limit(7).send().await.unwrap();
/// assert_eq!(recording.operations(), ["ListTables"]);
/// assert_eq!(recording.sent()[0].body["Limit"], 7);
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Recording {
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Recording {
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

impl Middleware for Recording {
    fn handle(&self, request: HttpRequest, inner: &SharedHttpConnector) -> HttpConnectorFuture {
        let body = request.body().bytes().unwrap_or_default();
        let host = request.uri().split("://").last().unwrap_or_default();
        let sent = Sent {
            host: host.split('/').next().unwrap_or_default().to_owned(),
            operation: operation(&request).to_owned(),
            body: serde_json::from_slice(body).unwrap_or_default(),
        };
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(sent);
        inner.call(request)
    }
}
