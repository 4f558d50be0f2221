//! The log: of a request its method, its route and the status of its answer, and nothing that the client made up.

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, registry};

/// Writes what this service and dynalock say. (The SDK may write whole requests, and is left out.)
pub(crate) fn to<W>(writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let said = Targets::new()
        .with_target("http_etag", LevelFilter::INFO)
        .with_target("dynalock", LevelFilter::DEBUG);
    let lines = fmt::layer().with_writer(writer).with_ansi(false).without_time();
    registry().with(lines.with_filter(said))
}

/// Logs each request when it is answered.
pub(crate) async fn requests(request: Request, next: Next) -> Response {
    let method = known(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("(none)", MatchedPath::as_str);
    tracing::info!(method, route, status = response.status().as_u16(), "answered");
    response
}

/// Clients may make methods up.
fn known(method: &Method) -> &'static str {
    let known = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];
    known.into_iter().find(|known| method == known).unwrap_or("(other)")
}
