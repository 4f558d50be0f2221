//! An open load: calls begin at a fixed rate, whether or not the earlier ones have ended.

use std::iter::Sum;
use std::time::Duration;

use dynalock::Error;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

/// How long a caller waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Patience {
    /// The call has this deadline, and ends by itself.
    Deadline(Duration),
    /// The future of the call is dropped after this time.
    Dropped(Duration),
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Applied.
    Ok,
    /// Refused, and not applied.
    Busy,
    /// Applied or not: unknown to the caller.
    Unknown,
    /// The caller gave up.
    Dropped,
    /// Every other error.
    Failed,
}

impl<T> From<Result<T, Error>> for End {
    fn from(answer: Result<T, Error>) -> Self {
        match answer {
            Ok(_) => Self::Ok,
            Err(Error::Busy { .. }) => Self::Busy,
            Err(Error::OutcomeUnknown(_)) => Self::Unknown,
            Err(_) => Self::Failed,
        }
    }
}

/// How the calls that began in one span of time ended: how many of them in each way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ends {
    /// [`End::Ok`].
    pub ok: usize,
    /// [`End::Busy`].
    pub busy: usize,
    /// [`End::Unknown`].
    pub unknown: usize,
    /// [`End::Dropped`].
    pub dropped: usize,
    /// [`End::Failed`].
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

    fn add(&mut self, end: End) {
        let count = match end {
            End::Ok => &mut self.ok,
            End::Busy => &mut self.busy,
            End::Unknown => &mut self.unknown,
            End::Dropped => &mut self.dropped,
            End::Failed => &mut self.failed,
        };
        *count += 1;
    }
}

impl<'a> Sum<&'a Ends> for Ends {
    fn sum<I: Iterator<Item = &'a Ends>>(ends: I) -> Self {
        ends.fold(Self::default(), |sum, ends| Self {
            ok: sum.ok + ends.ok,
            busy: sum.busy + ends.busy,
            unknown: sum.unknown + ends.unknown,
            dropped: sum.dropped + ends.dropped,
            failed: sum.failed + ends.failed,
        })
    }
}

/// A load of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
    pub async fn offer<F>(self, call: impl Fn(Patience) -> F) -> Vec<Ends>
    where
        F: Future<Output: Into<End>> + Send + 'static,
    {
        let begun = Instant::now();
        let spans = self.lasts.as_micros().div_ceil(self.span.as_micros());
        let mut ends = vec![Ends::default(); usize::try_from(spans).expect("fewer spans")];
        let (mut tasks, mut calls) = (JoinSet::new(), 0_u128);
        let mut count = |(span, end): (usize, End)| ends[span].add(end);
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
                        Patience::Deadline(_) => answer.await.into(),
                        Patience::Dropped(after) => {
                            timeout(after, answer).await.map_or(End::Dropped, Into::into)
                        }
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
