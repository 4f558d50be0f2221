//! The page that edits an order, and merges where two people did.

use axum::Router;
use axum::http::HeaderName;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::Redirect;
use axum::routing::get;

use crate::id::OrderId;
use crate::order::Order;

/// Only what comes from here runs, and nobody may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

type Part = ([(HeaderName, &'static str); 3], &'static str);

/// Needs nothing of the service's state `S`: the page does its work through HTTP.
pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let html = part("text/html; charset=utf-8", include_str!("page.html"));
    let script = part("text/javascript; charset=utf-8", include_str!("page.js"));
    let style = part("text/css; charset=utf-8", include_str!("page.css"));
    Router::new()
        .route("/", get(|| async { Redirect::to(&format!("/orders/{}/edit", Order::sample().id)) }))
        // The page finds its order by its own address.
        .route("/orders/{id}/edit", get(|_: OrderId| async { html }))
        .route("/page.js", get(|| async { script }))
        .route("/page.css", get(|| async { style }))
}

fn part(media_type: &'static str, text: &'static str) -> Part {
    ([(CONTENT_TYPE, media_type), (CACHE_CONTROL, "no-cache"), (CONTENT_SECURITY_POLICY, POLICY)], text)
}
