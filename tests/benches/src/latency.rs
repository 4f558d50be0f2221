//! A store that is some milliseconds away, and counts what reaches it.

use std::ops::{AddAssign, RangeInclusive, Sub};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use dynalock_tests::engines::Store;
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

/// An HTTP client in front of a store that answers after so many milliseconds. Clones count together.
#[derive(Debug, Clone)]
pub struct Distant {
    inner: SharedHttpClient,
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
    /// Counts a request for `target`, the header that names its operation.
    pub(crate) fn count(&self, target: &str) {
        let is_read = target.ends_with("GetItem") || target.ends_with("TransactGetItems");
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
    /// Puts `store` as many milliseconds away as `latency` says: for each request any number of these.
    #[must_use]
    pub fn new(store: &Store, latency: RangeInclusive<u64>) -> Self {
        Self { inner: store.http_client(), latency, counts: Arc::default() }
    }

    /// Returns an SDK client of `store`, which must be the one that this was made for.
    #[must_use]
    pub fn client(&self, store: &Store) -> Client {
        Client::from_conf(store.config().http_client(self.clone()).build())
    }

    /// What was sent so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.counts.traffic()
    }
}

impl HttpClient for Distant {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        let (latency, counts) = (self.latency.clone(), Arc::clone(&self.counts));
        SharedHttpConnector::new(Way { inner, latency, counts })
    }
}

#[derive(Debug)]
struct Way {
    inner: SharedHttpConnector,
    latency: RangeInclusive<u64>,
    counts: Arc<Counts>,
}

impl HttpConnector for Way {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.counts.count(request.headers().get("x-amz-target").unwrap_or_default());
        let inner = self.inner.clone();
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
