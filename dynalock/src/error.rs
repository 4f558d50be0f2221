//! What can go wrong: one error for every call.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_runtime_api::client::interceptors::error::InterceptorError;

use crate::conflict::Conflict;
use crate::item::Item;
use crate::verdict::find_out;
use crate::write::Intent;

/// The result of every call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type BoxError = Box<dyn StdError + Send + Sync>;

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
    /// else was tried: read the item and decide.
    #[error(transparent)]
    OutcomeUnknown(Box<Unknown>),

    /// The version cannot be raised within its type. Nothing was sent.
    #[error("{}: the version cannot grow beyond {max}, the maximum of its type", place(table, attribute))]
    VersionOverflow {
        /// The table; empty where a write was built without one.
        table: Box<str>,
        /// The version attribute.
        attribute: &'static str,
        /// The largest version that the field's type holds.
        max: u64,
    },

    /// An item does not fit its struct, or a struct does not fit DynamoDB. Nothing was sent.
    #[error("{}: {problem}", place(table, attribute))]
    InvalidItem {
        /// The table; empty where a write was built without one.
        table: Box<str>,
        /// The attribute at fault; empty where serde doesn't tell.
        attribute: Box<str>,
        /// What was found and what was expected, without the value.
        problem: Box<str>,
    },

    /// The call cannot be carried out as asked. Nothing was sent.
    #[error("{}{problem}", prefix(table))]
    InvalidRequest {
        /// The table; empty where a write was built without one.
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
    /// could apply it twice.
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

    pub(crate) fn item(attribute: &str, problem: impl Into<Box<str>>) -> Self {
        Self::InvalidItem { table: "".into(), attribute: attribute.into(), problem: problem.into() }
    }

    pub(crate) fn request(problem: impl Into<Box<str>>) -> Self {
        Self::InvalidRequest { table: "".into(), problem: problem.into() }
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

    /// Tells more of the refused write, where it is that.
    #[must_use]
    pub(crate) fn with_conflict(mut self, tell: impl FnOnce(&mut Conflict)) -> Self {
        if let Self::Conflict(conflict) | Self::AlreadyExists(conflict) | Self::ConditionFailed(conflict) =
            &mut self
        {
            tell(conflict);
        }
        self
    }

    /// Names the table in an error that was made before it was known.
    #[must_use]
    pub(crate) fn in_table(mut self, name: &str) -> Self {
        if let Self::VersionOverflow { table, .. }
        | Self::InvalidItem { table, .. }
        | Self::InvalidRequest { table, .. } = &mut self
        {
            *table = name.into();
        }
        self
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
        }
    }
}

impl StdError for Unknown {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_ref().map(|cause| cause as _)
    }
}

/// A request that DynamoDB refused, or that got no usable answer.
#[derive(Clone)]
pub struct SdkFailure {
    operation: &'static str,
    table: Box<str>,
    cause: Cause,
    retryable: bool,
}

#[derive(Clone)]
enum Cause {
    /// DynamoDB's own answer.
    Service(Arc<aws_sdk_dynamodb::Error>),
    /// No answer, or none that could be read.
    Transport(Arc<dyn StdError + Send + Sync>),
}

/// Codes of answers that have nothing to do with what the request was to do. `AccessDeniedException` is none of them: a policy
/// may be about attributes.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>
const ABOUT_NO_ITEM: [&str; 10] = [
    "ExpiredTokenException",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "RequestExpired",
    "ResourceNotFoundException",
    "SignatureDoesNotMatch",
    "SignatureDoesNotMatchException",
    "UnrecognizedClientException",
];

impl SdkFailure {
    pub(crate) fn service(
        operation: &'static str,
        table: &str,
        cause: aws_sdk_dynamodb::Error,
        retryable: bool,
    ) -> Self {
        Self { operation, table: table.into(), cause: Cause::Service(cause.into()), retryable }
    }

    pub(crate) fn transport(operation: &'static str, table: &str, cause: BoxError, retryable: bool) -> Self {
        Self { operation, table: table.into(), cause: Cause::Transport(cause.into()), retryable }
    }

    /// Whether it may go away without a change to the request.
    pub(crate) fn is_retryable(&self) -> bool {
        self.retryable
    }

    /// Whether any write to the table would fail in the same way.
    pub(crate) fn is_about_no_item(&self) -> bool {
        match &self.cause {
            Cause::Service(error) => error.code().is_some_and(|code| ABOUT_NO_ITEM.contains(&code)),
            // An interceptor of the client's may have looked at the item.
            Cause::Transport(error) => {
                let error: &(dyn StdError + 'static) = &**error;
                let mut causes = std::iter::successors(Some(error), |&error| error.source());
                !causes.any(<dyn StdError>::is::<InterceptorError>)
            }
        }
    }

    /// The DynamoDB operation, such as `PutItem`.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// The table that the request was for.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }

    /// DynamoDB's error code, such as `ThrottlingException`; `None` if DynamoDB did not answer.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.as_service_error()?.code()
    }

    /// DynamoDB's answer as the SDK's typed error; `None` if DynamoDB did not answer.
    #[must_use]
    pub fn as_service_error(&self) -> Option<&aws_sdk_dynamodb::Error> {
        match &self.cause {
            Cause::Service(error) => Some(&**error),
            Cause::Transport(_) => None,
        }
    }
}

impl fmt::Display for SdkFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, table, .. } = self;
        match self.code() {
            Some(code) => write!(f, "DynamoDB answered {code} to {operation} on table \"{table}\""),
            None => write!(f, "{operation} on table \"{table}\" failed without an answer from DynamoDB"),
        }
    }
}

/// Leaves the cause to [`source`](StdError::source): the SDK's errors may print what the item holds.
impl fmt::Debug for SdkFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdkFailure")
            .field("operation", &self.operation)
            .field("table", &self.table)
            .field("code", &self.code())
            .field("retryable", &self.retryable)
            .finish_non_exhaustive()
    }
}

impl StdError for SdkFailure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.cause {
            Cause::Service(error) => Some(&**error),
            Cause::Transport(error) => Some(&**error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempts::DEFINITE;

    /// Else what is told to all would not be known to be refused.
    #[test]
    fn what_is_about_no_item_is_definite() {
        assert!(ABOUT_NO_ITEM.iter().all(|code| DEFINITE.contains(code)));
    }

    #[test]
    fn an_error_fits_in_64_bytes() {
        assert!(size_of::<Error>() <= 64, "{}", size_of::<Error>());
    }
}
