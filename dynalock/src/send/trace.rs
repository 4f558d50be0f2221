//! The trace of a call: a `tracing` span while it runs, and how it ended. It shows neither keys nor items.

use std::time::Duration;

use tracing::field::Empty;
use tracing::{Instrument, debug, debug_span, warn};

use crate::error::{Error, Result};

/// What a call has cost so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CallStats {
    /// The attempts, the first one included; 0 if nothing was sent. The SDK's retries within an attempt are not counted.
    pub(crate) attempts: u32,
    /// The writes that were refused because another writer was faster.
    pub(crate) conflicts: u32,
    /// How long the call waited for other calls of this process.
    pub(crate) queue_wait: Duration,
    /// How many calls shared the write that was applied.
    pub(crate) batch: usize,
}

/// How a call ended.
pub(crate) struct Finished<R> {
    answer: R,
    outcome: &'static str,
    stats: CallStats,
}

impl<R> Finished<R> {
    pub(crate) fn new(answer: R, outcome: &'static str, stats: CallStats) -> Self {
        Self { answer, outcome, stats }
    }
}

impl<T> Finished<Result<T>> {
    /// A call that failed before it sent a request.
    pub(crate) fn unsent(error: Error) -> Self {
        Self::with(Err(error), CallStats::default())
    }

    /// A call whose outcome is the name of its error, or `ok`.
    pub(crate) fn with(answer: Result<T>, stats: CallStats) -> Self {
        let outcome = answer.as_ref().map_or_else(Error::name, |_| "ok");
        Self { answer, outcome, stats }
    }
}

/// Runs a call in a span, and records in it how the call ended. A call that is dropped records no outcome.
pub(crate) async fn traced<R>(
    operation: &'static str,
    table: &str,
    call: impl Future<Output = Finished<R>>,
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
    let Finished { answer, outcome, stats } = call.instrument(span.clone()).await;
    // Most applications do not enable debug spans. Then nothing is formatted.
    if !span.is_disabled() {
        span.record("attempts", stats.attempts);
        span.record("conflicts", stats.conflicts);
        span.record("queue_wait_ms", u64::try_from(stats.queue_wait.as_millis()).unwrap_or(u64::MAX));
        span.record("batch", stats.batch);
        span.record("outcome", outcome);
        debug!(target: "dynalock", parent: &span, "ended");
    }
    if outcome == Error::UNKNOWN {
        warn!(target: "dynalock", operation, table, "whether a write was applied is unknown");
    }
    answer
}
