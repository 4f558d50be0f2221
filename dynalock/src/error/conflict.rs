//! A write that was refused, and the stored item that it was refused for.

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

/// A write that was refused because the stored item is not as it was expected.
///
/// `Display` and `Debug` show the table and the versions, never what the item holds.
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
    /// A refused write of the item under `key`. `item` is what is stored, if that is known.
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

    /// Says which action of a transaction was refused, counted from 0.
    pub(crate) fn set_action_index(&mut self, index: usize) {
        self.action_index = Some(index);
    }

    /// Adds what came with the refusal: DynamoDB's reason for each action, and the errors of the other actions.
    pub(crate) fn add_refusals(&mut self, cancellation_reasons: Vec<String>, others: Vec<Error>) {
        self.cancellation_reasons = cancellation_reasons;
        self.other_refusals = others;
    }

    /// Says which attempt was refused, also in the refusals that came with it.
    pub(crate) fn set_attempts(&mut self, attempts: u32) {
        self.attempts = attempts;
        for other in self.other_refusals.iter_mut().filter_map(Error::conflict_mut) {
            other.set_attempts(attempts);
        }
    }

    /// Takes the stored item away.
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

    /// The version that the write expected; 0 if it expected an item without a version, or no item.
    #[must_use]
    pub fn expected(&self) -> u64 {
        self.expected
    }

    /// The version that is stored; 0 if the stored item has none. `None` if the store did not say, or what it holds is no
    /// version.
    #[must_use]
    pub fn actual(&self) -> Option<u64> {
        StoredVersion::read(self.item.as_ref()?, self.schema).ok().map(StoredVersion::number)
    }

    /// The stored item that the check failed on.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidItem`] if the item does not fit `T`, if there is none, or if the store refused the write without telling it
    /// and a read for it failed.
    pub fn current<T: DeserializeOwned>(&self) -> Result<T> {
        let untold =
            || Invalid::item("", "there is no item, or the store refused the write without telling it");
        let item = self.item.clone().ok_or_else(untold);
        item.and_then(|item| from_item(item, self.schema)).map_err(|invalid| invalid.in_table(&self.table))
    }

    /// The stored item as the SDK gave it, every attribute included; `None` if the store did not tell it.
    #[must_use]
    pub fn item(&self) -> Option<&HashMap<String, AttributeValue>> {
        self.item.as_ref()
    }

    /// How many attempts the call made, this last one included. What the SDK sent again by itself does not count, nor does what
    /// other calls sent for this one.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Which action of a [`Transaction`](crate::Transaction) was refused, counted from 0; `None` for a write of its own.
    #[must_use]
    pub fn action_index(&self) -> Option<usize> {
        self.action_index
    }

    /// DynamoDB's reason for each action of the transaction, such as `None`, `ConditionalCheckFailed` or
    /// `TransactionConflict`; empty for a write of its own.
    #[must_use]
    pub fn cancellation_reasons(&self) -> &[String] {
        &self.cancellation_reasons
    }

    /// What else stood in the way of the transaction: a [`Conflict`](Error::Conflict),
    /// [`AlreadyExists`](Error::AlreadyExists) or [`ConditionFailed`](Error::ConditionFailed) for each other action that was
    /// refused, in their order.
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
