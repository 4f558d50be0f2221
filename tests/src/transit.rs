//! Requests on their way: held up until others have come first, and delivered long after they were given up for lost.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use tokio::sync::{Notify, Semaphore};

use crate::faults::Faults;

/// Wraps the faults of a world. A test that orders requests by it, and not by delays, holds on any clock.
#[derive(Clone, Debug)]
pub struct Transit {
    faults: Faults,
    gate: Arc<Mutex<Option<Gate>>>,
    lost: Arc<Mutex<Vec<Lost>>>,
}

/// Where the requests of one operation stop, sent again or not, until it is open.
#[derive(Clone, Debug)]
pub struct Gate {
    operation: &'static str,
    reached: Arc<Notify>,
    /// Has no permits, and is open when it is closed.
    barrier: Arc<Semaphore>,
}

impl Gate {
    /// Waits until a request is there.
    pub async fn reached(&self) {
        self.reached.notified().await;
    }

    /// Lets all requests go on that are there, and those that come.
    pub fn open(&self) {
        self.barrier.close();
    }

    async fn pass(&self) {
        self.reached.notify_one();
        // Fails as soon as the gate is open.
        let _ = self.barrier.acquire().await;
    }
}

/// A request whose connection broke, and the way that it was on.
#[derive(Debug)]
struct Lost(SharedHttpConnector, HttpRequest);

impl Transit {
    /// Puts a way without gates in front of `faults`.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self { faults, gate: Arc::default(), lost: Arc::default() }
    }

    /// Holds up the requests of `operation` that come when the script of the faults is over.
    #[must_use]
    pub fn hold_up(&self, operation: &'static str) -> Gate {
        let gate = Gate { operation, reached: Arc::default(), barrier: Arc::new(Semaphore::new(0)) };
        *lock(&self.gate) = Some(gate.clone());
        gate
    }

    /// Delivers every request whose connection broke, and returns how many there were.
    ///
    /// # Panics
    ///
    /// If the store does not answer.
    pub async fn deliver_lost(&self) -> usize {
        let lost = std::mem::take(&mut *lock(&self.lost));
        let delivered = lost.len();
        for Lost(connector, request) in lost {
            connector.call(request).await.unwrap();
        }
        delivered
    }

    fn gate_of(&self, request: &HttpRequest) -> Option<Gate> {
        let (_, operation) = request.headers().get("x-amz-target")?.rsplit_once('.')?;
        lock(&self.gate).clone().filter(|gate| self.faults.is_over() && gate.operation == operation)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl HttpClient for Transit {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let faulty = self.faults.http_connector(settings, components);
        SharedHttpConnector::new(Passage { transit: self.clone(), faulty })
    }
}

#[derive(Debug)]
struct Passage {
    transit: Transit,
    faulty: SharedHttpConnector,
}

impl HttpConnector for Passage {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let gate = self.transit.gate_of(&request);
        let (faulty, lost) = (self.faulty.clone(), Arc::clone(&self.transit.lost));
        HttpConnectorFuture::new(async move {
            if let Some(gate) = gate {
                gate.pass().await;
            }
            let copy = request.try_clone();
            let reply = faulty.call(request).await;
            if reply.is_err() {
                lock(&lost).extend(copy.map(|copy| Lost(faulty, copy)));
            }
            reply
        })
    }
}
