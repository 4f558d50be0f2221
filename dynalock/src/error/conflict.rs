//! The conflict: a write that DynamoDB refused, and the item that was stored instead of the expected one.

use std::collections::HashMap;
use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::item::deserialize::from_item;
use crate::item::invalid::Invalid;
use crate::item::schema::Schema;
use crate::item::{Item, StoredVersion};
use crate::write::expectation::Expectation;

/// A write that DynamoDB refused because the stored item is not as expected.
///
/// `Display` and `Debug` show the table and the versions, but neither the key nor the item.
pub struct Conflict {
    table: Box<str>,
    key: Item,
    schema: &'static Schema,
    expected: u64,
    item: Option<Item>,
    attempts: u32,
    action_index: Option<usize>,
    cancellation_reasons: Vec<String>,
    other_refusals: Vec<Error>,
}

impl Conflict {
    /// A refused write of the item under `key`. `item` is the stored item, if it is known.
    pub(crate) fn new(
        table: &str,
        schema: &'static Schema,
        expectation: Expectation,
        key: Item,
        item: Option<Item>,
    ) -> Self {
        Self {
            table: table.into(),
            key,
            schema,
            expected: expectation.number(),
            item,
            attempts: 1,
            action_index: None,
            cancellation_reasons: Vec::new(),
            other_refusals: Vec::new(),
        }
    }

    /// Sets which action of a transaction was refused, counted from 0.
    pub(crate) fn set_action_index(&mut self, index: usize) {
        self.action_index = Some(index);
    }

    /// Sets the rest of a refused transaction: DynamoDB's reason for each action, and the errors of the other refused actions.
    pub(crate) fn add_refusals(&mut self, cancellation_reasons: Vec<String>, other_refusals: Vec<Error>) {
        self.cancellation_reasons = cancellation_reasons;
        self.other_refusals = other_refusals;
    }

    /// Sets the number of attempts, also in the other refusals of the transaction.
    pub(crate) fn set_attempts(&mut self, attempts: u32) {
        self.attempts = attempts;
        for other in self.other_refusals.iter_mut().filter_map(Error::conflict_mut) {
            other.set_attempts(attempts);
        }
    }

    /// Moves the stored item out of the conflict.
    pub(crate) fn take_item(&mut self) -> Option<Item> {
        self.item.take()
    }

    /// The table that was written to.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The key of the item.
    #[must_use]
    pub fn key(&self) -> &HashMap<String, AttributeValue> {
        &self.key
    }

    /// The version that the write expected; 0 if it expected no item, or an item without a version.
    #[must_use]
    pub fn expected(&self) -> u64 {
        self.expected
    }

    /// The stored version; 0 if the stored item has none. `None` if there is no [`item`](Self::item), or its version attribute is
    /// not a version.
    #[must_use]
    pub fn actual(&self) -> Option<u64> {
        StoredVersion::read(self.item.as_ref()?, self.schema).ok().map(StoredVersion::number)
    }

    /// The stored item that the check failed on.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidItem`] if the item does not fit `T`, if no item is stored, or if DynamoDB refused the write without
    /// returning the item and a read of it failed.
    pub fn current<T: DeserializeOwned>(&self) -> Result<T> {
        let no_item =
            || Invalid::item("", "there is no item, or DynamoDB refused the write without returning it");
        let item = self.item.clone().ok_or_else(no_item);
        item.and_then(|item| from_item(item, self.schema)).map_err(|invalid| invalid.in_table(&self.table))
    }

    /// The stored item with every attribute, as the SDK returned it; `None` if no item is stored, or DynamoDB did not return it.
    #[must_use]
    pub fn item(&self) -> Option<&HashMap<String, AttributeValue>> {
        self.item.as_ref()
    }

    /// The number of attempts that the call made, including the last one. Retries that the SDK makes by itself are not counted,
    /// and neither are attempts that other calls made for this one.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Which action of a [`Transaction`](crate::Transaction) was refused, counted from 0; `None` if the write was not part of
    /// one.
    #[must_use]
    pub fn action_index(&self) -> Option<usize> {
        self.action_index
    }

    /// DynamoDB's reason for each action of the transaction, such as `None`, `ConditionalCheckFailed` or
    /// `TransactionConflict`; empty if the write was not part of one.
    #[must_use]
    pub fn cancellation_reasons(&self) -> &[String] {
        &self.cancellation_reasons
    }

    /// The refusals of the transaction's other actions, in their order: one [`Conflict`](Error::Conflict),
    /// [`AlreadyExists`](Error::AlreadyExists) or [`ConditionFailed`](Error::ConditionFailed) for each action that was refused.
    #[must_use]
    pub fn other_refusals(&self) -> &[Error] {
        &self.other_refusals
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, expected, .. } = self;
        if let Some(action) = self.action_index {
            write!(f, "action {action} of the transaction, counted from 0: ")?;
        }
        match (expected, self.actual()) {
            (0, Some(actual)) if actual > 0 => {
                write!(
                    f,
                    "the item in table \"{table}\" has version {actual}, but the object has none: read before writing"
                )
            }
            (_, Some(actual)) => {
                write!(
                    f,
                    "the item in table \"{table}\" was changed by another writer: expected version {expected}, found {actual}"
                )
            }
            (_, None) => write!(f, "the item in table \"{table}\" is not at version {expected} as expected"),
        }
    }
}

impl fmt::Debug for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conflict")
            .field("table", &self.table)
            .field("expected", &self.expected)
            .field("actual", &self.actual())
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}
