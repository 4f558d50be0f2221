//! The failure of a request: DynamoDB's error answer, or the reason why there is no usable answer.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_smithy_runtime_api::client::interceptors::error::InterceptorError;

use crate::error::codes::{ErrorClass, Worth};

type BoxError = Box<dyn StdError + Send + Sync>;

/// A request that DynamoDB refused, or that got no usable answer.
#[derive(Clone)]
pub struct SdkFailure {
    operation: &'static str,
    table: Box<str>,
    /// An `aws_sdk_dynamodb::Error` if DynamoDB answered. Any other error if there was no answer, or none that could be read.
    cause: Arc<dyn StdError + Send + Sync>,
    worth: Worth,
}

impl SdkFailure {
    pub(crate) fn new(
        operation: &'static str,
        table: &str,
        cause: impl Into<BoxError>,
        worth: Worth,
    ) -> Self {
        Self { operation, table: table.into(), cause: cause.into().into(), worth }
    }

    /// How many attempts the request is worth after this failure, whether or not the failure is ambiguous.
    pub(crate) fn worth(&self) -> Worth {
        self.worth
    }

    /// Whether a retry may succeed without a change to the request or to the client.
    pub(crate) fn is_retryable(&self) -> bool {
        self.worth >= Worth::Few
    }

    /// Whether any write to the table would fail in the same way.
    pub(crate) fn is_table_wide(&self) -> bool {
        if let Some(error) = self.as_service_error() {
            return error
                .code()
                .is_some_and(|code| ErrorClass::from_code(code, error.message()).is_table_wide());
        }
        // Without an answer, the cause is a connection or a client, which every write shares. An interceptor of the client is the
        // exception: it may have refused this item.
        let mut causes = std::iter::successors(self.source(), |&error| error.source());
        !causes.any(<dyn StdError>::is::<InterceptorError>)
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

    /// DynamoDB's error code, such as `ThrottlingException`; `None` if DynamoDB did not answer with an error, or if the deadline
    /// passed while the SDK waited to retry.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.as_service_error()?.code()
    }

    /// DynamoDB's answer as the SDK's typed error; `None` if DynamoDB did not answer, for example because the request did not
    /// reach it.
    #[must_use]
    pub fn as_service_error(&self) -> Option<&aws_sdk_dynamodb::Error> {
        self.cause.downcast_ref()
    }
}

impl fmt::Display for SdkFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, table, .. } = self;
        match self.code() {
            Some(code) => {
                write!(f, "DynamoDB answered {code} to {operation} on table \"{table}\"")?;
                if code == "ValidationException" && operation.starts_with("Transact") {
                    f.write_str(" (a table with multi-Region strong consistency has no transactions)")?;
                }
                Ok(())
            }
            None => write!(f, "{operation} on table \"{table}\" got no usable answer from DynamoDB"),
        }
    }
}

/// Omits the cause, which [`source`](StdError::source) returns: the SDK's errors may print attribute values.
impl fmt::Debug for SdkFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdkFailure")
            .field("operation", &self.operation)
            .field("table", &self.table)
            .field("code", &self.code())
            .field("retryable", &self.is_retryable())
            .finish_non_exhaustive()
    }
}

impl StdError for SdkFailure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.cause)
    }
}
