//! Code between a client and a store that sees each request: it records, delays, loses or changes what passes.

use std::fmt::Debug;

use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

/// What happens to a request on its way. Clones share what they count and keep.
pub trait Middleware: Clone + Debug + Send + Sync + 'static {
    /// Answers a request, as a rule with what `inner` answers.
    fn handle(&self, request: HttpRequest, inner: &SharedHttpConnector) -> HttpConnectorFuture;

    /// Returns an HTTP client whose requests pass this first, and then `inner`.
    #[must_use]
    fn wrap(&self, inner: impl HttpClient + 'static) -> SharedHttpClient {
        SharedHttpClient::new(Wrapped { inner: SharedHttpClient::new(inner), middleware: self.clone() })
    }
}

#[derive(Debug)]
struct Wrapped<I, M> {
    inner: I,
    middleware: M,
}

impl<M: Middleware> HttpClient for Wrapped<SharedHttpClient, M> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(Wrapped { inner, middleware: self.middleware.clone() })
    }
}

impl<M: Middleware> HttpConnector for Wrapped<SharedHttpConnector, M> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.middleware.handle(request, &self.inner)
    }
}

/// Returns the operation that `request` calls, such as `"UpdateItem"`, or `""`.
#[must_use]
pub fn operation(request: &HttpRequest) -> &str {
    let target = request.headers().get("x-amz-target").unwrap_or_default();
    target.rsplit_once('.').map_or("", |(_service, operation)| operation)
}
