//! A DynamoDB that is some milliseconds away, and counts what it is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

/// The way to a DynamoDB. Clones count together.
#[derive(Debug, Clone)]
pub(crate) struct Distance {
    near: Client,
    there_and_back: Duration,
    requests: Arc<AtomicU32>,
}

impl Distance {
    pub(crate) fn new(near: &Client, there_and_back: Duration) -> Self {
        Self { near: near.clone(), there_and_back, requests: Arc::default() }
    }

    /// A client that goes this way.
    pub(crate) fn client(&self) -> Client {
        Client::from_conf(self.near.config().to_builder().http_client(self.clone()).build())
    }

    /// How many requests have gone this way.
    pub(crate) fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }
}

impl HttpClient for Distance {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let near: SharedHttpClient = self.near.config().http_client().expect("the client's way to DynamoDB");
        let (near, distance) = (near.http_connector(settings, components), self.clone());
        SharedHttpConnector::new(Way { near, distance })
    }
}

#[derive(Debug)]
struct Way {
    near: SharedHttpConnector,
    distance: Distance,
}

impl HttpConnector for Way {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.distance.requests.fetch_add(1, Ordering::Relaxed);
        let (near, half) = (self.near.clone(), self.distance.there_and_back / 2);
        HttpConnectorFuture::new(async move {
            tokio::time::sleep(half).await;
            let answer = near.call(request).await;
            tokio::time::sleep(half).await;
            answer
        })
    }
}
