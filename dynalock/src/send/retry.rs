//! The retry policy: how often, how long and at what intervals a call is tried.

use std::time::Duration;

use crate::support::random;

/// How many conflicts in a row are retried at once, on the item that DynamoDB returned with the refusal. After that, the call
/// waits and reads the item again: an item in demand would have changed during the wait.
pub(crate) const IMMEDIATE_RETRIES: u32 = 2;

/// The longest default timeout of a first attempt. DynamoDB answers within milliseconds. A reply that takes seconds means a dead
/// connection, or an overloaded store, which should not get every request twice. The value is above the 3.1 s after which the SDK
/// by default stops connecting, since after that failure it is certain that nothing was sent.
const MAX_FIRST_TIMEOUT: Duration = Duration::from_secs(4);

/// The default timeout of a first attempt is the deadline divided by this, so that a dead connection costs an attempt and not the
/// call.
pub(super) const ATTEMPTS_BY_THE_DEADLINE: u32 = 4;

/// The shortest default timeout of an attempt: a new connection needs a TLS handshake, and perhaps credentials.
const MIN_FIRST_TIMEOUT: Duration = Duration::from_millis(250);

/// How many attempts a request with an outdated signature is worth. After a freeze of the process, three signatures can be
/// outdated: that of the attempt during which the process froze; that of the next one, since the SDK takes half of the freeze for
/// a difference between the clocks; and that of one more, if the late reply of another call misleads the SDK in the same way.
pub(super) const FEW_ATTEMPTS: u32 = 4;

/// The deadline that replaces one too far away to be computed.
pub(super) const A_CENTURY: Duration = Duration::from_hours(100 * 365 * 24);

/// The retry policy of a call: how often, how long and at what intervals it is tried before it gives up.
///
/// One attempt is one call of the SDK. Within an attempt the SDK may send the request several times, as its own retry
/// configuration says. It sends a [create](crate::Table::create) once. A request that gets no answer ends the attempt, and the
/// next attempt begins at once.
///
/// The call ends with the error of the last attempt when the first of the limits is reached. An error that would meet the same
/// request again ends it at once. An outdated signature is worth 4 attempts, and expired credentials are worth 2.
///
/// The [guide](crate::guide::contention#timeouts) describes all timeouts together, and what to set in a web handler or on AWS
/// Lambda.
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
    /// `None` for a timeout that follows from the deadline.
    pub(super) attempt_timeout: Option<Duration>,
    first_delay: Duration,
    max_delay: Duration,
}

/// At most 512 attempts and 30 seconds, of which the time is mostly up first. The first attempt gets 4 seconds for an answer, and
/// attempts after a timeout get longer. The delays are random, up to a limit of 10 ms that doubles to at most 250 ms.
///
/// `docs/benchmarks.md` in the repository compares these values with others. Where many applications write one item, longer
/// delays cost fewer writes, and shorter ones are fairer.
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
    /// Makes one attempt only. A write that an [`update`](crate::Table::update) shares with other calls is sent as often as any
    /// of those calls allows. The attempts that they make do not count as attempts of this call.
    pub fn none() -> Self {
        Self::default().attempts(1)
    }

    /// Makes at most this many attempts, the first one included. 0 counts as 1. A [`get_many`](crate::Table::get_many) starts to
    /// count again after each answer that contains items.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Limits the time of the whole call: all attempts and delays, and the wait for other calls of
    /// [`update`](crate::Table::update). When the time is up, no further attempt is begun, and an attempt that is under way is
    /// given up. If that attempt is a write, the call returns [`OutcomeUnknown`](crate::Error::OutcomeUnknown). A closure is not
    /// interrupted. Below 1 second, shorten the SDK's delays as well: see [the guide](crate::guide::contention#timeouts).
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Limits the time that one answer from DynamoDB may take. This includes connecting and, if they are not cached, fetching
    /// credentials. The limit applies to each of the SDK's own attempts; in the first attempt of a read, it applies to all of
    /// them together. A shorter timeout in the client's own configuration is kept.
    ///
    /// The default is a quarter of the [`deadline`](Self::deadline), but at least 250 milliseconds and at most 4 seconds. After
    /// an attempt without an answer, the next one gets twice as long, up to half of the deadline. A plain create is not sent
    /// again after such an attempt. By default it gets all the time that is left, less a quarter of the deadline or 4 seconds,
    /// whichever is less.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = Some(timeout);
        self
    }

    /// Sets the delays between attempts. They are random, from zero up to a limit that starts at `first` and doubles up to `max`.
    ///
    /// This is the "full jitter" of
    /// [Exponential Backoff and Jitter](https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    pub fn backoff(mut self, first: Duration, max: Duration) -> Self {
        self.first_delay = first;
        self.max_delay = max;
        self
    }

    /// The same policy with a deadline of at most `longest`.
    pub(crate) fn at_most(self, longest: Duration) -> Self {
        self.deadline(self.deadline.min(longest))
    }

    /// The timeout of an attempt that follows this many timeouts in a row. A timeout that the caller has set applies to every
    /// attempt. By default each attempt gets twice as long as the one before, so that a store that is far away or under load has
    /// the time to answer.
    pub(super) fn timeout_after(&self, timeouts: u32) -> Duration {
        let timeout = self.attempt_timeout.unwrap_or_else(|| {
            let quarter = self.deadline / ATTEMPTS_BY_THE_DEADLINE;
            let first = quarter.clamp(MIN_FIRST_TIMEOUT, MAX_FIRST_TIMEOUT);
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
