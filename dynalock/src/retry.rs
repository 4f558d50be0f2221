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
/// configuration says, unless it is a [create](crate::Table::create). A request without an answer ends the attempt, though, and the next one begins at once. Whichever of the
/// limits is reached first ends the call with the error of the last attempt. An error that nothing but another request would
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
    /// No second attempt. (An [`update`](crate::Table::update) whose change went with the write of another call, in vain, has made
    /// none yet.)
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
    /// fetching credentials. It holds for each of the SDK's own attempts, of reads and of writes. A shorter timeout in the
    /// client's own configuration is kept.
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

    /// Counts an attempt that ran out of time.
    pub(crate) fn timed_out(&mut self) {
        self.timeouts += 1;
    }

    /// The timeout for the attempt of a request that is sent only once, and of which a read finds out afterwards what became of it:
    /// all the time that is left but the share of that read.
    pub(crate) fn only_attempt_timeout(&self) -> Duration {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let share = self.attempt_timeout().min(left);
        match self.retry.attempt_timeout {
            Some(explicit) => explicit.min(left - left / ATTEMPTS_BY_THE_DEADLINE),
            None => share.max(left - share),
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
mod tests {
    use super::*;
    use crate::error::Conflict;
    use crate::expect::Expect;
    use crate::item::Item;
    use crate::schema::Schema;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn delays_stay_under_a_limit_that_doubles_up_to_the_maximum() {
        for _ in 0..200 {
            let delays = Delays { limit: 10 * MS, max: 1000 * MS };
            let limits = [10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000];
            for (delay, limit) in delays.zip(limits) {
                assert!(delay <= limit * MS, "{delay:?} of {limit} ms");
            }
        }
    }

    /// Full jitter: anywhere from zero to the limit, and not always in one half.
    #[test]
    fn delays_are_spread_over_the_whole_range() {
        let third = |_| Delays { limit: 10 * MS, max: 1000 * MS }.nth(2);
        let thirds: Vec<Duration> = (0..500).filter_map(third).collect();
        assert!(thirds.iter().any(|delay| *delay < 10 * MS));
        assert!(thirds.iter().any(|delay| *delay > 30 * MS));
    }

    #[test]
    fn no_delay_is_too_long_to_be_doubled() {
        let longest = Delays { limit: Duration::MAX, max: Duration::MAX };
        assert_eq!(longest.take(100).count(), 100);
        let none = Delays { limit: Duration::ZERO, max: Duration::ZERO };
        assert!(none.take(100).all(|delay| delay.is_zero()));
        let high = Delays { limit: 100 * MS, max: 10 * MS };
        assert!(high.take(100).all(|delay| delay <= 10 * MS));
    }

    #[test]
    fn the_shortest_limit_counts() {
        let retry = Retry::default().deadline(30 * MS).attempt_timeout(7 * MS);
        assert_eq!(retry.one_attempt(0), 7 * MS);
        assert_eq!(retry.attempt_timeout(40 * MS).one_attempt(0), 30 * MS);
        assert_eq!((retry.within(3 * MS), retry.within(90 * MS)), (retry.deadline(3 * MS), retry));
        let endless = retry.deadline(Duration::MAX).attempt_timeout(Duration::MAX);
        assert_eq!(endless.one_attempt(0), A_CENTURY);
    }

    /// A dead connection costs an attempt, and not the call; a connection has the time to be made.
    #[test]
    fn an_attempt_gets_a_quarter_of_the_deadline_unless_the_caller_says_so() {
        let limits =
            [(100, 100), (250, 250), (600, 250), (1000, 250), (2500, 625), (12_000, 3000), (60_000, 4000)];
        for (deadline, attempt) in limits {
            let retry = Retry::default().deadline(deadline * MS);
            assert_eq!(retry.one_attempt(0), attempt * MS, "{deadline} ms");
            assert_eq!(retry.attempt_timeout(90 * MS).one_attempt(0), 90 * MS, "{deadline} ms");
        }
    }

    /// Where each attempt ran out of time, the store may be far away.
    #[tokio::test(start_paused = true)]
    async fn an_attempt_after_one_that_ran_out_of_time_gets_longer_up_to_half_of_the_deadline() {
        let longer = |retry: Retry| (0..40).map(|timeouts| retry.one_attempt(timeouts)).collect::<Vec<_>>();
        let seconds = longer(Retry::default());
        assert_eq!(seconds[..4], [4, 8, 15, 15].map(Duration::from_secs));
        assert_eq!(seconds.last(), Some(&Duration::from_secs(15)));
        assert_eq!(longer(Retry::default().deadline(1000 * MS))[..3], [250, 500, 500].map(|ms| ms * MS));
        assert_eq!(longer(Retry::default().deadline(300 * MS))[..2], [250 * MS; 2]);
        assert_eq!(longer(Retry::default().attempt_timeout(90 * MS)), [90 * MS; 40]);

        let mut budget = Retry::default().start();
        budget.timed_out();
        assert_eq!(budget.attempt_timeout(), Duration::from_secs(8));
        budget.succeeded();
        assert_eq!(budget.attempt_timeout(), Duration::from_secs(4));
    }

    /// What is sent only once is not given up early, as long as the read that finds out about it has its share.
    #[tokio::test(start_paused = true)]
    async fn the_only_attempt_gets_all_but_the_share_of_a_read() {
        let budget = Retry::default().deadline(2500 * MS).start();
        assert_eq!(budget.only_attempt_timeout(), 1875 * MS);
        tokio::time::sleep(1500 * MS).await;
        assert_eq!(budget.only_attempt_timeout(), 625 * MS, "no less than any other attempt");
        tokio::time::sleep(800 * MS).await;
        assert_eq!(budget.only_attempt_timeout(), 200 * MS, "no more than there is left");
        let explicit = Retry::default().deadline(2500 * MS).attempt_timeout(400 * MS).start();
        assert_eq!(explicit.only_attempt_timeout(), 400 * MS);
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_is_worth_as_many_attempts_as_it_says_until_a_request_succeeds() {
        for (worth, attempts) in [(Worth::One, 1), (Worth::Two, 2), (Worth::Few, 4)] {
            let mut budget = Retry::default().start();
            for _ in 0..2 {
                let again = std::iter::from_fn(|| budget.permits(worth).then_some(())).count();
                assert_eq!(again + 1, attempts, "{worth:?}");
                budget.succeeded();
            }
        }
        let mut budget = Retry::default().start();
        assert!((0..1000).all(|_| budget.permits(Worth::All)));
    }

    /// Counts the attempts of a budget that fails each time, the first one included.
    async fn attempts(mut budget: Budget) -> u32 {
        let mut attempts = 1;
        while budget.wait().await {
            attempts += 1;
        }
        attempts
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_are_counted_with_the_first() {
        for (allowed, made) in [(0, 1), (1, 1), (2, 2), (7, 7)] {
            assert_eq!(attempts(Retry::default().attempts(allowed).start()).await, made);
        }
        let begun = Instant::now();
        assert_eq!(attempts(Retry::never().start()).await, 1);
        assert!(begun.elapsed().is_zero(), "nobody waits for an attempt that is not made");
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_at_once_and_after_a_delay_count_together() {
        let mut budget = Retry::default().attempts(3).start();
        assert!(budget.take());
        assert!(budget.wait().await);
        assert!(!budget.take());
        assert!(!budget.wait().await);
    }

    #[tokio::test(start_paused = true)]
    async fn no_attempt_is_made_at_or_after_the_deadline() {
        for deadline in [Duration::ZERO, MS, 55 * MS, 10_000 * MS] {
            let begun = Instant::now();
            let retry = Retry::default().attempts(u32::MAX).deadline(deadline).backoff(10 * MS, 100 * MS);
            let mut budget = retry.start();
            while budget.wait().await {
                assert!(begun.elapsed() < deadline);
            }
            assert!(begun.elapsed() <= deadline, "{:?} of {deadline:?}", begun.elapsed());
        }
        let mut budget = Retry::default().deadline(50 * MS).start();
        tokio::time::sleep(50 * MS).await;
        assert!(!budget.take());
    }

    /// It is the time that ends a call that fails each time, and not its attempts, also where nobody waits for answers.
    #[tokio::test(start_paused = true)]
    async fn the_default_lasts_for_its_30_seconds() {
        let begun = Instant::now();
        let made = attempts(Retry::default().start()).await;
        assert!((150..=400).contains(&made), "{made} attempts");
        assert!(begun.elapsed() > Duration::from_secs(29));
        assert!(begun.elapsed() <= Duration::from_secs(30));
    }

    #[tokio::test(start_paused = true)]
    async fn a_budget_keeps_the_limits_of_its_policy() {
        let begun = Instant::now();
        let budget = Retry::default().attempt_timeout(7 * MS).deadline(10 * MS).start();
        assert_eq!((budget.attempt_timeout(), budget.deadline()), (7 * MS, begun + 10 * MS));
        assert_eq!(budget.retry(), &Retry::default().attempt_timeout(7 * MS).deadline(10 * MS));
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_and_conflicts_are_told_apart() {
        let conflict = || {
            let conflict =
                Conflict::new("orders", Schema::EXAMPLE, Expect::Version(1), Item::new(), Some(Item::new()));
            Error::Conflict(Box::new(conflict))
        };
        let mut budget = Retry::default().start();
        assert_eq!((budget.tally().attempts, budget.tally().conflicts), (1, 0));
        for made in 1..=3 {
            let Error::Conflict(conflict) = budget.refused(conflict()) else { panic!("still a conflict") };
            assert_eq!(conflict.attempts(), made);
            assert!(budget.take());
            assert_eq!((budget.tally().attempts, budget.tally().conflicts), (made + 1, made));
        }
        budget.refused(Error::Busy { table: "orders".into(), problem: "it took too long" });
        assert_eq!(budget.tally().conflicts, 3, "only conflicts are counted");
    }

    /// A call that is cut off during an attempt is told why it made that one.
    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_is_not_made_leaves_the_error_of_the_last_one() {
        let failed = |problem| Error::Busy { table: "orders".into(), problem };
        let told = |error| match error {
            Error::Busy { problem, .. } => problem,
            other => panic!("{other:?}"),
        };
        let mut budget = Retry::default().attempts(3).start();
        assert!(budget.wait_after(failed("first")).await.is_ok());
        assert_eq!(told(budget.out_of_time(failed("cut off"))), "first");
        assert!(budget.take_after(failed("second")).is_ok());
        assert_eq!(told(budget.out_of_time(failed("cut off"))), "second");
        assert_eq!(told(budget.out_of_time(failed("cut off"))), "cut off");
        assert_eq!(told(budget.take_after(failed("third")).unwrap_err()), "third");
        assert_eq!(told(budget.wait_after(failed("third")).await.unwrap_err()), "third");

        budget.renew();
        assert!(budget.take_after(failed("fourth")).is_ok(), "attempts are counted anew");
        budget.succeeded();
        assert_eq!(told(budget.out_of_time(failed("cut off"))), "cut off");
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_beyond_all_clocks_is_none() {
        let mut budget = Retry::default().deadline(Duration::MAX).start();
        assert!(budget.deadline() > Instant::now() + Duration::from_hours(24));
        assert!(budget.wait().await);
        let mut budget =
            Retry::default().deadline(Duration::MAX).backoff(Duration::MAX, Duration::MAX).start();
        let _ = tokio::time::timeout(MS, budget.wait()).await;
    }
}
