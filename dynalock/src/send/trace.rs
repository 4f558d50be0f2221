//! What a call tells `tracing`: a span while it runs, and what came of it. Neither keys nor items.

use std::time::Duration;

use tracing::field::Empty;
use tracing::{Instrument, debug, debug_span, warn};

use crate::error::{Error, Result};

/// What a call has cost so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    /// Attempts beyond those that the SDK makes by itself, the first one included; 0 if there was nothing to send.
    pub(crate) attempts: u32,
    /// Writes that were refused because another writer was faster.
    pub(crate) conflicts: u32,
    /// How long it waited for other calls of this process.
    pub(crate) queue_wait: Duration,
    /// How many calls were carried by the write that went through.
    pub(crate) batch: usize,
}

/// A call that has come to its end.
pub(crate) struct Ended<R> {
    answer: R,
    outcome: &'static str,
    tally: Tally,
}

impl<R> Ended<R> {
    pub(crate) fn new(answer: R, outcome: &'static str, tally: Tally) -> Self {
        Self { answer, outcome, tally }
    }
}

impl<T> Ended<Result<T>> {
    /// A call that came to no request.
    pub(crate) fn unsent(error: Error) -> Self {
        Self::of(Err(error), Tally::default())
    }

    pub(crate) fn of(answer: Result<T>, tally: Tally) -> Self {
        let outcome = answer.as_ref().map_or_else(Error::name, |_| "ok");
        Self { answer, outcome, tally }
    }
}

/// Runs a call in a span, which at its end says what the call came to. A call that is dropped leaves no outcome.
pub(crate) async fn observed<R>(
    operation: &'static str,
    table: &str,
    call: impl Future<Output = Ended<R>>,
) -> R {
    let span = debug_span!(
        target: "dynalock",
        "dynalock",
        operation,
        table,
        attempts = Empty,
        conflicts = Empty,
        queue_wait_ms = Empty,
        batch = Empty,
        outcome = Empty
    );
    let Ended { answer, outcome, tally } = call.instrument(span.clone()).await;
    if !span.is_disabled() {
        span.record("attempts", tally.attempts);
        span.record("conflicts", tally.conflicts);
        span.record("queue_wait_ms", u64::try_from(tally.queue_wait.as_millis()).unwrap_or(u64::MAX));
        span.record("batch", tally.batch);
        span.record("outcome", outcome);
        debug!(target: "dynalock", parent: &span, "ended");
    }
    if outcome == Error::UNKNOWN {
        warn!(target: "dynalock", operation, table, "whether a write was applied is unknown");
    }
    answer
}
