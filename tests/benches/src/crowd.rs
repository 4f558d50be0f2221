//! Tasks that all change items.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::Failure;
use crate::contender::{Answer, Contender};
use crate::histogram::Histogram;
use crate::latency::{Distant, Traffic};

/// How much the tasks do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Load {
    /// One addition each, all at once, until the last one is through.
    Burst,
    /// One addition after the other, until the time is up: whoever is through is followed by the next at once.
    Steady,
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Burst => "burst",
            Self::Steady => "steady",
        })
    }
}

/// What came of a crowd's work.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Tally {
    /// How long the work was counted, in seconds.
    pub seconds: f64,
    /// Additions that were answered with success within that time.
    pub in_time: u64,
    /// What was sent within that time.
    #[serde(default)]
    pub traffic: Traffic,
    /// All additions that were answered with success, also those that were under way when the time was up.
    pub added: u64,
    /// How many of them one task made at most.
    pub most: u64,
    /// Additions that were not made, because others were faster until the retries ended.
    pub gave_up: u64,
    /// How long callers waited for success.
    pub waits: Histogram,
}

impl Tally {
    /// Adds what others did at the same time.
    pub fn beside(&mut self, other: &Self) {
        self.seconds = self.seconds.max(other.seconds);
        self.in_time += other.in_time;
        self.traffic += other.traffic;
        self.added += other.added;
        self.most = self.most.max(other.most);
        self.gave_up += other.gave_up;
        self.waits.merge(&other.waits);
    }

    /// Adds what was done afterwards.
    fn then(&mut self, later: &Self) {
        let (seconds, most) = (self.seconds + later.seconds, self.most + later.most);
        self.beside(later);
        (self.seconds, self.most) = (seconds, most);
    }
}

/// Tasks at work, one for each of their keys.
#[derive(Debug)]
struct Crowd {
    tasks: JoinSet<Result<Tally, Failure>>,
    began: Instant,
}

impl Crowd {
    /// The tasks are spread over the `contenders`, which are the processes.
    fn start<'k>(
        contenders: &[Box<dyn Contender>],
        keys: impl IntoIterator<Item = &'k str>,
        end: Option<Instant>,
    ) -> Self {
        let (mut tasks, began) = (JoinSet::new(), Instant::now());
        for (key, contender) in keys.into_iter().zip(contenders.iter().cycle()) {
            tasks.spawn(add_until(end, contender.colleague(), key.to_owned()));
        }
        Self { tasks, began }
    }

    async fn finish(&mut self) -> Result<Tally, Failure> {
        let mut all = Tally::default();
        while let Some(tally) = self.tasks.join_next().await {
            all.beside(&tally??);
        }
        Ok(all)
    }
}

/// Lets one task for each of `keys` make one addition, so often.
///
/// # Errors
///
/// As soon as any addition ends in something else than success or a conflict.
pub async fn bursts<'k, K: IntoIterator<Item = &'k str>>(
    times: u32,
    contenders: &[Box<dyn Contender>],
    keys: impl Fn() -> K,
    distant: &Distant,
) -> Result<Tally, Failure> {
    let before = distant.traffic();
    let mut all = Tally::default();
    for _ in 0..times {
        let mut crowd = Crowd::start(contenders, keys(), None);
        let burst = crowd.finish().await?;
        all.then(&Tally { seconds: crowd.began.elapsed().as_secs_f64(), ..burst });
    }
    Ok(Tally { traffic: distant.traffic() - before, ..all })
}

/// Lets one task for each of `keys` make one addition after the other until `time` is up, and then waits for what is under way.
///
/// # Errors
///
/// As soon as any addition ends in something else than success or a conflict.
pub async fn steady<'k>(
    contenders: &[Box<dyn Contender>],
    keys: impl IntoIterator<Item = &'k str>,
    distant: &Distant,
    time: Duration,
) -> Result<Tally, Failure> {
    let before = distant.traffic();
    let end = Instant::now() + time;
    let mut crowd = Crowd::start(contenders, keys, Some(end));
    sleep_until(end).await;
    let traffic = distant.traffic() - before;
    let seconds = crowd.began.elapsed().as_secs_f64();
    let all = crowd.finish().await?;
    Ok(Tally { seconds, traffic, ..all })
}

/// What one task does: one addition where there is no `end`.
async fn add_until(
    end: Option<Instant>,
    contender: Box<dyn Contender>,
    key: String,
) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    loop {
        let began = Instant::now();
        match contender.add(&key).await? {
            Answer::Added => {
                tally.added += 1;
                tally.in_time += u64::from(end.is_none_or(|end| Instant::now() <= end));
                tally.waits.record(began.elapsed());
            }
            Answer::GaveUp => tally.gave_up += 1,
        }
        if end.is_none_or(|end| Instant::now() >= end) {
            tally.most = tally.added;
            return Ok(tally);
        }
    }
}
