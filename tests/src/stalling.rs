//! An HTTP client in front of a store that is some time away, and that does not answer during stalls.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use tokio::time::{Instant, sleep, sleep_until};

/// Wraps an HTTP client; clones stall together.
#[derive(Clone, Debug)]
pub struct Stalling {
    inner: SharedHttpClient,
    latency: Duration,
    until: Arc<Mutex<Option<Instant>>>,
}

impl Stalling {
    /// Puts `inner` so far away.
    #[must_use]
    pub fn new(inner: impl HttpClient + 'static, latency: Duration) -> Self {
        Self { inner: SharedHttpClient::new(inner), latency, until: Arc::default() }
    }

    /// Delivers no request for so long. The requests that arrive meanwhile are delivered at the end of the stall.
    pub fn stall(&self, time: Duration) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + time);
    }
}

impl HttpClient for Stalling {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(Way { inner, latency: self.latency, until: Arc::clone(&self.until) })
    }
}

#[derive(Debug)]
struct Way {
    inner: SharedHttpConnector,
    latency: Duration,
    until: Arc<Mutex<Option<Instant>>>,
}

impl HttpConnector for Way {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (inner, latency, until) = (self.inner.clone(), self.latency, Arc::clone(&self.until));
        HttpConnectorFuture::new(async move {
            sleep(latency).await;
            let end = *until.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(end) = end {
                sleep_until(end).await;
            }
            inner.call(request).await
        })
    }
}
