//! One call of the SDK: its configuration, its deadline and the meaning of its errors.

use std::error::Error as StdError;
use std::pin::Pin;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{self, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_dynamodb::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::CancellationReason;
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::error::codes::{ErrorClass, Worth};
use crate::error::sdk_failure::SdkFailure;
use crate::error::{Error, Result};
use crate::send::budget::Budget;

/// The code of a failed check among the reasons why a transaction was cancelled.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
pub(crate) const CHECK_FAILED: &str = "ConditionalCheckFailed";

/// The error of an operation of the SDK.
pub(crate) trait OperationError:
    ProvideErrorMetadata + Into<aws_sdk_dynamodb::Error> + StdError + Send + Sync + 'static
{
}

impl<E> OperationError for E where
    E: ProvideErrorMetadata + Into<aws_sdk_dynamodb::Error> + StdError + Send + Sync + 'static
{
}

/// An operation of the SDK, for one table or several. The SDK may send its request several times.
#[derive(Clone, Copy)]
pub(crate) struct SdkCall<'a> {
    pub(crate) client: &'a Client,
    pub(crate) operation: &'static str,
    /// The name of the table, or the names of all tables of a transaction. For errors only.
    pub(crate) tables: &'a str,
}

/// Why a call of the SDK did not succeed.
pub(crate) enum CallFailure {
    /// A condition did not hold. There is one reason for each action of the request, with the item on which the condition failed
    /// if DynamoDB returned it.
    CheckFailed(Vec<CancellationReason>),
    /// The deadline of dynalock's call came before an answer.
    OutOfTime(SdkFailure),
    Other(SdkFailure),
}

/// Sends a request, with a configuration of its own if there is one.
macro_rules! send_with {
    ($config:expr, $request:expr) => {{
        let config: Option<aws_sdk_dynamodb::config::Builder> = $config;
        let request = $request;
        async move {
            match config {
                Some(config) => request.customize().config_override(config).send().await,
                None => request.send().await,
            }
        }
    }};
}

pub(crate) use send_with;

