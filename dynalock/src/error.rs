//! What can go wrong: one error for every call, and what a refused or a lost write tells.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::de::DeserializeOwned;

use crate::expect::Expect;
use crate::failure::SdkFailure;
use crate::invalid::Invalid;
use crate::item::{self, Item, StoredVersion};
use crate::schema::Schema;
use crate::verdict::find_out;
use crate::write::Intent;

/// The result of every call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call did not end in `Ok`.
///
/// Neither `Display` nor `Debug` shows what an item holds. [`source`](StdError::source) leads to the SDK's own error, which
/// tells more: why a request could not be sent, or what DynamoDB says. Log the whole chain, as `{:#}` of `anyhow` does, but
/// keep in mind that DynamoDB's messages may quote a value.
///
/// | error | the write |
/// |---|---|
/// | `Conflict`, `AlreadyExists`, `NotFound`, `ConditionFailed` | was not applied and never will be |
/// | `OutcomeUnknown` | may or may not have been applied |
/// | `VersionOverflow`, `InvalidItem`, `InvalidRequest` | was not sent |
/// | `Busy`, `Sdk` | was not applied |
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another writer changed the item since it was read. [`Conflict::current`] is the item as it is now. (Where the store
    /// refuses a write without telling the item, and a read for it fails as well, any refusal is a conflict without item.)
    #[error("{0}")]
    Conflict(Box<Conflict>),

    /// The item to create is there already. [`Conflict::current`] is the item as it is now.
    #[error("an item with this key already exists in table \"{}\"", .0.table())]
    AlreadyExists(Box<Conflict>),

    /// The item to write does not exist, or no longer.
    #[error("no item is stored under this key")]
    NotFound,

    /// The version is as expected, but a [`Condition`](crate::Condition) of the caller does not hold.
    #[error("the condition does not hold for the item in table \"{}\"", .0.table())]
    ConditionFailed(Box<Conflict>),

    /// A reply was lost, or did not come before the deadline, and whether the write was applied could not be found out. Nothing
    /// else was tried: read the item and decide. Creates end so more often than other writes, since they are not sent again; see
    /// [`Table::create`](crate::Table::create), and [`in_transaction`](crate::Create::in_transaction) for an exact answer.
    #[error(transparent)]
    OutcomeUnknown(Box<Unknown>),

    /// The version cannot be raised within its type. Nothing was written.
    #[error("{}: the version cannot grow beyond {max}, the maximum of its type", place(table, attribute))]
    VersionOverflow {
        /// The table; empty where a write was built without one.
        table: Box<str>,
        /// The version attribute.
        attribute: &'static str,
        /// The largest version that the field's type holds.
        max: u64,
    },

    /// An item does not fit its struct, or a struct does not fit DynamoDB. Nothing was written.
    #[error("{}: {problem}", place(table, attribute))]
    InvalidItem {
        /// The table; empty where a write was built without one.
        table: Box<str>,
        /// The attribute at fault; empty where serde doesn't tell.
        attribute: Box<str>,
        /// What was found and what was expected, without the value.
        problem: Box<str>,
    },

    /// The call cannot be carried out as asked. No item was written.
    #[error("{}{problem}", prefix(table))]
    InvalidRequest {
        /// The table; empty where a write was built without one, and where it is about a transaction as a whole.
        table: Box<str>,
        /// What is wrong with the call.
        problem: Box<str>,
    },

    /// Other calls of this process for the same item, or other items of a batch, came first and took too long, or too many of
    /// them wait already. Nothing was written. Also where DynamoDB does not answer those who come first: their errors tell why.
    /// See [`Table::update`](crate::Table::update) and [`WriteAll::deadline`](crate::WriteAll::deadline).
    #[error("table \"{table}\": {problem}")]
    Busy {
        /// The table.
        table: Box<str>,
        /// What the call would have had to wait for.
        problem: &'static str,
    },

    /// DynamoDB refused the request, or could not be reached. A write that ends in this error was not applied.
    #[error(transparent)]
    Sdk(Box<SdkFailure>),
}

