//! The conditions of a request: which versions of an order it is about.
//!
//! <https://www.rfc-editor.org/rfc/rfc9110.html#section-13>

use axum::extract::FromRequestParts;
use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::etag::{Comparison, Tag, read_list};
use crate::order::Order;
use crate::problem::Problem;

/// Bytes of `If-Match` and the like that are read; more is refused.
const LONGEST: usize = 1024;

/// What `If-Match` and `If-None-Match` demand.
pub(crate) struct Conditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

/// The value of one of the two.
enum Tags {
    /// `*`: any order that there is.
    Any,
    These(Vec<Tag>),
}

impl Conditions {
    /// Whether only an order that is not there yet will do: `If-None-Match: *`.
    pub(crate) fn want_none(&self) -> bool {
        self.if_match.is_none() && matches!(self.if_none_match, Some(Tags::Any))
    }

    /// Demands that the client says which order it has seen.
    pub(crate) fn required(self) -> Result<Self, Problem> {
        if self.if_match.is_some() { Ok(self) } else { Err(Problem::precondition_required()) }
    }

    /// Demands that `order` is one that the client has seen, if it says which.
    pub(crate) fn check_seen(&self, order: &Order) -> Result<(), Problem> {
        let is_seen = self.if_match.as_ref().is_none_or(|tags| tags.have(order, Comparison::Strong));
        if is_seen { Ok(()) } else { Err(Problem::stale(order)) }
    }

    /// Demands all of `order` that the client does, before it is changed.
    pub(crate) fn check(&self, order: &Order) -> Result<(), Problem> {
        if self.is_excluded(order) { Err(Problem::stale(order)) } else { self.check_seen(order) }
    }

    /// Whether `If-None-Match` names `order`: the client has it already.
    pub(crate) fn is_excluded(&self, order: &Order) -> bool {
        self.if_none_match.as_ref().is_some_and(|tags| tags.have(order, Comparison::Weak))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Conditions {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let tags = |name| Tags::of(&parts.headers, &name);
        Ok(Self { if_match: tags(IF_MATCH)?, if_none_match: tags(IF_NONE_MATCH)? })
    }
}

impl Tags {
    /// Reads a header; several of one name are one list.
    fn of(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Self>, Problem> {
        let lines: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
        if lines.is_empty() {
            return Ok(None);
        }
        let list = lines.join(&b',');
        if list.len() > LONGEST {
            return Err(Problem::header_too_large());
        }
        if list.trim_ascii() == b"*" {
            return Ok(Some(Self::Any));
        }
        let malformed = || Problem::malformed("If-Match and If-None-Match take \"entity tags\", or *.");
        read_list(&list).filter(|tags| !tags.is_empty()).map(Self::These).map(Some).ok_or_else(malformed)
    }

    fn have(&self, order: &Order, comparison: Comparison) -> bool {
        let own = order.etag();
        match self {
            Self::Any => true,
            Self::These(tags) => tags.iter().any(|tag| tag.is(&own, comparison)),
        }
    }
}
