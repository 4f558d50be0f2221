//! One call of the SDK: its configuration, its deadline, and what its errors mean.

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
    /// A condition did not hold. One reason for each action of the request, with the item that it failed on, if DynamoDB
    /// returned that.
    CheckFailed(Vec<CancellationReason>),
    /// The time of dynalock's whole call was up.
    OutOfTime(SdkFailure),
    Other(SdkFailure),
}

/// Sends a request, with a configuration of its own if there is one.
macro_rules! send_with {
    ($config:expr, $request:expr) => {{
        let (config, request): (Option<aws_sdk_dynamodb::config::Builder>, _) = ($config, $request);
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

    /// The error where the answer does not fit what was asked.
    pub(crate) fn unusable(&self, problem: &str) -> Error {
        let cause = format!("the answer does not fit what was asked: {problem}");
        Error::Sdk(self.failure(cause, Worth::One).into())
    }

    /// Lets `call` run until `until`. After that it does not begin: it would be given up at once, and a write would be in doubt
    /// for nothing. Nor does it begin where tokio is missing. The SDK's futures take kilobytes, so moving them from hand to hand
    /// would cost more than the box.
    pub(crate) async fn until<O, E: OperationError>(
        self,
        until: Instant,
        budget: &mut Budget,
        call: Pin<Box<impl Future<Output = Result<O, SdkError<E>>>>>,
    ) -> Result<O, CallFailure> {
        self.check_runtime().map_err(CallFailure::Other)?;
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
                let failure = self.failure(too_late, Worth::All);
                if until >= budget.deadline() {
                    return Err(CallFailure::OutOfTime(failure));
                }
                budget.timed_out();
                Err(CallFailure::Other(failure))
            }
        }
    }

    /// Refuses a call outside of tokio's runtimes, where a timer would panic. Whether the runtime has timers cannot be asked.
    pub(crate) fn check_runtime(self) -> Result<(), SdkFailure> {
        Handle::try_current().map(drop).map_err(|missing| {
            let cause =
                format!("the call must be awaited in a tokio runtime that has time enabled: {missing}");
            self.failure(cause, Worth::One)
        })
    }

    /// The configuration of a request: a timeout for each of the SDK's attempts. A shorter one of the client's stays.
    pub(crate) fn config(self, budget: &Budget) -> config::Builder {
        let config = self.config_with(budget.attempt_timeout());
        // The SDK would first wait, for up to a second, which a short deadline has not got.
        if budget.has_more() { config.retry_classifier(EndsWithATimeout) } else { config }
    }

    /// The configuration of a request that the SDK sends once. The rest of the client's retry configuration stays: a rate that adapts
    /// to throttling, or a connection that is given up after a failure.
    pub(crate) fn config_for_one_attempt(self, budget: &Budget) -> config::Builder {
        let theirs = self.client.config().retry_config().cloned();
        let retries = theirs.unwrap_or_else(RetryConfig::standard).with_max_attempts(1);
        self.config_with(budget.only_attempt_timeout()).retry_config(retries)
    }

    fn config_with(self, ours: Duration) -> config::Builder {
        let theirs = self.client.config().timeout_config().and_then(TimeoutConfig::operation_attempt_timeout);
        let timeout = theirs.map_or(ours, |theirs| theirs.min(ours));
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(timeout).build();
        config::Builder::new().timeout_config(timeouts)
    }

    /// Asks for something that changes nothing, as often as `budget` allows.
    pub(crate) async fn ask<O, E: OperationError, F: Future<Output = Result<O, SdkError<E>>>>(
        self,
        budget: &mut Budget,
        send: impl Fn(Option<config::Builder>) -> F,
    ) -> Result<O> {
        // A configuration costs 3 % of the instructions of a read, and the first attempt hardly ever needs it: if it runs out of
        // time, the SDK may have been waiting to send again, and the next one goes by the configuration.
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

    /// The failure of a request without a condition as an error.
    pub(crate) fn error(self, failure: CallFailure) -> Error {
        match failure {
            CallFailure::OutOfTime(failure) | CallFailure::Other(failure) => Error::Sdk(failure.into()),
            CallFailure::CheckFailed(_) => self.unusable("a check failed, and the request has none"),
        }
    }

    /// Waits for the next attempt of a request that changes nothing, if the failure is transient and `budget` has one; else returns
    /// the failure as an error.
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
                    // A failed check counts most: it fails again, whatever the other reasons are.
                    if reasons.iter().any(|reason| reason.code() == Some(CHECK_FAILED)) {
                        return CallFailure::CheckFailed(reasons);
                    }
                    let worth = if are_transient(&reasons) { Worth::All } else { Worth::One };
                    // An error shows no item.
                    for reason in &mut reasons {
                        reason.item = None;
                    }
                    cancelled.cancellation_reasons = Some(reasons);
                    self.failure(aws_sdk_dynamodb::Error::TransactionCanceledException(cancelled), worth)
                }
                error => self.failure(error, worth),
            },
            // The raw response, which may hold items, stays behind.
            error => match error.into_source() {
                Ok(source) => self.failure(source, worth),
                Err(error) => self.failure(error.to_string(), worth),
            },
        };
        CallFailure::Other(failure)
    }
}

/// How many attempts an error is worth that changed nothing.
fn worth<E: OperationError>(error: &SdkError<E>) -> Worth {
    match error {
        SdkError::TimeoutError(_) | SdkError::ResponseError(_) => Worth::All,
        // The connector calls some failures to transmit neither, though they are transient.
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

/// Whether the connection belonged to a runtime that ended, and the request with it: hyper's task that has the connection is gone. The
/// connector takes that for the user's fault, though the next connection is another one.
fn lost_its_runtime(error: &(dyn StdError + 'static)) -> bool {
    std::iter::successors(Some(error), |&error| error.source())
        .any(|error| error.to_string() == "runtime dropped the dispatch task")
}

/// Ends a call of the SDK with the first attempt that timed out: the next one is dynalock's own, and goes out at once.
#[derive(Debug)]
struct EndsWithATimeout;

impl ClassifyRetry for EndsWithATimeout {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match context.output_or_error() {
            Some(Err(error)) if error.is_timeout_error() => RetryAction::RetryForbidden,
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "dynalock::EndsWithATimeout"
    }
}
