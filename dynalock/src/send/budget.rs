//! What is left of a call's attempts and time.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::codes::Worth;
use crate::error::{Error, Result};
use crate::send::retry::{A_CENTURY, ATTEMPTS_BY_THE_DEADLINE, Delays, FEW, Retry};
use crate::send::trace::Tally;

/// What is left of a call's attempts and time. Starts with the first attempt taken.
#[derive(Debug)]
pub(crate) struct Budget {
    retry: Retry,
    deadline: Instant,
    used: u32,
    tally: Tally,
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
        let delays = retry.delays();
        let now = Instant::now();
        let deadline = now.checked_add(retry.deadline).unwrap_or(now + A_CENTURY);
        let tally = Tally::default();
        Self { retry, deadline, used: 1, tally, delays, timeouts: 0, limited: 0, earlier: None }
    }

    pub(crate) fn retry(&self) -> &Retry {
        &self.retry
    }

    /// When the call ends at the latest.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The timeout for each attempt of a request that may be sent again.
    pub(crate) fn attempt_timeout(&self) -> Duration {
        self.retry.one_attempt(self.timeouts)
    }

    /// When an attempt is given up that begins now.
    pub(crate) fn attempt_deadline(&self) -> Instant {
        (Instant::now() + self.attempt_timeout()).min(self.deadline)
    }

    /// Counts an attempt that ran out of time.
    pub(crate) fn timed_out(&mut self) {
        self.timeouts += 1;
    }

    /// The timeout for the attempt of a request that is sent only once, and whose outcome a read finds out afterwards:
    /// all the time that is left but the share of that read.
    pub(crate) fn only_attempt_timeout(&self) -> Duration {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let share = self.attempt_timeout().min(left);
        match self.retry.attempt_timeout {
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

    /// What the call has cost so far, to be added to.
    pub(crate) fn tally(&mut self) -> &mut Tally {
        self.tally.attempts = self.used;
        &mut self.tally
    }

    /// Counts a refused write.
    pub(crate) fn refused(&mut self, mut error: Error) -> Error {
        self.tally.conflicts += u32::from(error.is_conflict());
        if let Some(conflict) = error.conflict_mut() {
            conflict.after(self.used);
        }
        error
    }

    /// Whether this attempt may be followed by another one.
    pub(crate) fn has_more(&self) -> bool {
        self.used < self.retry.attempts
    }

    /// Takes one more attempt for use at once; `false` if there is none left.
    pub(crate) fn take(&mut self) -> bool {
        let left = self.has_more() && Instant::now() < self.deadline;
        self.used += u32::from(left);
        left
    }

    /// Waits, then takes one more attempt; `false` if there is none left, or would be none after the wait.
    pub(crate) async fn wait(&mut self) -> bool {
        if !self.has_more() {
            return false;
        }
        let delay = self.delays.next().unwrap_or_default();
        if delay >= self.deadline.saturating_duration_since(Instant::now()) {
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
        self.used = 1;
        (self.timeouts, self.limited) = (0, 0);
        self.delays = self.retry.delays();
    }

    /// Keeps what went wrong, for a call that is cut off while it looks into that.
    pub(crate) fn failed(&mut self, error: Error) {
        self.earlier = Some(error);
    }

    /// What went wrong before is over.
    pub(crate) fn succeeded(&mut self) {
        (self.timeouts, self.limited) = (0, 0);
        self.earlier = None;
    }

    /// The error of a call that was cut off: what went wrong before says more than that time was up.
    pub(crate) fn out_of_time(&mut self, cut_off: Error) -> Error {
        self.earlier.take().unwrap_or(cut_off)
    }
}

/// What bounds a call from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    deadline: Instant,
    /// How many attempts may follow the one that is taken.
    more_attempts: u32,
    /// Says how long an attempt is waited for.
    retry: Retry,
}

impl Limits {
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What bounds a request that serves two calls: it lasts as long as the more patient of them, and one that hangs is given up
    /// as soon as either of them would give it up.
    pub(crate) fn join(self, other: Self) -> Self {
        let is_shorter = other.retry.one_attempt(0) < self.retry.one_attempt(0);
        Self {
            deadline: self.deadline.max(other.deadline),
            more_attempts: self.more_attempts.max(other.more_attempts),
            retry: if is_shorter { other.retry } else { self.retry },
        }
    }
}

impl Budget {
    /// What bounds the call from now on.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            deadline: self.deadline,
            more_attempts: self.retry.attempts.saturating_sub(self.used),
            retry: self.retry,
        }
    }

    /// Takes what is left for a request that serves other calls as well, bounded by the `limits` of all. What the request makes of
    /// it comes back by [`resume`](Self::resume).
    pub(crate) fn share(&mut self, limits: Limits) -> Self {
        let Limits { deadline, more_attempts, retry } = limits;
        let attempts = self.used.saturating_add(more_attempts);
        Self {
            retry: retry.with_attempts(attempts),
            deadline,
            delays: self.delays.clone(),
            earlier: self.earlier.take(),
            ..*self
        }
    }

    /// Goes on with what a shared request has left. The limits are the call's own again.
    pub(crate) fn resume(&mut self, shared: Self) {
        *self = Self { retry: self.retry, deadline: self.deadline, ..shared };
    }
}

#[cfg(test)]
mod tests;
