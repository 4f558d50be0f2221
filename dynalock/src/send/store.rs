//! Where requests go: a client and a table, and one call of the SDK at a time.

use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{self, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_dynamodb::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::get_item::{GetItemError, GetItemOutput};
use aws_sdk_dynamodb::types::{CancellationReason, ReturnValuesOnConditionCheckFailure};
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::error::codes::{Answer, Worth};
use crate::error::sdk_failure::SdkFailure;
use crate::error::{Error, Result};
use crate::item::Item;
use crate::send::budget::Budget;
use crate::support::clock::microseconds;

/// The error of an operation of the SDK.
pub(crate) trait OperationError:
    ProvideErrorMetadata + Into<aws_sdk_dynamodb::Error> + StdError + Send + Sync + 'static
{
}

impl<E> OperationError for E where
    E: ProvideErrorMetadata + Into<aws_sdk_dynamodb::Error> + StdError + Send + Sync + 'static
{
}

/// A table, and the client to reach it with.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) client: Client,
    pub(crate) table: Box<str>,
    /// Set once a policy was seen to forbid that a failed check returns the item.
    item_is_denied: Arc<AtomicBool>,
}

/// Why a call of the SDK did not succeed.
pub(crate) enum Reason {
    /// A condition did not hold. One reason for each action of the request, with the item that it failed on, if the store
    /// told it.
    CheckFailed(Vec<CancellationReason>),
    /// The time of the whole call was up.
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

impl Target {
    pub(crate) fn new(client: Client, table: String) -> Self {
        Self { client, table: table.into(), item_is_denied: Arc::default() }
    }

    /// All the tables of a transaction.
    pub(crate) fn of_all<'a>(client: &Client, tables: impl Iterator<Item = &'a Self>) -> Self {
        let mut names: Vec<&str> = tables.map(|target| &*target.table).collect();
        names.sort_unstable();
        names.dedup();
        Self::new(client.clone(), names.join(", "))
    }

    /// What a failed check is asked to return: the item, unless that is forbidden.
    pub(crate) fn on_failed_check(&self) -> Option<ReturnValuesOnConditionCheckFailure> {
        let is_denied = self.item_is_denied.load(Ordering::Relaxed);
        (!is_denied).then_some(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    /// From now on, a failed check is not asked to return the item: the next write would be denied as this one was.
    pub(crate) fn item_is_denied(&self) {
        self.item_is_denied.store(true, Ordering::Relaxed);
    }

    /// Lets one call of the SDK, which may send its request several times, run until `until`. After that it does not begin: it
    /// would be given up at once, and a write would be in doubt for nothing. Nor does it where tokio is missing. The SDK's
    /// futures take kilobytes; moving them from hand to hand would cost more than a box.
    pub(crate) async fn within<O, E>(
        &self,
        until: Instant,
        budget: &mut Budget,
        operation: &'static str,
        call: Pin<Box<impl Future<Output = Result<O, SdkError<E>>>>>,
    ) -> Result<O, Reason>
    where
        E: OperationError,
    {
        self.check_runtime(operation).map_err(Reason::Other)?;
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
                Err(self.reason(operation, error))
            }
            Err(too_late) => {
                let failure = SdkFailure::new(operation, &self.table, too_late, Worth::All);
                if until >= budget.deadline() {
                    return Err(Reason::OutOfTime(failure));
                }
                budget.timed_out();
                Err(Reason::Other(failure))
            }
        }
    }

    /// Refuses a call outside of tokio's runtimes, where a timer would panic. Whether the runtime has timers cannot be asked.
    pub(crate) fn check_runtime(&self, operation: &'static str) -> Result<(), SdkFailure> {
        Handle::try_current().map(drop).map_err(|missing| {
            let cause =
                format!("the call must be awaited in a tokio runtime that has time enabled: {missing}");
            SdkFailure::new(operation, &self.table, cause, Worth::One)
        })
    }

    /// What a request has in its configuration: a timeout for each of the SDK's attempts. A shorter one of the client's stays.
    pub(crate) fn config(&self, budget: &Budget) -> config::Builder {
        let config = self.config_with(budget.attempt_timeout());
        // The SDK would first wait, for up to a second, which a short deadline has not got.
        if budget.has_more() { config.retry_classifier(EndsWithATimeout) } else { config }
    }

    /// The same for a request that the SDK sends once. Whatever else the client's retries are configured to do stays: a rate that
    /// adapts to throttling, or a connection that is given up after a failure.
    pub(crate) fn config_for_one_attempt(&self, budget: &Budget) -> config::Builder {
        let theirs = self.client.config().retry_config().cloned();
        let retries = theirs.unwrap_or_else(RetryConfig::standard).with_max_attempts(1);
        self.config_with(budget.only_attempt_timeout()).retry_config(retries)
    }

    fn config_with(&self, ours: Duration) -> config::Builder {
        let theirs = self.client.config().timeout_config().and_then(TimeoutConfig::operation_attempt_timeout);
        let timeout = theirs.map_or(ours, |theirs| theirs.min(ours));
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(timeout).build();
        config::Builder::new().timeout_config(timeouts)
    }

