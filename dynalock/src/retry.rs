//! How often and how long a call is tried.

use std::time::Duration;

use tokio::time::Instant;

use crate::call::Tally;
use crate::error::{Error, Result};
use crate::random;

/// How often a conflict is answered at once with what came with it. After that the items are read again, and only after a
/// delay: whoever sleeps on an item that is in demand wakes with an old one.
pub(crate) const IMMEDIATE: u32 = 2;

/// Stands for deadlines that are too far away to be computed.
const A_CENTURY: Duration = Duration::from_hours(100 * 365 * 24);

/// How often, how long, and at what intervals a call is tried before it gives up.
///
/// One attempt is one request of ours; within it the SDK may send the request several times, as its own retry
/// configuration says, unless it is a [create](crate::Table::create). Whichever of the limits is reached first ends the call with the error of the last attempt.
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
    attempt_timeout: Duration,
    first_delay: Duration,
    max_delay: Duration,
}

/// 512 attempts within 30 seconds, which mostly end first; 7 seconds for each answer; delays of up to 10 ms, doubling to at
/// most 250 ms.
///
/// `docs/benchmarks.md` in the repository compares them with others. Longer delays cost fewer writes where many applications
/// want one item, and shorter ones are fairer.
impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 512,
            deadline: Duration::from_secs(30),
            attempt_timeout: Duration::from_secs(7),
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
    /// fetching credentials. A shorter timeout in the client's own configuration is kept. For a write this holds for each
    /// of the SDK's own attempts, for a read for all of them together.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
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

    /// The timeout for one answer.
    pub(crate) fn answer_within(&self) -> Duration {
        self.attempt_timeout.min(self.deadline).min(A_CENTURY)
    }

    fn delays(&self) -> Delays {
        Delays { limit: self.first_delay, max: self.max_delay.min(A_CENTURY) }
    }

    /// Starts to count attempts and time.
    pub(crate) fn start(self) -> Budget {
        let delays = self.delays();
        let now = Instant::now();
        let deadline = now.checked_add(self.deadline).unwrap_or(now + A_CENTURY);
        Budget { retry: self, deadline, used: 1, tally: Tally::default(), delays, earlier: None }
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

    /// When an answer that is asked for now is given up.
    pub(crate) fn answer_by(&self) -> Instant {
        (Instant::now() + self.retry.answer_within()).min(self.deadline)
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

    /// Takes one more attempt for use at once; `false` if there is none left.
    pub(crate) fn take(&mut self) -> bool {
        let left = self.used < self.retry.attempts && Instant::now() < self.deadline;
        self.used += u32::from(left);
        left
    }

    /// Waits, then takes one more attempt; `false` if there is none left, or would be none after the wait.
    pub(crate) async fn wait(&mut self) -> bool {
        if self.used >= self.retry.attempts {
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
        self.delays = self.retry.delays();
    }

    /// Keeps what went wrong, for a call that is cut off while it looks into that.
    pub(crate) fn failed(&mut self, error: Error) {
        self.earlier = Some(error);
    }

    /// What went wrong before is over.
    pub(crate) fn succeeded(&mut self) {
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
    attempt_timeout: Duration,
}

impl Limits {
    /// What bounds a request that serves two calls: it lasts as long as the more patient of them, and one that hangs is given up
    /// as soon as either of them would give it up.
    pub(crate) fn join(self, other: Self) -> Self {
        Self {
            deadline: self.deadline.max(other.deadline),
            more_attempts: self.more_attempts.max(other.more_attempts),
            attempt_timeout: self.attempt_timeout.min(other.attempt_timeout),
        }
    }
}

impl Budget {
    /// What bounds the call from now on.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            deadline: self.deadline,
            more_attempts: self.retry.attempts.saturating_sub(self.used),
            attempt_timeout: self.retry.answer_within(),
        }
    }

    /// Takes what is left for a request that serves other calls as well, bounded by the `limits` of all. What the request makes of
    /// it comes back by [`resume`](Self::resume).
    pub(crate) fn share(&mut self, limits: Limits) -> Self {
        let Limits { deadline, more_attempts, attempt_timeout } = limits;
        let attempts = self.used.saturating_add(more_attempts);
        Self {
            retry: Retry { attempts, attempt_timeout, ..self.retry },
            deadline,
            used: self.used,
            tally: self.tally,
            delays: self.delays.clone(),
            earlier: self.earlier.take(),
        }
    }

    /// Goes on with what a shared request has left. The limits are the call's own again.
    pub(crate) fn resume(&mut self, shared: Self) {
        let Self { used, tally, delays, earlier, .. } = shared;
        *self = Self { retry: self.retry, deadline: self.deadline, used, tally, delays, earlier };
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
        assert_eq!(retry.answer_within(), 7 * MS);
        assert_eq!(retry.attempt_timeout(40 * MS).answer_within(), 30 * MS);
        assert_eq!((retry.within(3 * MS), retry.within(90 * MS)), (retry.deadline(3 * MS), retry));
        let endless = retry.deadline(Duration::MAX).attempt_timeout(Duration::MAX);
        assert_eq!(endless.answer_within(), A_CENTURY);
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
    async fn an_answer_is_waited_for_until_its_timeout_or_the_deadline() {
        let begun = Instant::now();
        let budget = Retry::default().attempt_timeout(7 * MS).deadline(10 * MS).start();
        assert_eq!((budget.answer_by(), budget.deadline()), (begun + 7 * MS, begun + 10 * MS));
        tokio::time::sleep(5 * MS).await;
        assert_eq!(budget.answer_by(), begun + 10 * MS);
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
