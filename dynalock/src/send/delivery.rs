//! The delivery of one request: how its attempts ended, and the body that all of them share.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard};

use aws_sdk_dynamodb::config::interceptors::{
    BeforeTransmitInterceptorContextMut, BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::{BoxError, ProvideErrorMetadata};
use aws_smithy_types::body::SdkBody;

use crate::error::codes::ErrorClass;
use crate::support::lock::lock;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AttemptResult {
    /// DynamoDB answered that the request was carried out.
    Applied,
    /// DynamoDB answered that the request was not carried out, or nothing was transmitted.
    NotApplied,
    /// Neither is certain: the request may have been carried out, or may yet be.
    Ambiguous,
}

/// When a request may be sent again, by dynalock or by the SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// As often as the budget permits: no copy of it can be applied after another one was.
    Always,
    /// Only if it is certain that no earlier attempt was applied.
    UnlessAmbiguous,
}

/// The attempts of one request, those of the SDK included.
///
/// The body of the first attempt is kept for all others. DynamoDB compares the copies of a transaction by their contents, so each
/// must have the same bytes; and serializing the writes again would cost up to 19 % more instructions. The body is shared with
/// the SDK, and not copied.
#[derive(Default)]
pub(crate) struct Delivery(Mutex<Progress>);

#[derive(Default)]
struct Progress {
    /// Whether an attempt was transmitted and has no result yet.
    is_in_flight: bool,
    last: Option<AttemptResult>,
    /// Whether any attempt was applied.
    is_applied: bool,
    /// Whether any attempt may have been applied, or may yet be. No later answer clears it.
    is_ambiguous: bool,
    /// The body as the SDK serialized it the first time.
    body: Option<SdkBody>,
}

impl Delivery {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        lock(&self.0)
    }

    /// Notes that an attempt is about to be transmitted. Returns `false` if it must not be.
    fn transmit(&self, repeat: Repeat) -> bool {
        let mut progress = self.progress();
        // The future of an earlier attempt was dropped before it had a result. That attempt stays ambiguous.
        if progress.is_in_flight {
            progress.is_ambiguous = true;
        }
        progress.is_in_flight = repeat == Repeat::Always || !(progress.is_applied || progress.is_ambiguous);
        progress.is_in_flight
    }

    /// Notes how an attempt ended.
    fn finish(&self, result: AttemptResult) {
        let mut progress = self.progress();
        // An attempt that was never transmitted was not applied, even if the SDK's error looks ambiguous.
        let result = if progress.is_in_flight { result } else { AttemptResult::NotApplied };
        progress.is_in_flight = false;
        progress.last = Some(result);
        match result {
            AttemptResult::Applied => progress.is_applied = true,
            AttemptResult::Ambiguous => progress.is_ambiguous = true,
            AttemptResult::NotApplied => {}
        }
    }

    /// Whether DynamoDB answered that the request was carried out, even if the call of the SDK failed after that.
    pub(crate) fn succeeded(&self) -> bool {
        self.progress().is_applied
    }

    /// Whether the last attempt is ambiguous.
    pub(crate) fn last_is_ambiguous(&self) -> bool {
        let progress = self.progress();
        progress.is_in_flight || progress.last == Some(AttemptResult::Ambiguous)
    }

    /// Whether any attempt is ambiguous.
    pub(crate) fn is_ambiguous(&self) -> bool {
        let progress = self.progress();
        progress.is_in_flight || progress.is_ambiguous
    }

    /// Whether there is a body to send again. There is none if the SDK failed before it serialized the request.
    pub(crate) fn can_be_repeated(&self) -> bool {
        self.progress().body.is_some()
    }

    /// Changes the body so that a failed check returns no item. Returns `false` if there was nothing to change.
    pub(crate) fn withhold_item(&self) -> bool {
        let body = &mut self.progress().body;
        let changed = body.as_ref().and_then(SdkBody::bytes).and_then(without_item);
        let is_changed = changed.is_some();
        *body = changed.or_else(|| body.take());
        is_changed
    }
}

