//! A client whose requests are answered from memory: every read finds an order, every write succeeds.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, HttpClient, Region, RuntimeComponents};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;

/// Returns such a client.
#[must_use]
pub fn client() -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("key", "secret", None, None, "bench"))
        .http_client(Canned);
    Client::from_conf(config.build())
}

#[derive(Debug)]
struct Canned;

macro_rules! item {
    ($id:literal) => {
        concat!(
            r#"{"Item":{"id":{"S":""#,
            $id,
            r#""},"customer":{"S":"customer-42"},"status":{"S":"open"},"cents":{"N":"123456"},"weight":{"N":"2.5"},"lines":{"L":[{"S":"apples"},{"S":"pears"},{"S":"plums"}]},"address":{"M":{"street":{"S":"High Street 1"},"city":{"S":"Springfield"}}},"version":{"N":"7"}}}"#
        )
    };
}

impl HttpConnector for Canned {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let asked = request.body().bytes().unwrap_or_default();
        let body = match target.ends_with(".GetItem") {
            true if asked.windows(10).any(|id| id == b"order-4712") => item!("order-4712"),
            true => item!("order-4711"),
            false => "{}",
        };
        HttpConnectorFuture::ready(Ok(HttpResponse::new(
            200.try_into().expect("a status"),
            SdkBody::from(body),
        )))
    }
}

impl HttpClient for Canned {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Self)
    }
}
