//! How often and how long a call is tried.

use std::time::Duration;

use tokio::time::Instant;

use crate::call::Tally;
use crate::codes::Worth;
use crate::error::{Error, Result};
use crate::random;

/// How often a conflict is answered at once with what came with it. After that the items are read again, and only after a
/// delay: whoever sleeps on an item that is in demand wakes with an old one.
pub(crate) const IMMEDIATE: u32 = 2;

/// What the first attempt gets at most, unless the caller says so. DynamoDB answers within milliseconds; what takes seconds is a
/// connection that is gone, or a store that is overloaded and should not get everything twice. Longer than the 3.1 s after which the
/// SDK by default gives up to connect: then it is certain that nothing was sent.
const ATTEMPT: Duration = Duration::from_secs(4);

/// The first attempt gets this part of the deadline at most, unless the caller says so: a dead connection costs an attempt, and not
/// the call.
const ATTEMPTS_BY_THE_DEADLINE: u32 = 4;

/// The least that an attempt gets, unless the caller says so: a new connection needs a TLS handshake, and perhaps credentials.
const COLD_CONNECTION: Duration = Duration::from_millis(250);

/// How many attempts a signature that is out of date is worth. One more than a freeze can spoil: that of the attempt in which it came,
/// that of the next one, since the SDK takes half of the freeze for a difference between the clocks, and that of another call's late
/// reply, from which it learned the same.
const FEW: u32 = 4;

/// Stands for deadlines that are too far away to be computed.
const A_CENTURY: Duration = Duration::from_hours(100 * 365 * 24);

/// How often, how long, and at what intervals a call is tried before it gives up.
///
/// One attempt is one call of the SDK; within it the SDK may send the request several times, as its own retry
/// configuration says, unless it is a [create](crate::Table::create). A request without an answer ends the attempt, though, and the
/// next one begins at once. Whichever of the limits is reached first ends the call with the error of the last attempt. An error that nothing but another request would
/// change ends it at once; a signature that is out of date is worth 4 attempts, and credentials that have expired 2.
///
/// What bounds what, and what to set under a web handler or AWS Lambda, is in the [guide](crate::guide::contention#timeouts).
///
/// ```
/// use std::time::Duration;
/// use dynalock::Retry;
///
/// let patient = Retry::default().attempts(200).deadline(Duration::from_secs(60));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a retry policy does nothing until a call or a table takes it"]
pub struct Retry {
    attempts: u32,
    deadline: Duration,
    /// `None` for what suits the deadline.
    attempt_timeout: Option<Duration>,
    first_delay: Duration,
    max_delay: Duration,
}

/// 512 attempts within 30 seconds, which mostly end first; 4 seconds for an answer, and longer after one that did not come; delays of up to 10 ms, doubling to at
/// most 250 ms.
///
/// `docs/benchmarks.md` in the repository compares them with others. Longer delays cost fewer writes where many applications
/// want one item, and shorter ones are fairer.
impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 512,
            deadline: Duration::from_secs(30),
            attempt_timeout: None,
            first_delay: Duration::from_millis(10),
            max_delay: Duration::from_millis(250),
        }
    }
}

impl Retry {
    /// No second attempt. A write that an [`update`](crate::Table::update) shares with other calls is sent as often as any of them
    /// allows, and what they send for it costs no attempt.
    pub fn never() -> Self {
        Self::default().attempts(1)
    }

    /// At most this many attempts, the first one included; 0 counts as 1. A [`get_many`](crate::Table::get_many) counts anew
    /// after each answer that brings items.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// At most this much time for the whole call: all attempts and delays, and the wait for other calls of
    /// [`update`](crate::Table::update). A closure is not interrupted, but once the time is up nothing more is begun. An
    /// attempt that is under way by then is given up; if that is a write, the call ends in
    /// [`OutcomeUnknown`](crate::Error::OutcomeUnknown).
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// At most this much time for one answer from DynamoDB, which includes connecting and, where they are not at hand,
    /// fetching credentials. It holds for each of the SDK's own attempts; in the first attempt of a read, for all of them
    /// together. A shorter timeout in the client's own configuration is kept.
    ///
    /// By default it is 4 seconds, or a quarter of the [`deadline`](Self::deadline) if that is less, but no less than 250
    /// milliseconds. After an attempt without an answer the next one gets twice as long, up to half of the deadline.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = Some(timeout);
        self
    }

    /// Delays between attempts are random, from zero up to a limit that starts at `first` and doubles up to `max`.
    ///
    /// This is the "full jitter" of
    /// [Exponential Backoff and Jitter](https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    pub fn backoff(mut self, first: Duration, max: Duration) -> Self {
        self.first_delay = first;
        self.max_delay = max;
        self
    }

    /// The same with no later deadline than this.
    pub(crate) fn within(self, longest: Duration) -> Self {
        self.deadline(self.deadline.min(longest))
    }

    /// The timeout for an attempt that follows so many in a row which ran out of time. What the caller says holds for each; by default
    /// each gets twice as long as the one before, so that a store is reached that is far away or under load.
    fn one_attempt(&self, timeouts: u32) -> Duration {
        let timeout = self.attempt_timeout.unwrap_or_else(|| {
            let first = (self.deadline / ATTEMPTS_BY_THE_DEADLINE).clamp(COLD_CONNECTION, ATTEMPT);
            let longer = first.saturating_mul(1_u32.checked_shl(timeouts).unwrap_or(u32::MAX));
            longer.min(self.deadline / 2).max(first)
        });
        timeout.min(self.deadline).min(A_CENTURY)
    }

    fn delays(&self) -> Delays {
        Delays { limit: self.first_delay, max: self.max_delay.min(A_CENTURY) }
    }

    /// Starts to count attempts and time.
    pub(crate) fn start(self) -> Budget {
        let delays = self.delays();
        let now = Instant::now();
        let deadline = now.checked_add(self.deadline).unwrap_or(now + A_CENTURY);
        Budget {
            retry: self,
            deadline,
            used: 1,
            tally: Tally::default(),
            delays,
            timeouts: 0,
            limited: 0,
            earlier: None,
        }
    }
}

/// Random delays under a doubling limit.
#[derive(Debug, Clone)]
struct Delays {
    limit: Duration,
    max: Duration,
}

impl Iterator for Delays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let limit = self.limit.min(self.max);
        self.limit = limit.saturating_mul(2);
        Some(limit.mul_f64(random::fraction()))
    }
}

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
            retry: Retry { attempts, ..retry },
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
