//! How often and how long a call is tried.

use std::time::Duration;

use crate::support::random;

/// How often a conflict is answered at once with what came with it. After that the items are read again, and only after a
/// delay: whoever sleeps on an item that is in demand wakes with an old one.
pub(crate) const IMMEDIATE: u32 = 2;

/// What the first attempt gets at most, unless the caller says so. DynamoDB answers within milliseconds; what takes seconds is a
/// connection that is gone, or a store that is overloaded and should not get everything twice. Longer than the 3.1 s after which the
/// SDK by default gives up to connect: then it is certain that nothing was sent.
const ATTEMPT: Duration = Duration::from_secs(4);

/// The first attempt gets this part of the deadline at most, unless the caller says so: a dead connection costs an attempt, and not
/// the call.
pub(super) const ATTEMPTS_BY_THE_DEADLINE: u32 = 4;

/// The least that an attempt gets, unless the caller says so: a new connection needs a TLS handshake, and perhaps credentials.
const COLD_CONNECTION: Duration = Duration::from_millis(250);

/// How many attempts a signature that is out of date is worth. One more than a freeze can spoil: that of the attempt in which it came,
/// that of the next one, since the SDK takes half of the freeze for a difference between the clocks, and that of another call's late
/// reply, from which it learned the same.
pub(super) const FEW: u32 = 4;

/// Stands for deadlines that are too far away to be computed.
pub(super) const A_CENTURY: Duration = Duration::from_hours(100 * 365 * 24);

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
    pub(super) attempts: u32,
    pub(super) deadline: Duration,
    /// `None` for what suits the deadline.
    pub(super) attempt_timeout: Option<Duration>,
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
    pub fn none() -> Self {
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
    /// [`OutcomeUnknown`](crate::Error::OutcomeUnknown). Below 1 second, shorten the SDK's delays as well: see
    /// [the guide](crate::guide::contention#timeouts).
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// At most this much time for one answer from DynamoDB, which includes connecting and, where they are not at hand,
    /// fetching credentials. It holds for each of the SDK's own attempts; in the first attempt of a read, for all of them
    /// together. A shorter timeout in the client's own configuration is kept.
    ///
    /// By default it is 4 seconds, or a quarter of the [`deadline`](Self::deadline) if that is less, but no less than 250
    /// milliseconds. After an attempt without an answer the next one gets twice as long, up to half of the deadline. A
    /// plain create is not sent again then, and by default gets all the time that is left but a quarter, or but 4 seconds if that is less.
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
    pub(crate) fn at_most(self, longest: Duration) -> Self {
        self.deadline(self.deadline.min(longest))
    }

    /// The timeout for an attempt that follows so many in a row which ran out of time. What the caller says holds for each; by default
    /// each gets twice as long as the one before, so that a store is reached that is far away or under load.
    pub(super) fn timeout_after(&self, timeouts: u32) -> Duration {
        let timeout = self.attempt_timeout.unwrap_or_else(|| {
            let first = (self.deadline / ATTEMPTS_BY_THE_DEADLINE).clamp(COLD_CONNECTION, ATTEMPT);
            let longer = first.saturating_mul(1_u32.checked_shl(timeouts).unwrap_or(u32::MAX));
            longer.min(self.deadline / 2).max(first)
        });
        timeout.min(self.deadline).min(A_CENTURY)
    }

    pub(super) fn delays(&self) -> Delays {
        Delays { limit: self.first_delay, max: self.max_delay.min(A_CENTURY) }
    }
}

/// Random delays under a doubling limit.
#[derive(Debug, Clone)]
pub(super) struct Delays {
    pub(super) limit: Duration,
    pub(super) max: Duration,
}

impl Iterator for Delays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let limit = self.limit.min(self.max);
        self.limit = limit.saturating_mul(2);
        Some(limit.mul_f64(random::fraction()))
    }
}
