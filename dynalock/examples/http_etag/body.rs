//! The JSON that a client sent.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use serde_json::Value;

use crate::problem::Problem;

/// Bytes of the largest body that is taken.
pub(crate) const LARGEST: usize = 16 * 1024;

pub(crate) const JSON: &str = "application/json";
pub(crate) const MERGE_PATCH: &str = "application/merge-patch+json";

/// A body of the media type that goes with the method.
pub(crate) struct Body(pub(crate) Value);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let wanted = if request.method() == Method::PATCH { MERGE_PATCH } else { JSON };
        if !is_of_type(request.headers(), wanted) || request.headers().contains_key(CONTENT_ENCODING) {
            return Err(unsupported(wanted));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| unread(&rejection))?;
        let value = serde_json::from_slice(&bytes);
        value.map(Self).map_err(|_| Problem::malformed("The body is not JSON."))
    }
}

fn is_of_type(headers: &HeaderMap, wanted: &str) -> bool {
    let sent = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = sent.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(wanted)
}

fn unsupported(wanted: &'static str) -> Problem {
    let (name, detail) = match wanted {
        MERGE_PATCH => ("accept-patch", "A patch is application/merge-patch+json, not compressed."),
        _ => ("accept", "An order is application/json, not compressed."),
    };
    Problem::unsupported_media_type(detail, (HeaderName::from_static(name), wanted))
}

fn unread(rejection: &BytesRejection) -> Problem {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            const { assert!(LARGEST == 16 * 1024, "the problem names the limit") };
            Problem::body_too_large()
        }
        _ => Problem::malformed("The body broke off."),
    }
}
