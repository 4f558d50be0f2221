//! The intent of a write: what it expects of the stored item and what it makes of it, as needed to judge its outcome.

use crate::item::schema::Schema;
use crate::write::expectation::Expectation;
use crate::write::stamp::Stamp;

/// The part of a write that is kept until its outcome is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Intent {
    pub(crate) schema: &'static Schema,
    pub(crate) operation: Operation,
    pub(crate) expectation: Expectation,
    /// The version that the item has once the write is applied; `None` for a delete or a check.
    pub(crate) next_version: Option<u64>,
    /// The stamp that the write leaves in the item; `None` for a delete, a check, and a struct that keeps no stamps.
    pub(crate) stamp: Option<Stamp>,
    /// Whether the caller added a condition.
    pub(crate) is_conditional: bool,
    /// Whether the write is sent in a transaction with a `ClientRequestToken`, by which DynamoDB recognizes a copy.
    ///
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
    pub(crate) has_token: bool,
}

impl Intent {
    /// Whether this is a create that is sent as a `PutItem` of its own. Neither a version nor a token protects it from a late
    /// copy: DynamoDB applies the copy if others have deleted the item in between.
    pub(crate) fn is_lone_create(&self) -> bool {
        self.expectation == Expectation::Absent && self.operation == Operation::PutItem && !self.has_token
    }
}

/// The DynamoDB operation that carries a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    PutItem,
    UpdateItem,
    DeleteItem,
    ConditionCheck,
}

impl Operation {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PutItem => "PutItem",
            Self::UpdateItem => "UpdateItem",
            Self::DeleteItem => "DeleteItem",
            Self::ConditionCheck => "ConditionCheck",
        }
    }
}
