//! The way to a store that is some time away: counts how many requests are under way, and how often they are polled.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector},
    orchestrator::HttpRequest,
};

use crate::middleware::Middleware;

/// Delays and counts each request. Clones count together.
#[derive(Clone, Debug)]
pub struct Gauge {
    latency: Duration,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    requests: AtomicUsize,
    under_way: AtomicUsize,
    most: AtomicUsize,
    polls: AtomicUsize,
}

impl Gauge {
    /// Delays each request by `latency`.
    #[must_use]
    pub fn new(latency: Duration) -> Self {
        Self { latency, counts: Arc::default() }
    }

    /// How many requests there were.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.counts.requests.load(Ordering::Relaxed)
    }

    /// How many of them were under way at the same time, at most.
    #[must_use]
    pub fn most(&self) -> usize {
        self.counts.most.load(Ordering::Relaxed)
    }

    /// How often all of them were polled, together.
    #[must_use]
    pub fn polls(&self) -> usize {
        self.counts.polls.load(Ordering::Relaxed)
    }
}

impl Middleware for Gauge {
    fn handle(&self, request: HttpRequest, inner: &SharedHttpConnector) -> HttpConnectorFuture {
        let (inner, latency, counts) = (inner.clone(), self.latency, Arc::clone(&self.counts));
        HttpConnectorFuture::new(async move {
            let _passenger = Passenger::enter(&counts);
            let mut answer = pin!(async {
                tokio::time::sleep(latency).await;
                inner.call(request).await
            });
            poll_fn(|context| {
                counts.polls.fetch_add(1, Ordering::Relaxed);
                answer.as_mut().poll(context)
            })
            .await
        })
    }
}

/// A request, from its first poll until it is answered or given up.
struct Passenger<'c>(&'c Counts);

impl<'c> Passenger<'c> {
    fn enter(counts: &'c Counts) -> Self {
        counts.requests.fetch_add(1, Ordering::Relaxed);
        let under_way = counts.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        counts.most.fetch_max(under_way, Ordering::Relaxed);
        Self(counts)
    }
}

impl Drop for Passenger<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
