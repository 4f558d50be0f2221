//! What became of each attempt that the SDK made for one call: an interceptor that watches, and changes nothing.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_dynamodb::config::interceptors::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::{BoxError, ProvideErrorMetadata};

/// Answers that say for certain that DynamoDB did not carry out the request.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>
const DEFINITE: [&str; 24] = [
    "AccessDeniedException",
    "ConditionalCheckFailedException",
    "ExpiredTokenException",
    "IdempotentParameterMismatchException",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "ItemCollectionSizeLimitExceededException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "ProvisionedThroughputExceededException",
    "ReplicatedWriteConflictException",
    "RequestExpired",
    "RequestLimitExceeded",
    "ResourceInUseException",
    "ResourceNotFoundException",
    "SerializationException",
    "SignatureDoesNotMatchException",
    "Throttling",
    "ThrottlingException",
    "TransactionCanceledException",
    "TransactionConflictException",
    "UnrecognizedClientException",
    "ValidationError",
    "ValidationException",
];

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing was transmitted.
    NotSent,
    /// DynamoDB answered, and the answer can be trusted.
    Answered,
    /// It may have been applied, or may yet be.
    Unclear,
}

/// The attempts of one SDK call.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<Progress>);

#[derive(Debug, Default)]
struct Progress {
    /// Transmitted, and nothing known of it since.
    under_way: bool,
    /// An attempt before the last one was unclear.
    unclear_before: bool,
    last: Option<Fate>,
}

impl Attempts {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn transmit(&self) {
        self.progress().under_way = true;
    }

    fn settle(&self, fate: Fate) {
        let mut progress = self.progress();
        let fate = if progress.under_way { fate } else { Fate::NotSent };
        progress.unclear_before |= progress.last == Some(Fate::Unclear);
        progress.last = Some(fate);
        progress.under_way = false;
    }

    /// What became of the last attempt. One that was given up while it was under way is unclear.
    pub(crate) fn last(&self) -> Fate {
        match *self.progress() {
            Progress { under_way: true, .. } => Fate::Unclear,
            Progress { last, .. } => last.unwrap_or(Fate::NotSent),
        }
    }

    /// Whether an attempt before the last one may have been applied.
    pub(crate) fn unclear_before(&self) -> bool {
        let progress = self.progress();
        progress.unclear_before || progress.under_way && progress.last == Some(Fate::Unclear)
    }
}

/// Tells [`Attempts`] what happens, for an operation whose errors are `E`.
pub(crate) struct Watch<E> {
    attempts: Arc<Attempts>,
    error: PhantomData<fn() -> E>,
}

impl<E> Watch<E> {
    pub(crate) fn new(attempts: &Arc<Attempts>) -> Self {
        Self { attempts: Arc::clone(attempts), error: PhantomData }
    }
}

impl<E> fmt::Debug for Watch<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.attempts).finish()
    }
}

impl<E: ProvideErrorMetadata + StdError + Send + Sync + 'static> Intercept for Watch<E> {
    fn name(&self) -> &'static str {
        "dynalock::Watch"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.attempts.transmit();
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let fate = match context.output_or_error() {
            Some(Ok(_)) => Fate::Answered,
            Some(Err(error)) => {
                let refused = context.response().is_some_and(|response| response.status().is_client_error());
                let code = error
                    .as_operation_error()
                    .and_then(|error| error.downcast_ref::<E>())
                    .and_then(ProvideErrorMetadata::code);
                if refused && code.is_some_and(|code| DEFINITE.contains(&code)) {
                    Fate::Answered
                } else if error.as_connector_error().is_some_and(|error| was_refused(error)) {
                    Fate::NotSent
                } else {
                    Fate::Unclear
                }
            }
            None => Fate::Unclear,
        };
        self.attempts.settle(fate);
        Ok(())
    }
}

/// Whether no connection came about. Other failures to connect are not told apart from those of a connection in use.
fn was_refused(error: &(dyn StdError + 'static)) -> bool {
    std::iter::successors(Some(error), |&error| error.source())
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}
