//! Requests that were given up for lost and are delivered long after.

use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

use crate::middleware::Middleware;

/// Keeps each request whose connection broke. Clones keep them together.
#[derive(Clone, Debug, Default)]
pub struct Transit {
    lost: Arc<Mutex<Vec<Lost>>>,
}

/// A request whose connection broke, and the way that it was on.
#[derive(Debug)]
struct Lost(SharedHttpConnector, HttpRequest);

impl Transit {
    /// Delivers every request whose connection broke, and returns how many there were.
    ///
    /// # Panics
    ///
    /// If the store does not answer.
    pub async fn deliver_lost(&self) -> usize {
        let lost = std::mem::take(&mut *self.lost.lock().unwrap_or_else(PoisonError::into_inner));
        let delivered = lost.len();
        for Lost(connector, request) in lost {
            connector.call(request).await.unwrap();
        }
        delivered
    }
}

impl Middleware for Transit {
    fn handle(&self, request: HttpRequest, inner: &SharedHttpConnector) -> HttpConnectorFuture {
        let (faulty, lost) = (inner.clone(), Arc::clone(&self.lost));
        HttpConnectorFuture::new(async move {
            let copy = request.try_clone();
            let reply = faulty.call(request).await;
            if reply.is_err() {
                let mut lost = lost.lock().unwrap_or_else(PoisonError::into_inner);
                lost.extend(copy.map(|copy| Lost(faulty, copy)));
            }
            reply
        })
    }
}
