//! What a client sent, and what it heard of that.

use serde_json::Value;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// An answer that says what became of it, or that nothing left.
    Definite,
    /// None, or one that says nothing: it may have been carried out, or may yet be.
    Doubt,
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
