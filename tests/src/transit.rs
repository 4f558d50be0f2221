//! Requests that were given up for lost and are delivered long after.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use dynalock::testing::Faults;

/// Wraps the faults of a world, and keeps each request whose connection broke.
#[derive(Clone, Debug)]
pub struct Transit {
    faults: Faults,
    lost: Arc<Mutex<Vec<Lost>>>,
}

/// A request whose connection broke, and the way that it was on.
#[derive(Debug)]
struct Lost(SharedHttpConnector, HttpRequest);

impl Transit {
    /// Begins with no request, in front of `faults`.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self { faults, lost: Arc::default() }
    }

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

impl HttpClient for Transit {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let faulty = self.faults.http_connector(settings, components);
        SharedHttpConnector::new(Passage { faulty, lost: Arc::clone(&self.lost) })
    }
}

#[derive(Debug)]
struct Passage {
    faulty: SharedHttpConnector,
    lost: Arc<Mutex<Vec<Lost>>>,
}

impl HttpConnector for Passage {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (faulty, lost) = (self.faulty.clone(), Arc::clone(&self.lost));
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
