//! An open load: calls begin at a fixed rate, whether or not the earlier ones have ended.

use std::time::Duration;

use dynalock::Error;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

/// How long a caller waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// The call has this deadline, and ends by itself.
    Deadline(Duration),
    /// The future of the call is dropped after this time.
    Dropped(Duration),
}

/// How the calls that began in one span of time ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ends {
    /// Applied.
    pub ok: usize,
    /// Refused, and not applied.
    pub busy: usize,
    /// Applied or not: unknown to the caller.
    pub unknown: usize,
    /// The caller gave up.
    pub dropped: usize,
    /// Every other error.
    pub failed: usize,
}

impl Ends {
    /// All calls.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.ok + self.busy + self.unknown + self.dropped + self.failed
    }

    /// The percentage of calls that were applied and answered.
    #[must_use]
    pub fn percent_ok(&self) -> usize {
        100 * self.ok / self.calls().max(1)
    }

    fn add<T>(&mut self, end: Option<&Result<T, Error>>) {
        let count = match end {
            Some(Ok(_)) => &mut self.ok,
            Some(Err(Error::Busy { .. })) => &mut self.busy,
            Some(Err(Error::OutcomeUnknown(_))) => &mut self.unknown,
            Some(Err(_)) => &mut self.failed,
            None => &mut self.dropped,
        };
        *count += 1;
    }
}

/// A load of calls.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Calls a second.
    pub rate: u32,
    /// How long calls begin.
    pub lasts: Duration,
    /// The length of the spans of time that are counted apart.
    pub span: Duration,
    /// How long the callers wait.
    pub patience: Patience,
}

const TICK: Duration = Duration::from_millis(1);

impl Load {
    /// Offers the load, each call in a task of its own, and returns how the calls of each span ended, by their beginnings.
    ///
    /// # Panics
    ///
    /// If a call panics.
    pub async fn offer<T, F>(self, call: impl Fn(Patience) -> F) -> Vec<Ends>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let begun = Instant::now();
        let spans = self.lasts.as_micros().div_ceil(self.span.as_micros());
        let mut ends = vec![Ends::default(); usize::try_from(spans).expect("fewer spans")];
        let (mut tasks, mut calls) = (JoinSet::new(), 0_u128);
        let mut count = |(span, end): (usize, Option<Result<T, Error>>)| ends[span].add(end.as_ref());
        let mut tick = begun;
        loop {
            tick += TICK;
            sleep_until(tick).await;
            let passed = begun.elapsed();
            if passed >= self.lasts {
                break;
            }
            let span = usize::try_from(passed.as_micros() / self.span.as_micros()).expect("fewer spans");
            let due = passed.as_micros() * u128::from(self.rate) / 1_000_000;
            while calls < due {
                calls += 1;
                let answer = call(self.patience);
                tasks.spawn(async move {
                    let end = match self.patience {
                        Patience::Deadline(_) => Some(answer.await),
                        Patience::Dropped(after) => timeout(after, answer).await.ok(),
                    };
                    (span, end)
                });
            }
            while let Some(ended) = tasks.try_join_next() {
                count(ended.expect("no panic"));
            }
        }
        while let Some(ended) = tasks.join_next().await {
            count(ended.expect("no panic"));
        }
        ends
    }
}
