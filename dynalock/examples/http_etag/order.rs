//! An order: what is stored, what of it a client may see and set, and how it goes over the wire.

use axum::http::HeaderValue;
use dynalock::{Error, Versioned};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::etag;
use crate::id::OrderId;
use crate::problem::{Current, Fault, Problem};

#[derive(Clone, Serialize, Deserialize, Versioned)]
pub(crate) struct Order {
    #[dynalock(partition_key)]
    pub(crate) id: OrderId,
    #[serde(flatten)]
    pub(crate) content: Content,
    /// Begins at the clock: an order that is deleted and created again never has an `ETag` that it had before.
    #[dynalock(version, start = "clock")]
    pub(crate) version: u64,
}

/// What clients set.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Content {
    address: String,
    boxes: u16,
    note: String,
    status: Status,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    New,
    Paid,
    Packed,
    Shipped,
}

impl Order {
    pub(crate) fn new(id: OrderId, content: Content) -> Self {
        Self { id, content, version: 0 }
    }

    /// The one that the page shows first.
    pub(crate) fn sample() -> Self {
        let content = Content {
            address: "12 Harbour Street, Bristol".into(),
            boxes: 2,
            note: "Ring twice.".into(),
            status: Status::New,
        };
        Self::new(OrderId::new("A-1042").expect("a good id"), content)
    }

    pub(crate) fn etag(&self) -> HeaderValue {
        etag::of(self.version)
    }

    /// What a client gets. The version is not in it: it travels as the `ETag`.
    pub(crate) fn representation(&self) -> Value {
        let Self { id, content: Content { address, boxes, note, status }, .. } = self;
        json!({ "id": id, "address": address, "boxes": boxes, "note": note, "status": status })
    }
}

impl From<&Order> for Current {
    fn from(order: &Order) -> Self {
        Self { representation: order.representation(), etag: order.etag() }
    }
}

/// What a call on the table of orders failed with.
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound => Self::no_such_order(),
            Error::AlreadyExists(conflict) => {
                let current = conflict.current::<Order>().ok();
                Self::already_exists(current.as_ref().map(Current::from))
            }
            Error::OutcomeUnknown(_) => Self::outcome_unknown(),
            error if error.is_retryable() => Self::busy(),
            error => {
                // An error of dynalock's shows no item, and its sources are not logged.
                tracing::error!(%error, "failed");
                Self::internal()
            }
        }
    }
}

impl Content {
    /// Reads what a client sent as the whole of the order `id`.
    pub(crate) fn of(id: &OrderId, sent: Value) -> Result<Self, Problem> {
        let mut members = Members::of(sent)?;
        let is_of_this_order = members.sent.get("id").is_none_or(|sent| *sent == json!(id));
        members.take(
            "id",
            "must be the order's own, or absent",
            |_| is_of_this_order.then_some(()),
            Some(()),
        );
        members.content()
    }

    /// Reads a whole order that a client sent, the id included.
    pub(crate) fn with_id(sent: Value) -> Result<(OrderId, Self), Problem> {
        let mut members = Members::of(sent)?;
        let id = members.take("id", OrderId::RULE, |id| OrderId::new(id.as_str()?), None);
        let content = members.content()?;
        // Without an id, there was a fault.
        id.map(|id| (id, content)).ok_or_else(|| Problem::invalid(Vec::new()))
    }
}

/// The members of an object that a client sent, and what is wrong with those that were taken.
struct Members {
    sent: Map<String, Value>,
    faults: Vec<Fault>,
}

impl Members {
    fn of(sent: Value) -> Result<Self, Problem> {
        match sent {
            Value::Object(sent) => Ok(Self { sent, faults: Vec::new() }),
            _ => Err(Problem::invalid(vec![Fault { pointer: "#".into(), detail: "must be an object" }])),
        }
    }

    /// What `read` makes of a member; `absent` where there is none.
    fn take<T>(
        &mut self,
        name: &'static str,
        rule: &'static str,
        read: impl FnOnce(&Value) -> Option<T>,
        absent: Option<T>,
    ) -> Option<T> {
        let value = match self.sent.remove(name) {
            Some(sent) => read(&sent),
            None => absent,
        };
        if value.is_none() {
            self.faults.push(Fault { pointer: format!("#/{name}"), detail: rule });
        }
        value
    }

    /// The members that make up the content, and no others.
    fn content(mut self) -> Result<Content, Problem> {
        let text = |value: &Value, length: std::ops::RangeInclusive<usize>| {
            value.as_str().filter(|text| length.contains(&text.chars().count())).map(str::to_owned)
        };
        let address = self.take("address", "must be text of 1 to 200 characters", |v| text(v, 1..=200), None);
        let boxes =
            |value: &Value| u16::try_from(value.as_u64()?).ok().filter(|boxes| (1..=999).contains(boxes));
        let boxes = self.take("boxes", "must be a whole number from 1 to 999", boxes, None);
        let note = self.take("note", "must be text of at most 1000 characters", |v| text(v, 0..=1000), None);
        let status = |value: &Value| value.is_string().then(|| Status::deserialize(value).ok())?;
        let status = self.take("status", "must be new, paid, packed or shipped", status, None);
        if !self.sent.is_empty() {
            // Their names are the client's, and are not repeated.
            self.faults.push(Fault { pointer: "#".into(), detail: "has members that no order has" });
        }
        match (address, boxes, note, status) {
            (Some(address), Some(boxes), Some(note), Some(status)) if self.faults.is_empty() => {
                Ok(Content { address, boxes, note, status })
            }
            _ => Err(Problem::invalid(self.faults)),
        }
    }
}
