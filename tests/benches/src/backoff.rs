//! The delays of loops that retry, with full jitter.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::policy::Policy;

const DEADLINE: Duration = Duration::from_secs(30);

/// What is left of a loop's attempts and time. Starts with the first attempt taken.
#[derive(Debug)]
pub struct Backoff {
    limit: Duration,
    max: Duration,
    attempts: u32,
    deadline: Instant,
}

/// What one often sees: at random up to 10 ms, doubling to 1 s, with 64 attempts.
impl Default for Backoff {
    fn default() -> Self {
        let deadline = Instant::now() + DEADLINE;
        let (limit, max) = (Duration::from_millis(10), Duration::from_secs(1));
        Self { limit, max, attempts: 64 - 1, deadline }
    }
}

impl Backoff {
    /// That of [`dynalock::Retry::default`].
    #[must_use]
    pub fn dynalock() -> Self {
        let Policy { first_ms, max_ms, attempts, .. } = Policy::DYNALOCK;
        let [limit, max] = [first_ms, max_ms].map(|milliseconds| Duration::from_secs_f64(milliseconds / 1e3));
        Self { limit, max, attempts: attempts - 1, ..Self::default() }
    }

    /// Takes one more attempt for use at once; `false` if there is none left.
    pub fn take(&mut self) -> bool {
        let left = self.attempts > 0 && Instant::now() < self.deadline;
        self.attempts = self.attempts.saturating_sub(1);
        left
    }

    /// Waits at random under a limit that doubles, then takes one more attempt; `false` if there is none left.
    pub async fn wait(&mut self) -> bool {
        let delay = self.limit.mul_f64(fastrand::f64());
        self.limit = self.max.min(self.limit * 2);
        if self.attempts == 0 || Instant::now() + delay >= self.deadline {
            return false;
        }
        sleep(delay).await;
        self.take()
    }
}