impl SdkCall<'_> {
    /// A failure of this call.
    pub(crate) fn failure(&self, cause: impl Into<BoxError>, worth: Worth) -> SdkFailure {
        SdkFailure::new(self.operation, self.tables, cause, worth)
    }

    /// The error for an answer that does not fit the request.
    pub(crate) fn unusable(&self, problem: &str) -> Error {
        let cause = format!("the answer does not fit the request: {problem}");
        Error::Sdk(self.failure(cause, Worth::One).into())
    }

    /// Runs `call` until `until`. It is in a box since the SDK's futures take kilobytes, and moving one would cost more than the
    /// box.
    pub(crate) async fn until<O, E: OperationError>(
        self,
        until: Instant,
        budget: &mut Budget,
        call: Pin<Box<impl Future<Output = Result<O, SdkError<E>>>>>,
    ) -> Result<O, CallFailure> {
        self.check_runtime().map_err(CallFailure::Other)?;
        // A write that begins too late is not polled even once: it might be transmitted, and its outcome would be unknown.
        let answer: Result<_, BoxError> = if Instant::now() < until {
            tokio::time::timeout_at(until, call).await.map_err(Into::into)
        } else {
            Err("there was no time left to send it".into())
        };
        match answer {
            Ok(Ok(output)) => {
                budget.succeeded();
                Ok(output)
            }
            Ok(Err(error)) => {
                if matches!(error, SdkError::TimeoutError(_)) {
                    budget.timed_out();
                }
                Err(self.failure_of(error))
            }
            Err(too_late) => {
                // The caller's deadline ends the call. An earlier `until` only ends this attempt.
                let failure = self.failure(too_late, Worth::All);
                if until >= budget.deadline() {
                    return Err(CallFailure::OutOfTime(failure));
                }
                budget.timed_out();
                Err(CallFailure::Other(failure))
            }
        }
    }

    /// Refuses a call outside of a tokio runtime, where a timer would panic. Tokio does not say whether a runtime has timers.
    pub(crate) fn check_runtime(self) -> Result<(), SdkFailure> {
        Handle::try_current().map(drop).map_err(|missing| {
            let cause =
                format!("the call must be awaited in a tokio runtime that has time enabled: {missing}");
            self.failure(cause, Worth::One)
        })
    }

    /// The configuration of a request, with a timeout for each of the SDK's attempts. A shorter timeout of the client is kept.
    pub(crate) fn config(self, budget: &Budget) -> config::Builder {
        let config = self.config_with(budget.attempt_timeout());
        // After a timeout the SDK would wait for up to a second before it sends again. A short deadline does not have that time,
        // so dynalock makes the next attempt itself. The last attempt has no next one: there, the SDK's retries are all there is.
        if budget.has_more() { config.retry_classifier(NoRetryAfterTimeout) } else { config }
    }

    /// The configuration of a request that the SDK sends once. The rest of the client's retry configuration is kept, such as
    /// adaptive mode, or that a connection is closed after a failure.
    pub(crate) fn config_for_one_attempt(self, budget: &Budget) -> config::Builder {
        let client_retries = self.client.config().retry_config().cloned();
        let retries = client_retries.unwrap_or_else(RetryConfig::standard).with_max_attempts(1);
        self.config_with(budget.only_attempt_timeout()).retry_config(retries)
    }

    fn config_with(self, timeout: Duration) -> config::Builder {
        let client_timeout =
            self.client.config().timeout_config().and_then(TimeoutConfig::operation_attempt_timeout);
        let timeout = client_timeout.map_or(timeout, |client_timeout| client_timeout.min(timeout));
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(timeout).build();
        config::Builder::new().timeout_config(timeouts)
    }

    /// Sends a request that changes nothing until it succeeds, as often as `budget` allows.
    pub(crate) async fn ask<O, E: OperationError, F: Future<Output = Result<O, SdkError<E>>>>(
        self,
        budget: &mut Budget,
        send: impl Fn(Option<config::Builder>) -> F,
    ) -> Result<O> {
        // A configuration costs 3 % of the instructions of a read, so the first attempt has none, and one timeout for all of the
        // SDK's attempts. If that is reached, the SDK may have been waiting to send again. The next attempt has a configuration.
        let mut limits = (None, budget.attempt_deadline());
        if !budget.has_more() {
            limits = (Some(self.config(budget)), budget.deadline());
        }
        loop {
            let (config, until) = limits;
            match self.until(until, budget, Box::pin(send(config))).await {
                Ok(output) => return Ok(output),
                Err(failure) => self.wait_for_retry(failure, budget).await?,
            }
            limits = (Some(self.config(budget)), budget.deadline());
        }
    }

    /// The error of a request without a condition.
    pub(crate) fn error(self, failure: CallFailure) -> Error {
        match failure {
            CallFailure::OutOfTime(failure) | CallFailure::Other(failure) => Error::Sdk(failure.into()),
            CallFailure::CheckFailed(_) => self.unusable("a check failed, but the request has none"),
        }
    }

    /// Waits for the next attempt of a request that changes nothing. Returns the failure as an error if it is not transient, or
    /// if `budget` has no attempt left.
    pub(crate) async fn wait_for_retry(self, failure: CallFailure, budget: &mut Budget) -> Result<()> {
        match failure {
            CallFailure::OutOfTime(failure) => Err(budget.out_of_time(Error::Sdk(failure.into()))),
            CallFailure::Other(failure) if budget.permits(failure.worth()) => {
                budget.wait_after(Error::Sdk(failure.into())).await
            }
            failure => Err(self.error(failure)),
        }
    }

    fn failure_of<E: OperationError>(self, error: SdkError<E>) -> CallFailure {
        let worth = worth(&error);
        let failure = match error {
            SdkError::ServiceError(context) => match context.into_err().into() {
                aws_sdk_dynamodb::Error::ConditionalCheckFailedException(failed) => {
                    let reason = CancellationReason::builder().code(CHECK_FAILED).set_item(failed.item);
                    return CallFailure::CheckFailed(vec![reason.build()]);
                }
                aws_sdk_dynamodb::Error::TransactionCanceledException(mut cancelled) => {
                    let mut reasons = cancelled.cancellation_reasons.take().unwrap_or_default();
                    // A failed check takes precedence: the transaction would fail again, even if the other reasons are transient.
                    if reasons.iter().any(|reason| reason.code() == Some(CHECK_FAILED)) {
                        return CallFailure::CheckFailed(reasons);
                    }
                    let worth = if are_transient(&reasons) { Worth::All } else { Worth::One };
                    // The reasons may hold items, which an error must not show.
                    for reason in &mut reasons {
                        reason.item = None;
                    }
                    cancelled.cancellation_reasons = Some(reasons);
                    self.failure(aws_sdk_dynamodb::Error::TransactionCanceledException(cancelled), worth)
                }
                error => self.failure(error, worth),
            },
            // Only the source is kept: the raw response may hold items.
            error => match error.into_source() {
                Ok(source) => self.failure(source, worth),
                Err(error) => self.failure(error.to_string(), worth),
            },
        };
        CallFailure::Other(failure)
    }
}

/// How many attempts an error is worth, if the request may be sent again.
fn worth<E: OperationError>(error: &SdkError<E>) -> Worth {
    match error {
        SdkError::TimeoutError(_) | SdkError::ResponseError(_) => Worth::All,
        // The connector classifies some transient failures neither as I/O nor as a timeout.
        SdkError::DispatchFailure(failure)
            if failure.is_io()
                || failure.is_timeout()
                || failure.as_other().is_some()
                || failure.as_connector_error().is_some_and(|error| lost_its_runtime(error)) =>
        {
            Worth::All
        }
        SdkError::ServiceError(context) => {
            ErrorClass::new(context.raw().status().as_u16(), context.err()).worth()
        }
        _ => Worth::One,
    }
}

/// Whether a transaction that was cancelled for these reasons may succeed later.
fn are_transient(reasons: &[CancellationReason]) -> bool {
    let is_transient = |code| code == "None" || ErrorClass::from_code(code, None) == ErrorClass::Transient;
    !reasons.is_empty() && reasons.iter().filter_map(CancellationReason::code).all(is_transient)
}

/// Whether the connection belonged to a runtime that has ended. The hyper task that owned the connection is gone, and the request
/// with it. The connector reports this as a user error, though the next request gets a new connection.
fn lost_its_runtime(error: &(dyn StdError + 'static)) -> bool {
    std::iter::successors(Some(error), |&error| error.source())
        .any(|error| error.to_string() == "runtime dropped the dispatch task")
}

/// A retry classifier that ends the SDK's call after a timeout. Dynalock makes the next attempt, without a delay.
#[derive(Debug)]
struct NoRetryAfterTimeout;

impl ClassifyRetry for NoRetryAfterTimeout {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match context.output_or_error() {
            Some(Err(error)) if error.is_timeout_error() => RetryAction::RetryForbidden,
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "dynalock::NoRetryAfterTimeout"
    }
}
