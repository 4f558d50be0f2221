//! How the attempts of one request ended, and the body that all of them have.

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

/// How an attempt ended that was transmitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AttemptResult {
    /// DynamoDB said that it was carried out.
    Applied,
    /// DynamoDB said that it was not, or nothing reached it.
    NotApplied,
    /// Anything else.
    Ambiguous,
}

/// When a request may be sent again, by dynalock or by the SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// As often as there is time: a copy of it cannot be applied once another one was.
    Always,
    /// Only where all earlier attempts are known to be not applied.
    UnlessAmbiguous,
}

/// The attempts of one request, those of the SDK included.
///
/// DynamoDB must get the same bytes each time: it compares the copies of a transaction. To render the writes again would cost up to 19 %
/// more instructions, so the body is kept. It is shared with the SDK, and not copied.
#[derive(Default)]
pub(crate) struct Delivery(Mutex<Progress>);

#[derive(Default)]
struct Progress {
    /// Whether an attempt was transmitted whose end is not known yet.
    is_in_flight: bool,
    last: Option<AttemptResult>,
    /// Whether any attempt was applied.
    is_applied: bool,
    /// Whether any attempt may have been applied, or may yet be.
    is_ambiguous: bool,
    /// The body as the SDK serialized it the first time.
    body: Option<SdkBody>,
}

impl Delivery {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        lock(&self.0)
    }

    /// Counts an attempt that is about to be transmitted; `false` if it must not be.
    fn transmit(&self, repeat: Repeat) -> bool {
        let mut progress = self.progress();
        // An attempt that was dropped has no result, and stays ambiguous.
        if progress.is_in_flight {
            progress.is_ambiguous = true;
        }
        progress.is_in_flight = repeat == Repeat::Always || !(progress.is_applied || progress.is_ambiguous);
        progress.is_in_flight
    }

    fn finish(&self, result: AttemptResult) {
        let mut progress = self.progress();
        // What was never transmitted was not applied, whatever the SDK's error looks like.
        let result = if progress.is_in_flight { result } else { AttemptResult::NotApplied };
        progress.is_in_flight = false;
        progress.last = Some(result);
        match result {
            AttemptResult::Applied => progress.is_applied = true,
            AttemptResult::Ambiguous => progress.is_ambiguous = true,
            AttemptResult::NotApplied => {}
        }
    }

    /// Whether DynamoDB said that the request was carried out, whatever the SDK made of that.
    pub(crate) fn succeeded(&self) -> bool {
        self.progress().is_applied
    }

    /// Whether the last attempt may have been applied without an answer that says so.
    pub(crate) fn last_is_ambiguous(&self) -> bool {
        let progress = self.progress();
        progress.is_in_flight || progress.last == Some(AttemptResult::Ambiguous)
    }

    /// Whether any attempt may have been applied without an answer that says so.
    pub(crate) fn is_ambiguous(&self) -> bool {
        let progress = self.progress();
        progress.is_in_flight || progress.is_ambiguous
    }

    /// Whether there is a body to send again: none if the SDK gave up before it had made one.
    pub(crate) fn can_be_repeated(&self) -> bool {
        self.progress().body.is_some()
    }

    /// Changes the body into one whose failed checks return no item; `false` if it was that already.
    pub(crate) fn withhold_item(&self) -> bool {
        let body = &mut self.progress().body;
        let shorter = body.as_ref().and_then(SdkBody::bytes).and_then(without_item);
        let is_changed = shorter.is_some();
        *body = shorter.or_else(|| body.take());
        is_changed
    }
}

/// Tells a [`Delivery`] what happens to its attempts, for an operation whose errors are `E`. An interceptor of the SDK.
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

/// Does not show the request.
impl<E> fmt::Debug for DeliveryProbe<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeliveryProbe").finish_non_exhaustive()
    }
}

impl<E: ProvideErrorMetadata + StdError + Send + Sync + 'static> Intercept for DeliveryProbe<E> {
    fn name(&self) -> &'static str {
        "dynalock::DeliveryProbe"
    }

    /// Keeps the body of the first call of the SDK, and puts it in place of those of later calls.
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
                let length = body.content_length().unwrap_or_default();
                request.headers_mut().insert("content-length", length.to_string());
                *request.body_mut() = body;
            }
            None => *kept = request.body().try_clone(),
        }
        Ok(())
    }

    /// The last step before the request leaves. The client's own retry settings may want to send what must not be sent again.
    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if self.delivery.transmit(self.repeat) {
            Ok(())
        } else {
            Err("an earlier attempt may have been applied, so it is not sent again".into())
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
            // Handed to no connection, as where another interceptor failed before that.
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

/// A serialized request whose failed checks return no item; `None` if they do not in `body` either. Nothing else in it
/// reads like this member: names of a caller's stand beside values that are objects, or begin with `#` or `:`, and quotes
/// inside of strings are escaped.
fn without_item(body: &[u8]) -> Option<SdkBody> {
    const ALL_OLD: &str = r#""ReturnValuesOnConditionCheckFailure":"ALL_OLD""#;
    const NONE: &str = r#""ReturnValuesOnConditionCheckFailure":"NONE""#;
    let body = std::str::from_utf8(body).ok()?;
    body.contains(ALL_OLD).then(|| body.replace(ALL_OLD, NONE).into())
}

/// Whether nothing was sent over a connection: refused by the host, what hyper's client calls a failure to connect, such as a
/// name that does not resolve, or a request that it gave back because its connection was closed before a byte was written.
/// Anything else may have befallen a connection in use.
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
