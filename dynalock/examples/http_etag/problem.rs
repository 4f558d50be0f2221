//! What went wrong, as `application/problem+json`. Its words are this service's own: nothing that a client sent gets into them.
//! Only the stored order is shown, to a client that wanted to change it.
//!
//! <https://www.rfc-editor.org/rfc/rfc9457.html>

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

/// Seconds after which a client should try again that came at a bad time.
const PAUSE: &str = "1";

pub(crate) struct Problem {
    status: StatusCode,
    detail: &'static str,
    faults: Vec<Fault>,
    current: Option<Box<Current>>,
    header: Option<(HeaderName, &'static str)>,
}

/// What is stored now.
pub(crate) struct Current {
    pub(crate) representation: Value,
    pub(crate) etag: HeaderValue,
}

/// What is wrong with a body.
#[derive(Serialize)]
pub(crate) struct Fault {
    /// A JSON pointer: `#` for the whole, `#/boxes` for a member.
    pub(crate) pointer: String,
    pub(crate) detail: &'static str,
}

impl Problem {
    fn new(status: StatusCode, detail: &'static str) -> Self {
        Self { status, detail, faults: Vec::new(), current: None, header: None }
    }

    pub(crate) fn malformed(detail: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(crate) fn no_such_order() -> Self {
        Self::new(StatusCode::NOT_FOUND, "There is no such order.")
    }

    pub(crate) fn no_such_resource() -> Self {
        Self::new(StatusCode::NOT_FOUND, "There is nothing here. Orders are at /orders/{id}.")
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "The header Allow tells which methods there are.")
    }

    pub(crate) fn already_exists(current: Option<Current>) -> Self {
        let problem = Self::new(StatusCode::CONFLICT, "There is an order with this id already.");
        Self { current: current.map(Box::new), ..problem }
    }

    /// The order is not, or no longer, one that the request's conditions allow.
    pub(crate) fn stale(current: impl Into<Current>) -> Self {
        let detail = "The order is no longer the one that the request is about. Nothing was changed. Look at the current one, \
                      and send the change again with its ETag as If-Match.";
        let problem = Self::new(StatusCode::PRECONDITION_FAILED, detail);
        Self { current: Some(Box::new(current.into())), ..problem }
    }

    pub(crate) fn precondition_required() -> Self {
        let detail = "Get the order, and send its ETag along as If-Match. (To create one: If-None-Match: *.)";
        Self::new(StatusCode::PRECONDITION_REQUIRED, detail)
    }

    pub(crate) fn body_too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "A body has at most 16 KiB.")
    }

    pub(crate) fn header_too_large() -> Self {
        let detail = "If-Match and If-None-Match have at most 1024 bytes.";
        Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, detail)
    }

    /// `header` names the media types that are taken.
    pub(crate) fn unsupported_media_type(detail: &'static str, header: (HeaderName, &'static str)) -> Self {
        Self { header: Some(header), ..Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail) }
    }

    pub(crate) fn invalid(faults: Vec<Fault>) -> Self {
        let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "This is JSON, but not an order.");
        Self { faults, ..problem }
    }

    /// Nothing was changed, and the same request may succeed a little later.
    pub(crate) fn busy() -> Self {
        let detail = "Too much is going on. Nothing was changed. Try again after the seconds in Retry-After.";
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, detail);
        Self { header: Some((RETRY_AFTER, PAUSE)), ..problem }
    }

    /// Not 503: that invites a client to send a POST again. A request with If-Match may be sent again, since it can only be
    /// carried out once.
    pub(crate) fn outcome_unknown() -> Self {
        let detail = "The store did not answer in time, and whether the change was made is not known. GET the order: if it \
                      shows the change, it was made. If it has the ETag that you sent, the same request may be sent again; \
                      it is carried out at most once.";
        Self::new(StatusCode::GATEWAY_TIMEOUT, detail)
    }

    pub(crate) fn internal() -> Self {
        let detail = "Something is wrong with this service. Nothing was changed.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { status, detail, faults, current, header } = self;
        let mut body =
            json!({ "status": status.as_u16(), "title": status.canonical_reason(), "detail": detail });
        if !faults.is_empty() {
            body["errors"] = json!(faults);
        }
        if let Some(current) = &current {
            body["current"] = current.representation.clone();
        }
        let mut response = (status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(current.map(|current| (ETAG, current.etag)));
        headers.extend(header.map(|(name, value)| (name, HeaderValue::from_static(value))));
        response
    }
}
