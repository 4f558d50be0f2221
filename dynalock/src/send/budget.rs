//! The budget of a call: the attempts and the time that it has left, and what it has cost so far.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::codes::Worth;
use crate::error::{Error, Result};
use crate::send::limits::Limits;
use crate::send::retry::{ATTEMPTS_BY_THE_DEADLINE, Delays, FEW_ATTEMPTS, Retry};
use crate::send::trace::CallStats;

/// The attempts and the time that a call has left. It starts with the first attempt taken.
#[derive(Debug)]
pub(crate) struct Budget {
    limits: Limits,
    stats: CallStats,
    delays: Delays,
    /// How many attempts in a row ran out of time.
    timeouts: u32,
    /// How many errors in a row were worth fewer attempts than the call may make.
    limited_errors: u32,
    /// The error of the previous attempt, after which this one was made.
    earlier_error: Option<Error>,
}

impl Budget {
    /// Starts to count attempts and time.
    pub(crate) fn start(retry: Retry) -> Self {
        let stats = CallStats { attempts: 1, ..CallStats::default() };
        let limits = Limits::new(retry);
        let delays = retry.delays();
        Self { limits, stats, delays, timeouts: 0, limited_errors: 0, earlier_error: None }
    }

    pub(crate) fn retry(&self) -> Retry {
        self.limits.retry
    }

    /// The limits of the call from now on.
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// What the call has cost so far.
    pub(crate) fn stats(&self) -> CallStats {
        self.stats
    }

    /// Adds time that the call waited for other calls.
    pub(crate) fn queued(&mut self, time: Duration) {
        self.stats.queue_wait += time;
    }

    /// Notes how many calls shared the write that was applied.
    pub(crate) fn shared_by(&mut self, calls: usize) {
        self.stats.batch = calls;
    }

    /// When the call ends at the latest.
    pub(crate) fn deadline(&self) -> Instant {
        self.limits.deadline
    }

    /// The timeout for each attempt of a request that may be sent again.
    pub(crate) fn attempt_timeout(&self) -> Duration {
        self.limits.retry.timeout_after(self.timeouts)
    }

    /// The time at which an attempt that begins now is given up.
    pub(crate) fn attempt_deadline(&self) -> Instant {
        (Instant::now() + self.attempt_timeout()).min(self.limits.deadline)
    }

    /// Counts an attempt that ran out of time.
    pub(crate) fn timed_out(&mut self) {
        self.timeouts += 1;
    }

    /// The timeout for the attempt of a request that is sent only once. If it gets no answer, a read finds out its outcome. The
    /// attempt gets all the time that is left, less the share of that read.
    pub(crate) fn only_attempt_timeout(&self) -> Duration {
        let left = self.limits.time_left();
        let share = self.attempt_timeout().min(left);
        match self.limits.retry.attempt_timeout {
            // The read needs its share even if the caller has set a timeout as long as the deadline.
            Some(explicit) => explicit.min(left / ATTEMPTS_BY_THE_DEADLINE * (ATTEMPTS_BY_THE_DEADLINE - 1)),
            None => share.max(left.saturating_sub(share)),
        }
    }

    /// Counts an error, and returns whether its worth permits another attempt. The limits of the call are not checked.
    pub(crate) fn permits(&mut self, worth: Worth) -> bool {
        let max_attempts = match worth {
            Worth::One => return false,
            Worth::Two => 2,
            Worth::Few => FEW_ATTEMPTS,
            Worth::All => return true,
        };
        self.limited_errors += 1;
        self.limited_errors < max_attempts
    }

    /// Counts a refused write, and adds the number of the attempt to its error.
    pub(crate) fn refused(&mut self, mut error: Error) -> Error {
        if error.is_conflict() {
            self.stats.conflicts += 1;
        }
        if let Some(conflict) = error.conflict_mut() {
            conflict.set_attempts(self.stats.attempts);
        }
        error
    }

    /// Whether this attempt may be followed by another one.
    pub(crate) fn has_more(&self) -> bool {
        self.limits.more_attempts > 0
    }

    /// Takes one more attempt for use at once. Returns `false` if there is none left.
    pub(crate) fn take(&mut self) -> bool {
        if !self.has_more() || self.limits.time_left().is_zero() {
            return false;
        }
        self.limits.more_attempts -= 1;
        self.stats.attempts += 1;
        true
    }

    /// Waits for the next delay, then takes one more attempt. Returns `false`, without a wait, if there is no attempt left or if
    /// the deadline comes before the end of the delay.
    pub(crate) async fn wait(&mut self) -> bool {
        if !self.has_more() {
            return false;
        }
        let delay = self.delays.next().unwrap_or_default();
        if delay >= self.limits.time_left() {
            return false;
        }
        tokio::time::sleep(delay).await;
        self.take()
    }

    /// Does the same as `wait`, and returns `error` if no attempt is left.
    pub(crate) async fn wait_after(&mut self, error: Error) -> Result<()> {
        if !self.wait().await {
            return Err(error);
        }
        self.earlier_error = Some(error);
        Ok(())
    }

    /// Does the same as `take`, and returns `error` if no attempt is left.
    pub(crate) fn take_after(&mut self, error: Error) -> Result<()> {
        if !self.take() {
            return Err(error);
        }
        self.earlier_error = Some(error);
        Ok(())
    }

    /// Starts to count attempts again, after a request has made progress. The deadline stays.
    pub(crate) fn renew(&mut self) {
        let retry = self.limits.retry;
        self.limits.more_attempts = retry.attempts.saturating_sub(1);
        self.stats.attempts = 1;
        self.timeouts = 0;
        self.limited_errors = 0;
        self.delays = retry.delays();
    }

    /// Keeps the error of a request, for a call that runs out of time while a read finds out the outcome.
    pub(crate) fn failed(&mut self, error: Error) {
        self.earlier_error = Some(error);
    }

    /// Forgets all earlier errors, since a request succeeded.
    pub(crate) fn succeeded(&mut self) {
        self.timeouts = 0;
        self.limited_errors = 0;
        self.earlier_error = None;
    }

    /// The failure in which the previous attempt ended, for an error that has no cause of its own.
    pub(crate) fn earlier_failure(&self) -> Option<Error> {
        match &self.earlier_error {
            Some(Error::Sdk(failure)) => Some(Error::Sdk(failure.clone())),
            _ => None,
        }
    }

    /// The error of a call that runs out of time: that of the previous attempt, which says more, or `timeout` if there is none.
    pub(crate) fn out_of_time(&mut self, timeout: Error) -> Error {
        self.earlier_error.take().unwrap_or(timeout)
    }

    /// A budget for a request that serves other calls as well, within the `limits` of all of them. [`resume`](Self::resume)
    /// returns it to this call.
    pub(crate) fn share(&mut self, limits: Limits) -> Self {
        Self { limits, delays: self.delays.clone(), earlier_error: self.earlier_error.take(), ..*self }
    }

    /// Takes over what a shared request has counted. The limits are the call's own again.
    pub(crate) fn resume(&mut self, shared: Self) {
        // The shared request may have made more attempts than this call allows. They count, and leave none.
        let more_attempts = self.limits.retry.attempts.saturating_sub(shared.stats.attempts);
        *self = Self { limits: Limits { more_attempts, ..self.limits }, ..shared };
    }
}

#[cfg(test)]
mod tests;