    fn reason<E: OperationError>(&self, operation: &'static str, error: SdkError<E>) -> Reason {
        let table = &self.table;
        let worth = match &error {
            SdkError::TimeoutError(_) | SdkError::ResponseError(_) => Worth::All,
            // The connector calls some failures to transmit neither, but still passing.
            SdkError::DispatchFailure(failure)
                if failure.is_io()
                    || failure.is_timeout()
                    || failure.as_other().is_some()
                    || failure.as_connector_error().is_some_and(|error| lost_its_runtime(error)) =>
            {
                Worth::All
            }
            SdkError::ServiceError(context) => {
                Answer::new(context.raw().status().as_u16(), context.err()).worth()
            }
            _ => Worth::One,
        };
        Reason::Other(match error {
            SdkError::ServiceError(context) => match context.into_err().into() {
                aws_sdk_dynamodb::Error::ConditionalCheckFailedException(failed) => {
                    let reason = CancellationReason::builder().code(CHECK_FAILED).set_item(failed.item);
                    return Reason::CheckFailed(vec![reason.build()]);
                }
                aws_sdk_dynamodb::Error::TransactionCanceledException(mut cancelled) => {
                    let mut reasons = cancelled.cancellation_reasons.take().unwrap_or_default();
                    let mut codes = reasons.iter().filter_map(CancellationReason::code);
                    // A failed check wins: it fails again, whatever else may pass.
                    if codes.clone().any(|code| code == CHECK_FAILED) {
                        return Reason::CheckFailed(reasons);
                    }
                    let may_pass = |code| code == "None" || Answer::named(code, None) == Answer::Transient;
                    let passes = !reasons.is_empty() && codes.all(may_pass);
                    let worth = if passes { Worth::All } else { Worth::One };
                    for reason in &mut reasons {
                        reason.item = None;
                    }
                    cancelled.cancellation_reasons = Some(reasons);
                    let error = aws_sdk_dynamodb::Error::TransactionCanceledException(cancelled);
                    SdkFailure::new(operation, table, error, worth)
                }
                error => SdkFailure::new(operation, table, error, worth),
            },
            // The raw response, which may hold items, stays behind.
            error => match error.into_source() {
                Ok(source) => SdkFailure::new(operation, table, source, worth),
                Err(error) => SdkFailure::new(operation, table, error.to_string(), worth),
            },
        })
    }

    /// Asks for something that changes nothing, as often as `budget` allows.
    pub(crate) async fn ask<O, E: OperationError, F: Future<Output = Result<O, SdkError<E>>>>(
        &self,
        budget: &mut Budget,
        operation: &'static str,
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
            match self.within(until, budget, operation, Box::pin(send(config))).await {
                Ok(output) => return Ok(output),
                Err(reason) => reason.after_wait(budget).await?,
            }
            limits = (Some(self.config(budget)), budget.deadline());
        }
    }

    /// Reads one item, as often as `budget` allows.
    pub(crate) async fn read(
        &self,
        key: &Item,
        consistent: bool,
        budget: &mut Budget,
    ) -> Result<Option<Item>> {
        Ok(self.ask(budget, "GetItem", |config| self.get_item(key, consistent, config)).await?.item)
    }

    /// Sends one request for an item.
    pub(crate) fn get_item(
        &self,
        key: &Item,
        consistent: bool,
        config: Option<config::Builder>,
    ) -> impl Future<Output = Result<GetItemOutput, SdkError<GetItemError>>> + Send + use<> {
        let request = self.client.get_item().table_name(&*self.table).consistent_read(consistent);
        send_with!(config, request.set_key(Some(key.clone())))
    }

    /// Microseconds since 1970, by the client's clock.
    pub(crate) fn now(&self) -> u64 {
        let now = self.client.config().time_source().map_or_else(SystemTime::now, |clock| clock.now());
        microseconds(now)
    }
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

impl Reason {
    /// The reason as an error, for a request that had no condition.
    pub(crate) fn into_error(self) -> Error {
        Error::Sdk(Box::new(match self {
            Self::OutOfTime(failure) | Self::Other(failure) => failure,
            Self::CheckFailed(_) => {
                let cause = "a failed check was the answer to a request without one";
                SdkFailure::new("request", "", cause, Worth::One)
            }
        }))
    }

    /// Waits for the next attempt, if this may go away by itself and `budget` has one; else says what stands in the way.
    pub(crate) async fn after_wait(self, budget: &mut Budget) -> Result<()> {
        match self {
            Self::OutOfTime(failure) => Err(budget.out_of_time(Error::Sdk(failure.into()))),
            Self::Other(failure) if budget.permits(failure.worth()) => {
                budget.wait_after(Error::Sdk(failure.into())).await
            }
            reason => Err(reason.into_error()),
        }
    }
}

/// The code of a failed check among the reasons why a transaction was cancelled.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
pub(crate) const CHECK_FAILED: &str = "ConditionalCheckFailed";

/// Whether the connection belonged to a runtime that ended, and the request with it: hyper's task that has the connection is gone. The
/// connector takes that for the user's fault, though the next connection is another one.
fn lost_its_runtime(error: &(dyn StdError + 'static)) -> bool {
    std::iter::successors(Some(error), |&error| error.source())
        .any(|error| error.to_string() == "runtime dropped the dispatch task")
}
