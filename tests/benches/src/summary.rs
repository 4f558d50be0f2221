//! One row of a benchmark's table.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::crowd::{Load, Tally};
use crate::way::Way;

/// Which clock a benchmark ran by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// tokio's, which moves on whenever all tasks wait: work takes no time, so that the machine doesn't matter.
    Virtual,
    /// The machine's.
    Real,
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Virtual => "virtual",
            Self::Real => "real",
        })
    }
}

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// The clock of all figures.
    pub clock: Clock,
    /// How much the tasks did.
    pub load: Load,
    /// How many processes took part, or what stood for them.
    pub processes: u32,
    /// How many tasks each of them had.
    pub tasks: u32,
    /// The way that they went.
    pub way: Way,
}

/// A row without figures.
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { clock, load, processes, tasks, way } = self;
        write!(f, "{clock:<7}  {load:<6}  {processes:>9}  {tasks:>5}  {:<24}", way.name())
    }
}

/// What one way achieved.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Summary {
    /// What was measured.
    #[serde(flatten)]
    pub setting: Setting,
    /// Updates a second, of all processes together.
    pub updates_per_second: f64,
    /// Requests for each update.
    pub requests_per_update: f64,
    /// Those of them that cost write units, also where their check failed.
    pub writes_per_update: f64,
    /// Half of the callers waited no longer than so many milliseconds.
    pub p50_ms: f64,
    /// 99 of 100 callers waited no longer.
    pub p99_ms: f64,
    /// How many percent of the updates one task made at most.
    pub most_by_one: f64,
    /// How many percent of the calls gave up.
    pub gave_up: f64,
}

impl Summary {
    /// The heads of its columns.
    pub const HEADS: &str = "clock    load    processes  tasks  way                       updates/s  requests/update  \
                             writes/update  p50 ms  p99 ms  most by one  gave up";

    /// Sums up what came of it.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // counts of at most some millions
    pub fn of(setting: Setting, tally: &Tally) -> Self {
        let updates = tally.in_time as f64;
        let milliseconds = |percent| tally.waits.percentile(percent).as_secs_f64() * 1e3;
        Self {
            setting,
            updates_per_second: updates / tally.seconds,
            requests_per_update: tally.traffic.requests as f64 / updates,
            writes_per_update: tally.traffic.writes as f64 / updates,
            p50_ms: milliseconds(50),
            p99_ms: milliseconds(99),
            most_by_one: 100.0 * tally.most as f64 / tally.added as f64,
            gave_up: 100.0 * tally.gave_up as f64 / (tally.added + tally.gave_up) as f64,
        }
    }
}

/// A row under [`HEADS`](Self::HEADS).
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}  {:>9.0}  {:>15.2}  {:>13.2}  {:>6.0}  {:>6.0}  {:>9.1} %  {:>5.1} %",
            self.setting,
            self.updates_per_second,
            self.requests_per_update,
            self.writes_per_update,
            self.p50_ms,
            self.p99_ms,
            self.most_by_one,
            self.gave_up,
        )
    }
}
