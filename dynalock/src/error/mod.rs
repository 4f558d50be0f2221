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

/// Why a call did not end in `Ok`.
///
/// Neither `Display` nor `Debug` shows what an item holds. [`source`](std::error::Error::source) leads to the SDK's own error, which
/// tells more: why a request could not be sent, or what DynamoDB says. Log the whole chain, as `{:#}` of `anyhow` does, but
/// keep in mind that DynamoDB's messages may quote a value.
///
/// | error | the write |
/// |---|---|
/// | `Conflict`, `NotFound`, `ConditionFailed` | was not applied and never will be |
/// | `AlreadyExists` | the same; after a lost or late reply, as long as the item is there |
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

    /// The item to create is there already. [`Conflict::current`] is the item as it is now. After a lost or late reply the create was
    /// not applied so far, and never is while the item is there: see
    /// [a late copy](crate::guide::what_ok_means#a-late-copy-of-a-create).
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
    /// [`Table::create`](crate::Table::create), and [`in_transaction`](crate::call::Create::in_transaction), which is sent again.
    #[error(transparent)]
    OutcomeUnknown(Box<UnknownOutcome>),

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
    /// See [`Table::update`](crate::Table::update) and [`WriteAll::deadline`](crate::call::WriteAll::deadline).
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_fits_in_64_bytes() {
        assert!(size_of::<Error>() <= 64, "{}", size_of::<Error>());
    }
}
