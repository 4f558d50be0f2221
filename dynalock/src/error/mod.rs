//! What a call returns that does not end in `Ok`

pub(crate) mod codes;
pub(crate) mod conflict;
pub(crate) mod sdk_failure;
pub(crate) mod unknown;

use crate::error::conflict::Conflict;
use crate::error::sdk_failure::SdkFailure;
use crate::error::unknown::UnknownOutcome;
use crate::item::invalid::Invalid;

/// The result of every call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call did not return `Ok`.
///
/// Neither `Display` nor `Debug` shows an attribute value of an item. [`source`](std::error::Error::source) returns the SDK's own
/// error with the details: why a request could not be sent, or DynamoDB's message. Log the whole chain, as `{:#}` of `anyhow`
/// does, but keep in mind that DynamoDB's messages may quote a value.
///
/// | error | the write |
/// |---|---|
/// | `Conflict`, `NotFound`, `ConditionFailed` | was not applied and never will be |
/// | `AlreadyExists` | the same; after a lost or late reply, only as long as the item exists |
/// | `OutcomeUnknown` | may or may not have been applied |
/// | `VersionOverflow`, `InvalidItem`, `InvalidRequest` | was not sent |
/// | `Busy`, `Sdk` | was not applied |
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another writer changed the item since it was read. [`Conflict::current`] returns the item as it is now. If DynamoDB
    /// refuses a write without returning the item, and a read of the item fails as well, every refusal is a conflict without an
    /// item.
    #[error("{0}")]
    Conflict(Box<Conflict>),

    /// The item to create exists already. [`Conflict::current`] returns the item as it is now. After a lost or late reply, the
    /// create has not been applied so far, and cannot be applied while the item exists: see [a late
    /// copy](crate::guide::what_ok_means#a-late-copy-of-a-create).
    #[error("an item with this key already exists in table \"{}\"", .0.table())]
    AlreadyExists(Box<Conflict>),

    /// The item to write does not exist, or no longer exists.
    #[error("no item is stored under this key")]
    NotFound,

    /// The version is as expected, but a [`Condition`](crate::Condition) of the caller does not hold.
    #[error("the condition does not hold for the item in table \"{}\"", .0.table())]
    ConditionFailed(Box<Conflict>),

    /// A reply was lost, or did not arrive before the deadline, and dynalock could not determine whether the write was applied.
    /// It did not try a different write: read the item and decide. Creates return this error more often than other writes, since
    /// they are not sent again; see [`Table::create`](crate::Table::create). A create
    /// [`in_transaction`](crate::call::Create::in_transaction) is sent again.
    #[error(transparent)]
    OutcomeUnknown(Box<UnknownOutcome>),

    /// The version cannot be raised within its type. Nothing was written.
    #[error("{}: the version cannot grow beyond {max}, the maximum of its type", location(table, attribute))]
    VersionOverflow {
        /// The table; empty if the write was built without one.
        table: Box<str>,
        /// The version attribute.
        attribute: &'static str,
        /// The largest version that the field's type holds.
        max: u64,
    },

    /// An item does not fit its struct, or a struct does not fit DynamoDB. Nothing was written.
    #[error("{}: {problem}", location(table, attribute))]
    InvalidItem {
        /// The table; empty if the write was built without one.
        table: Box<str>,
        /// The attribute that does not fit; empty if serde does not report it.
        attribute: Box<str>,
        /// What was found and what was expected, without the value.
        problem: Box<str>,
    },

    /// The call cannot be carried out as asked. No item was written.
    #[error("{}{problem}", table_prefix(table))]
    InvalidRequest {
        /// The table; empty if the write was built without one, or if the error is about a transaction as a whole.
        table: Box<str>,
        /// What is wrong with the call.
        problem: Box<str>,
    },

    /// Earlier calls of this process for the same item, or earlier items of a batch, took too long, or too many calls wait
    /// already. Nothing was written. If the cause is that DynamoDB does not answer the earlier calls, their errors show why. See
    /// [`Table::update`](crate::Table::update) and [`WriteAll::deadline`](crate::call::WriteAll::deadline).
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

/// Where an error is, for its message.
fn location(table: &str, attribute: &str) -> String {
    match (table, attribute) {
        ("", "") => "item".into(),
        ("", attribute) => format!("attribute \"{attribute}\""),
        (table, "") => format!("table \"{table}\""),
        (table, attribute) => format!("attribute \"{attribute}\" in table \"{table}\""),
    }
}

/// The beginning of a message that names its table, if there is one.
fn table_prefix(table: &str) -> String {
    if table.is_empty() { String::new() } else { format!("table \"{table}\": ") }
}

impl Error {
    /// Whether another writer changed the item first: [`Conflict`](Self::Conflict) or [`AlreadyExists`](Self::AlreadyExists).
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict(_) | Self::AlreadyExists(_))
    }

    /// Whether the same work may succeed if it is done again from a fresh read: after a conflict, throttling, a failed
    /// connection, or too many calls for one item.
    ///
    /// `false` for [`OutcomeUnknown`](Self::OutcomeUnknown), since doing the work again could apply it twice. `false` for
    /// [`AlreadyExists`](Self::AlreadyExists) too, since the same create would be refused again. The next run of an
    /// `update_or_create` or a `transact` would find the item instead: after these, check [`is_conflict`](Self::is_conflict) as
    /// well.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Conflict(_) | Self::Busy { .. } => true,
            Self::Sdk(failure) => failure.is_retryable(),
            _ => false,
        }
    }

    /// The [`name`](Self::name) of `OutcomeUnknown`.
    pub(crate) const UNKNOWN: &str = "outcome_unknown";

    /// The name of the error in traces.
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

    /// The refused write, if the error is about one.
    pub(crate) fn conflict(&self) -> Option<&Conflict> {
        match self {
            Self::Conflict(conflict) | Self::AlreadyExists(conflict) | Self::ConditionFailed(conflict) => {
                Some(conflict)
            }
            _ => None,
        }
    }

    /// The refused write, if the error is about one, to add details to it.
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
    /// The error of a call for `table`, which is empty if the call is for no table, or for several.
    pub(crate) fn in_table(self, table: &str) -> Error {
        let table = table.into();
        match self {
            Self::Item { attribute, problem } => Error::InvalidItem { table, attribute, problem },
            Self::Request { problem } => Error::InvalidRequest { table, problem },
            Self::Overflow { attribute, max } => Error::VersionOverflow { table, attribute, max },
        }
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