fn place(table: &str, attribute: &str) -> String {
    match (table, attribute) {
        ("", "") => "item".into(),
        ("", attribute) => format!("attribute \"{attribute}\""),
        (table, "") => format!("table \"{table}\""),
        (table, attribute) => format!("attribute \"{attribute}\" in table \"{table}\""),
    }
}

fn prefix(table: &str) -> String {
    if table.is_empty() { String::new() } else { format!("table \"{table}\": ") }
}

impl Error {
    /// Whether another writer was faster: [`Conflict`](Self::Conflict) or [`AlreadyExists`](Self::AlreadyExists).
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict(_) | Self::AlreadyExists(_))
    }

    /// Whether the same work may succeed if it is done again from a fresh read: a conflict, throttling, a failed
    /// connection, or too many calls for one item. Never for [`OutcomeUnknown`](Self::OutcomeUnknown), since doing it again
    /// could apply it twice; nor for [`AlreadyExists`](Self::AlreadyExists), since the same create would be refused again. (Of
    /// `update_or_create` and `transact`, whose next run would find the item, ask [`is_conflict`](Self::is_conflict) as well.)
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Conflict(_) | Self::Busy { .. } => true,
            Self::Sdk(failure) => failure.is_retryable(),
            _ => false,
        }
    }

    pub(crate) const UNKNOWN: &str = "outcome_unknown";

    /// What traces call it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Conflict(_) => "conflict",
            Self::AlreadyExists(_) => "already_exists",
            Self::NotFound => "not_found",
            Self::ConditionFailed(_) => "condition_failed",
            Self::OutcomeUnknown(_) => Self::UNKNOWN,
            Self::VersionOverflow { .. } => "version_overflow",
            Self::InvalidItem { .. } => "invalid_item",
            Self::InvalidRequest { .. } => "invalid_request",
            Self::Busy { .. } => "busy",
            Self::Sdk(_) => "sdk",
        }
    }

    /// The refused write, where it is that.
    pub(crate) fn conflict(&self) -> Option<&Conflict> {
        match self {
            Self::Conflict(conflict) | Self::AlreadyExists(conflict) | Self::ConditionFailed(conflict) => {
                Some(conflict)
            }
            _ => None,
        }
    }

    /// The same, to tell more of it.
    pub(crate) fn conflict_mut(&mut self) -> Option<&mut Conflict> {
        match self {
            Self::Conflict(conflict) | Self::AlreadyExists(conflict) | Self::ConditionFailed(conflict) => {
                Some(conflict)
            }
            _ => None,
        }
    }
}

impl Invalid {
    /// The error of a call for `table`; an empty one where a call is for none, or for several.
    pub(crate) fn in_table(self, table: &str) -> Error {
        let table = table.into();
        match self {
            Self::Item { attribute, problem } => Error::InvalidItem { table, attribute, problem },
            Self::Request { problem } => Error::InvalidRequest { table, problem },
            Self::Overflow { attribute, max } => Error::VersionOverflow { table, attribute, max },
        }
    }
}

/// A write that was refused because the stored item is not as it was expected.
///
/// `Display` and `Debug` show the table and the versions, never what the item holds.
pub struct Conflict {
    table: Box<str>,
    key: Item,
    schema: &'static Schema,
    expected: u64,
    pub(crate) item: Option<Item>,
    attempts: u32,
    pub(crate) action: Option<usize>,
    pub(crate) reasons: Vec<String>,
    pub(crate) others: Vec<Error>,
}

impl Conflict {
    /// A refused write of the item under `key`, where `item` stands.
    pub(crate) fn new(
        table: &str,
        schema: &'static Schema,
        expect: Expect,
        key: Item,
        item: Option<Item>,
    ) -> Self {
        let (table, expected) = (table.into(), expect.number());
        let (action, reasons, others) = (None, Vec::new(), Vec::new());
        Self { table, key, schema, expected, item, attempts: 1, action, reasons, others }
    }

