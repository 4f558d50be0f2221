//! The delays of loops that retry: full jitter, with the limits of [`dynalock::Retry::default`].

use std::time::Duration;

use tokio::time::{Instant, sleep};

const FIRST_DELAY: Duration = Duration::from_millis(10);
const MAX_DELAY: Duration = Duration::from_secs(1);
const ATTEMPTS: u32 = 64;
const DEADLINE: Duration = Duration::from_secs(30);

/// What is left of a loop's attempts and time. Starts with the first attempt taken.
#[derive(Debug)]
pub struct Backoff {
    limit: Duration,
    attempts: u32,
    deadline: Instant,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { limit: FIRST_DELAY, attempts: ATTEMPTS - 1, deadline: Instant::now() + DEADLINE }
    }
}

impl Backoff {
    /// Takes one more attempt for use at once; `false` if there is none left.
    pub fn take(&mut self) -> bool {
        let left = self.attempts > 0 && Instant::now() < self.deadline;
        self.attempts = self.attempts.saturating_sub(1);
        left
    }

    /// Waits at random under a limit that doubles, then takes one more attempt; `false` if there is none left.
    pub async fn wait(&mut self) -> bool {
        let delay = self.limit.mul_f64(fastrand::f64());
        self.limit = MAX_DELAY.min(self.limit * 2);
        if self.attempts == 0 || Instant::now() + delay >= self.deadline {
            return false;
        }
        sleep(delay).await;
        self.take()
    }
}
