//! What a client sent, and what it heard of that; what the store was sent, and what it did.

use serde_json::Value;

use super::Stored;

/// One conditional write on its way: each time that it is sent again is one more.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The call that sent it.
    pub sender: u32,
    /// Such as `"PutItem"`.
    pub operation: String,
    /// The JSON that went with it.
    pub body: Value,
    /// What its sender heard of it.
    pub reply: Reply,
}

/// What the sender of a request hears of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// That it was carried out.
    Done,
    /// That its check failed, with the item if the store returns one.
    Refused(Stored),
    /// That it was not carried out, for another reason, or that nothing left.
    NotDone,
    /// That the connection was closed when the request came: so it was not carried out, but not everybody can rely on that.
    HungUp,
    /// Nothing, or nothing that says anything: it may have been carried out, or may yet be.
    Doubt,
}

/// A conditional write of one item that has come to the store.
#[derive(Clone, Debug)]
pub struct Carried {
    /// The call that sent it.
    pub sender: u32,
    /// Such as `"PutItem"`.
    pub operation: String,
    /// The key of the item.
    pub key: String,
    /// The JSON that came.
    pub body: Value,
    /// The item that it found.
    pub before: Stored,
    /// The item that it left.
    pub after: Stored,
    /// Whether the store answered that it was carried out, or that its check failed.
    pub is_done: bool,
}

impl Attempt {
    /// What it is to create, if it is a create of its own. A transaction is none: its token keeps it from being carried out
    /// twice.
    #[must_use]
    pub fn created(&self) -> Option<&Value> {
        (self.operation == "PutItem" && is_create(&self.body)).then(|| &self.body["Item"])
    }
}

/// Whether a `PutItem`, or a `Put` of a transaction, is a create: only where there is no item.
#[must_use]
pub fn is_create(put: &Value) -> bool {
    let condition = put["ConditionExpression"].as_str().unwrap_or_default();
    // A write that expects an item without a version says that there is one.
    put["Item"].is_object()
        && condition.contains("attribute_not_exists")
        && !condition.contains("attribute_exists")
}