    /// Says which attempt this was, and so all refusals that came with it.
    pub(crate) fn after(&mut self, attempts: u32) {
        self.attempts = attempts;
        self.others.iter_mut().filter_map(Error::conflict_mut).for_each(|other| other.after(attempts));
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
        StoredVersion::of(self.item.as_ref()?, self.schema).ok().map(StoredVersion::number)
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
        item.and_then(|item| item::from_item(item, self.schema))
            .map_err(|invalid| invalid.in_table(&self.table))
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
    pub fn action(&self) -> Option<usize> {
        self.action
    }

    /// DynamoDB's reason for each action of the transaction, such as `None`, `ConditionalCheckFailed` or
    /// `TransactionConflict`; empty for a write of its own.
    #[must_use]
    pub fn reasons(&self) -> &[String] {
        &self.reasons
    }

    /// What else stood in the way of the transaction: a [`Conflict`](Error::Conflict),
    /// [`AlreadyExists`](Error::AlreadyExists) or [`ConditionFailed`](Error::ConditionFailed) for each other action that was
    /// refused, in their order.
    #[must_use]
    pub fn others(&self) -> &[Error] {
        &self.others
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, expected, .. } = self;
        if let Some(action) = self.action {
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

/// A write whose fate could not be found out in time.
///
/// It may still be found out later: read the item, strongly consistent, and ask [`was_applied`](Self::was_applied).
pub struct Unknown {
    pub(crate) table: Box<str>,
    pub(crate) key: Item,
    pub(crate) write: Intent,
    pub(crate) cause: Option<Error>,
}

impl Unknown {
    /// The table that was written to.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The key of the item that was written to.
    #[must_use]
    pub fn key(&self) -> &HashMap<String, AttributeValue> {
        &self.key
    }

    /// The version that the write expected; 0 if it expected none.
    #[must_use]
    pub fn expected(&self) -> u64 {
        self.write.expect.number()
    }

    /// The version that the item has if the write was applied; `None` for a delete.
    #[must_use]
    pub fn intended(&self) -> Option<u64> {
        self.write.next_version
    }

    /// What the item, as a later read finds it, says about the write: it was applied, it was not and never will be, or
    /// `None`: still unknown.
    ///
    /// `stored` is what a strongly consistent read of the [`key`](Self::key) with the SDK returned, every attribute
    /// included. A write that is not applied yet may still be under way for minutes, so an item at the
    /// [`expected`](Self::expected) version says nothing.
    ///
    /// ```no_run
    /// # async fn example(client: aws_sdk_dynamodb::Client, error: dynalock::Error) -> Result<(), Box<dyn std::error::Error>> {
    /// if let dynalock::Error::OutcomeUnknown(unknown) = error {
    ///     let read = client.get_item().table_name(unknown.table()).set_key(Some(unknown.key().clone()));
    ///     let item = read.consistent_read(true).send().await?.item;
    ///     match unknown.was_applied(item.as_ref()) {
    ///         Some(true) => {}  // done
    ///         Some(false) => {} // do it again
    ///         None => {}        // ask again later, or ask a person
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn was_applied(&self, stored: Option<&HashMap<String, AttributeValue>>) -> Option<bool> {
        find_out(self.write, stored)
    }
}

/// Shows no key.
impl fmt::Debug for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unknown")
            .field("table", &self.table)
            .field("expected", &self.expected())
            .field("intended", &self.intended())
            .field("cause", &self.cause)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a reply from table \"{}\" was lost, and whether ", self.table)?;
        match self.intended() {
            Some(version) => write!(f, "version {version} was written is unknown"),
            None => write!(f, "the item was deleted is unknown"),
        }?;
        if self.write.is_lone_create() {
            f.write_str(
                "; `create(..).in_transaction()` is exact, for two write units, but not in a table with multi-Region \
                 strong consistency, which has no transactions",
            )?;
        }
        Ok(())
    }
}

impl StdError for Unknown {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_ref().map(|cause| cause as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_fits_in_64_bytes() {
        assert!(size_of::<Error>() <= 64, "{}", size_of::<Error>());
    }
}
