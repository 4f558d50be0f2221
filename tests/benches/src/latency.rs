//! The way to a store that is some milliseconds away: counts what is sent.

use std::ops::{AddAssign, RangeInclusive, Sub};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use dynalock_tests::middleware::{Middleware, operation};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

/// How many requests were sent, and how many of them were to write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// All requests.
    pub requests: u64,
    /// Those that cost write units, also where their check failed.
    pub writes: u64,
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.writes += other.writes;
    }
}

impl Sub for Traffic {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self { requests: self.requests - earlier.requests, writes: self.writes - earlier.writes }
    }
}

/// Delays each request by so many milliseconds. Clones count together.
#[derive(Debug, Clone)]
pub struct Distant {
    latency: RangeInclusive<u64>,
    counts: Arc<Counts>,
}

/// Counts requests.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    requests: AtomicU64,
    writes: AtomicU64,
}

impl Counts {
    /// Counts a request that calls `operation`.
    pub(crate) fn count(&self, operation: &str) {
        let is_read = matches!(operation, "GetItem" | "BatchGetItem" | "TransactGetItems");
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.writes.fetch_add(u64::from(!is_read), Ordering::Relaxed);
    }

    /// What was counted so far.
    pub(crate) fn traffic(&self) -> Traffic {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Traffic { requests: read(&self.requests), writes: read(&self.writes) }
    }
}

/// The way there and the way back, for any of the milliseconds that `latency` spans.
pub(crate) fn ways(latency: &RangeInclusive<u64>) -> [Duration; 2] {
    let both = fastrand::u64(latency.clone());
    [both / 2, both - both / 2].map(Duration::from_millis)
}

impl Distant {
    /// Puts a store as many milliseconds away as `latency` says: for each request any number of these.
    #[must_use]
    pub fn new(latency: RangeInclusive<u64>) -> Self {
        Self { latency, counts: Arc::default() }
    }

    /// What was sent so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.counts.traffic()
    }
}

impl Middleware for Distant {
    fn handle(&self, request: HttpRequest, inner: &SharedHttpConnector) -> HttpConnectorFuture {
        self.counts.count(operation(&request));
        let inner = inner.clone();
        let [there, back] = ways(&self.latency);
        if back.is_zero() {
            return inner.call(request);
        }
        HttpConnectorFuture::new(async move {
            sleep(there).await;
            let response = inner.call(request).await;
            sleep(back).await;
            response
        })
    }
}
