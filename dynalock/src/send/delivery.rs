//! The attempts that the SDK makes for one write: what became of them, and that all of them are the same request.

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

use crate::error::codes::Answer;
use crate::support::lock::lock;

/// What became of an attempt that was transmitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// DynamoDB said that it was carried out.
    Applied,
    /// DynamoDB said that it was not, or nothing reached it.
    NotApplied,
    /// Anything else.
    Unclear,
}

/// The attempts of one write, over all its calls of the SDK.
#[derive(Default)]
pub(crate) struct Attempts(Mutex<Progress>);

#[derive(Default)]
struct Progress {
    /// Transmitted, and nothing known of it since.
    under_way: bool,
    /// What became of the last attempt that came to an end.
    last: Option<Fate>,
    /// Some attempt was applied.
    applied: bool,
    /// Some attempt may have been applied, or may yet be.
    unclear: bool,
    /// The body of the request as it was serialized the first time.
    body: Option<Vec<u8>>,
}

impl Attempts {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        lock(&self.0)
    }

    /// Counts an attempt that is about to be transmitted; `false` if it must not be, since one before it was applied or may
    /// have been, and the write is none that may then be sent again.
    fn transmit(&self, repeat: Repeat) -> bool {
        let progress = &mut *self.progress();
        // An attempt that was never settled stays in doubt.
        progress.unclear |= progress.under_way;
        progress.under_way = repeat == Repeat::Always || !(progress.applied || progress.unclear);
        progress.under_way
    }

    fn settle(&self, fate: Fate) {
        let progress = &mut *self.progress();
        let fate = if progress.under_way { fate } else { Fate::NotApplied };
        progress.under_way = false;
        progress.last = Some(fate);
        progress.applied |= fate == Fate::Applied;
        progress.unclear |= fate == Fate::Unclear;
    }

    /// Whether DynamoDB said that the write was applied, whatever the SDK made of that.
    pub(crate) fn succeeded(&self) -> bool {
        self.progress().applied
    }

    /// Whether the last attempt got no answer that can be trusted.
    pub(crate) fn last_is_unclear(&self) -> bool {
        let progress = self.progress();
        progress.under_way || progress.last == Some(Fate::Unclear)
    }

    /// Whether any attempt got no answer that can be trusted, and so may have been applied.
    pub(crate) fn are_unclear(&self) -> bool {
        let progress = self.progress();
        progress.under_way || progress.unclear
    }

    /// Makes the request that is sent again one whose failed checks return no item; `false` if it was that already.
    pub(crate) fn ask_for_no_item(&self) -> bool {
        let body = &mut self.progress().body;
        match body.as_deref().and_then(without_item) {
            Some(shorter) => *body = Some(shorter),
            None => return false,
        }
        true
    }

    /// Whether there is a request to send again: none if the SDK gave up before it had made one.
    pub(crate) fn can_be_repeated(&self) -> bool {
        self.progress().body.is_some()
    }
}

/// When a write may be sent again, by dynalock or by the SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// As often as there is time: a copy of it cannot be applied once another one was.
    Always,
    /// Only where all earlier attempts are known to be not applied.
    UnlessInDoubt,
}

/// Tells [`Attempts`] what happens, for an operation whose errors are `E`.
pub(crate) struct Watch<E> {
    attempts: Arc<Attempts>,
    repeat: Repeat,
    error: PhantomData<fn() -> E>,
}

impl<E> Watch<E> {
    pub(crate) fn new(attempts: &Arc<Attempts>, repeat: Repeat) -> Self {
        Self { attempts: Arc::clone(attempts), repeat, error: PhantomData }
    }
}

/// Does not show the request.
impl<E> fmt::Debug for Watch<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl<E: ProvideErrorMetadata + StdError + Send + Sync + 'static> Intercept for Watch<E> {
    fn name(&self) -> &'static str {
        "dynalock::Watch"
    }

    /// Keeps the request's body the first time, and puts it into later requests, which so are the same to the byte.
    fn modify_before_retry_loop(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let kept = &mut self.attempts.progress().body;
        let request = context.request_mut();
        match kept {
            Some(body) => {
                request.headers_mut().insert("content-length", body.len().to_string());
                *request.body_mut() = body.clone().into();
            }
            None => *kept = request.body().bytes().map(<[u8]>::to_vec),
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
        if self.attempts.transmit(self.repeat) {
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
        self.attempts.settle(match context.output_or_error() {
            Some(Ok(_)) => Fate::Applied,
            // Handed to no connection, as where another interceptor failed before that.
            Some(Err(_)) if context.request().is_some() => Fate::NotApplied,
            Some(Err(error)) => {
                let refusal = error.as_operation_error().and_then(|error| error.downcast_ref::<E>());
                let refused = context.response().zip(refusal).is_some_and(|(response, error)| {
                    Answer::new(response.status().as_u16(), error).is_definite()
                });
                if refused || error.as_connector_error().is_some_and(|error| never_sent(error)) {
                    Fate::NotApplied
                } else {
                    Fate::Unclear
                }
            }
            None => Fate::Unclear,
        });
        Ok(())
    }
}

/// A serialized request whose failed checks return no item; `None` if they do not in `body` either. Nothing else in it
/// reads like this member: names of a caller's stand beside values that are objects, or begin with `#` or `:`, and quotes
/// inside of strings are escaped.
fn without_item(body: &[u8]) -> Option<Vec<u8>> {
    const ALL_OLD: &str = r#""ReturnValuesOnConditionCheckFailure":"ALL_OLD""#;
    const NONE: &str = r#""ReturnValuesOnConditionCheckFailure":"NONE""#;
    let body = std::str::from_utf8(body).ok()?;
    body.contains(ALL_OLD).then(|| body.replace(ALL_OLD, NONE).into_bytes())
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
