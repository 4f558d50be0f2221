//! The limits of a call: its deadline, and the attempts that it has left.

use std::time::Duration;

use tokio::time::Instant;

use crate::send::retry::{A_CENTURY, Retry};

/// The deadline of a call, and the attempts that it has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(super) deadline: Instant,
    /// How many attempts may follow the current one.
    pub(super) more_attempts: u32,
    /// The policy of the call, which says how long an attempt may take.
    pub(super) retry: Retry,
}

impl Limits {
    /// The limits of a call that begins now, with its first attempt.
    pub(super) fn new(retry: Retry) -> Self {
        let now = Instant::now();
        let deadline = now.checked_add(retry.deadline).unwrap_or(now + A_CENTURY);
        Self { deadline, more_attempts: retry.attempts.saturating_sub(1), retry }
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// How much time is left.
    pub(super) fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// The limits of a request that serves two calls. It has the later deadline and the larger number of attempts, but the
    /// shorter attempt timeout, so that an attempt without an answer ends as soon as either call would end it.
    pub(crate) fn join(self, other: Self) -> Self {
        let is_shorter = other.retry.timeout_after(0) < self.retry.timeout_after(0);
        Self {
            deadline: self.deadline.max(other.deadline),
            more_attempts: self.more_attempts.max(other.more_attempts),
            retry: if is_shorter { other.retry } else { self.retry },
        }
    }
}
