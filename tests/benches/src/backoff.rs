//! The delays of loops that retry, with full jitter. The peer of toasty is a package of its own, and includes this file.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// What a loop may wait and try.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The limit of the first delay; each next one has twice that.
    pub first: Duration,
    /// The highest limit of a delay.
    pub max: Duration,
    /// How often it tries.
    pub attempts: u32,
    /// How long it may take.
    pub deadline: Duration,
}

impl Limits {
    /// What one often sees.
    pub const USUAL: Self = Self {
        first: Duration::from_millis(10),
        max: Duration::from_secs(1),
        attempts: 64,
        deadline: Duration::from_secs(30),
    };
}

/// What is left of a loop's attempts and time. Starts with the first attempt taken.
#[derive(Debug)]
pub struct Backoff {
    limit: Duration,
    max: Duration,
    attempts: u32,
    deadline: Instant,
}

impl Backoff {
    /// That of a loop which begins now.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let Limits { first, max, attempts, deadline } = limits;
        Self { limit: first, max, attempts: attempts - 1, deadline: Instant::now() + deadline }
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
