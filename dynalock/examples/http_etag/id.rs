//! The id of an order: a few harmless characters, so that it can stand in a URL and in a header as it is.

use std::fmt;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};

use crate::problem::Problem;

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OrderId(String);

impl OrderId {
    pub(crate) const RULE: &str = "must be 1 to 64 ASCII letters, digits, - and _";

    /// `text`, if it keeps to the rule.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let is_id = (1..=64).contains(&text.len()) && text.bytes().all(fits);
        is_id.then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The `{id}` of the path.
impl<S: Send + Sync> FromRequestParts<S> for OrderId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = path.map_err(|_| Problem::malformed("The path is not UTF-8."))?;
        Self::new(&text)
            .ok_or_else(|| Problem::malformed("An id has 1 to 64 ASCII letters, digits, - and _."))
    }
}
