//! The way to a store that is some time away, and that does not answer during stalls.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use tokio::time::{Instant, sleep, sleep_until};

use crate::middleware::Middleware;

/// Delays each request. Clones stall together.
#[derive(Clone, Debug)]
pub struct Stalling {
    latency: Duration,
    until: Arc<Mutex<Option<Instant>>>,
}

impl Stalling {
    /// Delays each request by `latency`.
    #[must_use]
    pub fn new(latency: Duration) -> Self {
        Self { latency, until: Arc::default() }
    }

    /// Delivers no request for so long. The requests that arrive meanwhile are delivered at the end of the stall.
    pub fn stall(&self, time: Duration) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + time);
    }
}

impl Middleware for Stalling {
    fn handle(&self, request: HttpRequest, inner: &SharedHttpConnector) -> HttpConnectorFuture {
        let (inner, latency, until) = (inner.clone(), self.latency, Arc::clone(&self.until));
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
