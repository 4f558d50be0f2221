//! What is left of a call's attempts and time, and what the call has cost so far.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::codes::Worth;
use crate::error::{Error, Result};
use crate::send::limits::Limits;
use crate::send::retry::{ATTEMPTS_BY_THE_DEADLINE, Delays, FEW, Retry};
use crate::send::trace::CallStats;

/// What is left of a call's attempts and time. Starts with the first attempt taken.
#[derive(Debug)]
pub(crate) struct Budget {
    limits: Limits,
    stats: CallStats,
    delays: Delays,
    /// How many attempts in a row ran out of time.
    timeouts: u32,
    /// How many errors in a row were not worth all attempts.
    limited: u32,
    /// Why the attempt before this one was not the last.
    earlier: Option<Error>,
}

impl Budget {
    /// Starts to count attempts and time.
    pub(crate) fn start(retry: Retry) -> Self {
        let stats = CallStats { attempts: 1, ..CallStats::default() };
        let (limits, delays) = (Limits::new(retry), retry.delays());
        Self { limits, stats, delays, timeouts: 0, limited: 0, earlier: None }
    }

    pub(crate) fn retry(&self) -> Retry {
        self.limits.retry
    }

    /// What bounds the call from now on.
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// What the call has cost so far.
    pub(crate) fn stats(&self) -> CallStats {
        self.stats
    }

    /// Counts time that the call waited for other calls.
    pub(crate) fn queued(&mut self, time: Duration) {
        self.stats.queue_wait += time;
    }

    /// Notes that one write carried the changes of so many calls.
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

    /// When an attempt is given up that begins now.
    pub(crate) fn attempt_deadline(&self) -> Instant {
        (Instant::now() + self.attempt_timeout()).min(self.limits.deadline)
    }

    /// Counts an attempt that ran out of time.
    pub(crate) fn timed_out(&mut self) {
        self.timeouts += 1;
    }

    /// The timeout for the attempt of a request that is sent only once, and whose outcome a read finds out afterwards:
    /// all the time that is left but the share of that read.
    pub(crate) fn only_attempt_timeout(&self) -> Duration {
        let left = self.limits.time_left();
        let share = self.attempt_timeout().min(left);
        match self.limits.retry.attempt_timeout {
            Some(explicit) => explicit.min(left / ATTEMPTS_BY_THE_DEADLINE * (ATTEMPTS_BY_THE_DEADLINE - 1)),
            None => share.max(left.saturating_sub(share)),
        }
    }

    /// Whether an error that is worth so many attempts may be followed by another one, as far as the error is concerned.
    pub(crate) fn permits(&mut self, worth: Worth) -> bool {
        let most = match worth {
            Worth::One => return false,
            Worth::Two => 2,
            Worth::Few => FEW,
            Worth::All => return true,
        };
        self.limited += 1;
        self.limited < most
    }

    /// Counts a refused write, and says in its error which attempt it was.
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

    /// Takes one more attempt for use at once; `false` if there is none left.
    pub(crate) fn take(&mut self) -> bool {
        if !self.has_more() || self.limits.time_left().is_zero() {
            return false;
        }
        self.limits.more_attempts -= 1;
        self.stats.attempts += 1;
        true
    }

    /// Waits, then takes one more attempt; `false` if there is none left, or would be none after the wait.
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

    /// As `wait`, but an attempt that is not made leaves `error`.
    pub(crate) async fn wait_after(&mut self, error: Error) -> Result<()> {
        if !self.wait().await {
            return Err(error);
        }
        self.earlier = Some(error);
        Ok(())
    }

    /// As `take`, but an attempt that is not made leaves `error`.
    pub(crate) fn take_after(&mut self, error: Error) -> Result<()> {
        if !self.take() {
            return Err(error);
        }
        self.earlier = Some(error);
        Ok(())
    }

    /// Begins to count attempts anew, after progress. The deadline stays.
    pub(crate) fn renew(&mut self) {
        let retry = self.limits.retry;
        self.limits.more_attempts = retry.attempts.saturating_sub(1);
        self.stats.attempts = 1;
        self.timeouts = 0;
        self.limited = 0;
        self.delays = retry.delays();
    }

    /// Keeps what went wrong, for a call that is cut off while it looks into that.
    pub(crate) fn failed(&mut self, error: Error) {
        self.earlier = Some(error);
    }

    /// Forgets what went wrong before.
    pub(crate) fn succeeded(&mut self) {
        self.timeouts = 0;
        self.limited = 0;
        self.earlier = None;
    }

    /// The failure that the attempt before this one ended in, for an answer that has no cause of its own.
    pub(crate) fn earlier_failure(&self) -> Option<Error> {
        match &self.earlier {
            Some(Error::Sdk(failure)) => Some(Error::Sdk(failure.clone())),
            _ => None,
        }
    }

    /// The error of a call that was cut off: what went wrong before says more than that time was up.
    pub(crate) fn out_of_time(&mut self, cut_off: Error) -> Error {
        self.earlier.take().unwrap_or(cut_off)
    }

    /// Takes what is left for a request that serves other calls as well, bounded by the `limits` of all. What the request makes of
    /// it comes back by [`resume`](Self::resume).
    pub(crate) fn share(&mut self, limits: Limits) -> Self {
        Self { limits, delays: self.delays.clone(), earlier: self.earlier.take(), ..*self }
    }

    /// Goes on with what a shared request has left. The limits are the call's own again.
    pub(crate) fn resume(&mut self, shared: Self) {
        let more_attempts = self.limits.retry.attempts.saturating_sub(shared.stats.attempts);
        *self = Self { limits: Limits { more_attempts, ..self.limits }, ..shared };
    }
}

#[cfg(test)]
mod tests;
