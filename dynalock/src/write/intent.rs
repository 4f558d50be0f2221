//! What a write is about: all that is needed to judge what became of it.

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
    /// The stamp that the write leaves in the item.
    pub(crate) stamp: Option<Stamp>,
    /// Whether the caller added a condition.
    pub(crate) is_conditional: bool,
    /// Whether the write is part of a transaction, which DynamoDB recognizes by a token.
    pub(crate) has_token: bool,
}

impl Intent {
    /// Whether this is a create that is sent by itself. No version fences it: a copy is applied again once others have deleted
    /// the item.
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
