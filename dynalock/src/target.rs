//! Where requests go: a client and a table, and one call of the SDK at a time.

use std::error::Error as StdError;
use std::future::Future;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{self, timeout::TimeoutConfig};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::attempts::{Attempts, Fate, Watch};
use crate::error::{Error, Result, SdkFailure};
use crate::item::Item;
use crate::retry::Budget;

/// A table, and the client to reach it with.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) client: Client,
    pub(crate) table: Box<str>,
}

/// A call of the SDK that did not succeed.
pub(crate) struct Failure {
    pub(crate) reason: Reason,
    /// What became of the SDK's last attempt.
    pub(crate) last: Fate,
    /// Whether an attempt before the last one may have been applied.
    pub(crate) unclear_before: bool,
}

pub(crate) enum Reason {
    /// The condition did not hold; the item that it failed on, if the store told it.
    CheckFailed(Option<Item>),
    Other(SdkFailure),
}

impl Failure {
    /// The failure as an error, if it may go away by itself and `budget` has an attempt left to see.
    pub(crate) async fn after_wait(self, budget: &mut Budget) -> Result<()> {
        match self.reason {
            Reason::Other(failure) if !failure.is_retryable() => Err(Error::Sdk(failure.into())),
            Reason::Other(failure) if !budget.wait().await => Err(Error::Sdk(failure.into())),
            _ => Ok(()),
        }
    }
}

impl Target {
    /// Makes one call of the SDK, which may send the request several times, within the time that `budget` has left.
    /// `send` gets what the call needs in its configuration.
    pub(crate) async fn call<O, E, F>(
        &self,
        operation: &'static str,
        budget: &Budget,
        send: impl FnOnce(config::Builder) -> F,
    ) -> Result<O, Failure>
    where
        F: Future<Output = Result<O, SdkError<E>>>,
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
        aws_sdk_dynamodb::Error: From<E>,
    {
        let attempts = Arc::new(Attempts::default());
        let config = config::Builder::new()
            .interceptor(Watch::<E>::new(&attempts))
            .timeout_config(self.timeouts(budget));
        let reason = match tokio::time::timeout_at(budget.deadline(), send(config)).await {
            Ok(Ok(output)) => return Ok(output),
            Ok(Err(error)) => self.reason(operation, error, attempts.last()),
            Err(elapsed) => {
                Reason::Other(SdkFailure::transport(operation, &self.table, elapsed.into(), true))
            }
        };
        Err(Failure { reason, last: attempts.last(), unclear_before: attempts.unclear_before() })
    }

    /// The timeout for one answer; a shorter one of the client's own stays in force.
    fn timeouts(&self, budget: &Budget) -> TimeoutConfig {
        let ours = budget.retry().answer_within();
        let theirs = self.client.config().timeout_config().and_then(TimeoutConfig::operation_attempt_timeout);
        let timeout = theirs.map_or(ours, |theirs| theirs.min(ours));
        TimeoutConfig::builder().operation_attempt_timeout(timeout).build()
    }

    /// What `error` says. Of an answer that cannot be trusted, such as a truncated one, the best that can be made is to ask
    /// again.
    fn reason<E>(&self, operation: &'static str, error: SdkError<E>, last: Fate) -> Reason
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
        aws_sdk_dynamodb::Error: From<E>,
    {
        let table = &self.table;
        let passing = match &error {
            SdkError::TimeoutError(_) | SdkError::ResponseError(_) => true,
            SdkError::DispatchFailure(failure) => failure.is_io() || failure.is_timeout(),
            SdkError::ServiceError(context) => {
                last == Fate::Unclear || context.err().code().is_some_and(may_pass)
            }
            _ => false,
        };
        Reason::Other(match error {
            SdkError::ServiceError(context) => match context.into_err().into() {
                aws_sdk_dynamodb::Error::ConditionalCheckFailedException(failed) => {
                    return Reason::CheckFailed(failed.item);
                }
                error => SdkFailure::service(operation, table, error, passing),
            },
            // The raw response, which may hold items, stays behind.
            error => match error.into_source() {
                Ok(source) => SdkFailure::transport(operation, table, source, passing),
                Err(error) => SdkFailure::transport(operation, table, error.to_string().into(), passing),
            },
        })
    }

    /// Reads one item, as often as `budget` allows.
    pub(crate) async fn read(
        &self,
        key: Item,
        consistent: bool,
        budget: &mut Budget,
    ) -> Result<Option<Item>> {
        let request =
            self.client.get_item().table_name(&*self.table).set_key(Some(key)).consistent_read(consistent);
        loop {
            let send = |config| request.clone().customize().config_override(config).send();
            match self.call("GetItem", budget, send).await {
                Ok(output) => return Ok(output.item),
                Err(failure) => failure.after_wait(budget).await?,
            }
        }
    }

    /// Microseconds since 1970, by the client's clock.
    pub(crate) fn now(&self) -> u64 {
        let now = self.client.config().time_source().map_or_else(SystemTime::now, |clock| clock.now());
        let since_1970 = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_1970.as_micros()).unwrap_or(u64::MAX)
    }
}

/// Whether a refusal with this code may go away without a change to the request.
fn may_pass(code: &str) -> bool {
    matches!(
        code,
        "ProvisionedThroughputExceededException"
            | "ReplicatedWriteConflictException"
            | "RequestLimitExceeded"
            | "Throttling"
            | "ThrottlingException"
            | "TransactionConflictException"
    )
}