/// An interceptor of the SDK that reports each attempt to a [`Delivery`], for an operation whose errors are `E`.
pub(crate) struct DeliveryProbe<E> {
    delivery: Arc<Delivery>,
    repeat: Repeat,
    error: PhantomData<fn() -> E>,
}

impl<E> DeliveryProbe<E> {
    pub(crate) fn new(delivery: &Arc<Delivery>, repeat: Repeat) -> Self {
        Self { delivery: Arc::clone(delivery), repeat, error: PhantomData }
    }
}

/// Shows nothing of the request, whose body holds the item.
impl<E> fmt::Debug for DeliveryProbe<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeliveryProbe").finish_non_exhaustive()
    }
}

impl<E: ProvideErrorMetadata + StdError + Send + Sync + 'static> Intercept for DeliveryProbe<E> {
    fn name(&self) -> &'static str {
        "dynalock::DeliveryProbe"
    }

    /// Keeps the body of the SDK's first call, and replaces the body of each later call by it. Runs before the request is signed.
    fn modify_before_retry_loop(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let kept = &mut self.delivery.progress().body;
        let request = context.request_mut();
        match kept.as_ref().and_then(SdkBody::try_clone) {
            Some(body) => {
                // The SDK has set the length of the body that is replaced.
                let length = body.content_length().unwrap_or_default();
                request.headers_mut().insert("content-length", length.to_string());
                *request.body_mut() = body;
            }
            None => *kept = request.body().try_clone(),
        }
        Ok(())
    }

    /// The last step before the request is transmitted. It stops attempts that the client's own retry settings would make, where
    /// the request must not be sent again.
    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if self.delivery.transmit(self.repeat) {
            Ok(())
        } else {
            Err("an earlier attempt may have been applied, so the request is not sent again".into())
        }
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.delivery.finish(match context.output_or_error() {
            Some(Ok(_)) => AttemptResult::Applied,
            // The SDK takes the request out of the context to hand it to a connection. The request is still here, so nothing was
            // sent, as when another interceptor failed.
            Some(Err(_)) if context.request().is_some() => AttemptResult::NotApplied,
            Some(Err(error)) => {
                let refusal = error.as_operation_error().and_then(|error| error.downcast_ref::<E>());
                let is_refused = context.response().zip(refusal).is_some_and(|(response, error)| {
                    ErrorClass::new(response.status().as_u16(), error).is_definite()
                });
                if is_refused || error.as_connector_error().is_some_and(|error| never_sent(error)) {
                    AttemptResult::NotApplied
                } else {
                    AttemptResult::Ambiguous
                }
            }
            None => AttemptResult::Ambiguous,
        });
        Ok(())
    }
}

/// A copy of a serialized request in which failed checks return no item; `None` if they return none in `body` already.
///
/// The text that is replaced occurs as this member only. An attribute name is followed by an object and not by a string, a
/// placeholder begins with `#` or `:`, and a quote inside of a string is escaped.
fn without_item(body: &[u8]) -> Option<SdkBody> {
    const ALL_OLD: &str = r#""ReturnValuesOnConditionCheckFailure":"ALL_OLD""#;
    const NONE: &str = r#""ReturnValuesOnConditionCheckFailure":"NONE""#;
    let body = std::str::from_utf8(body).ok()?;
    body.contains(ALL_OLD).then(|| body.replace(ALL_OLD, NONE).into())
}

/// Whether nothing was transmitted: the host refused the connection; hyper's client failed to connect, as where a name does not
/// resolve; or it returned the request because the connection was closed before a byte was written. Any other error may be that
/// of a connection in use.
fn never_sent(error: &(dyn StdError + 'static)) -> bool {
    std::iter::successors(Some(error), |&error| error.source()).any(|error| {
        match error.downcast_ref::<io::Error>() {
            Some(error) => error.kind() == io::ErrorKind::ConnectionRefused,
            None => {
                matches!(&*error.to_string(), "client error (Connect)" | "client error (Canceled)")
            }
        }
    })
}
