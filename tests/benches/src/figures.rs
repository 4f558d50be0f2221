//! What the benchmarks left behind.

use std::fmt;
use std::time::Duration;

use dynalock_tests::load::{self, Ends, Patience};
use serde::{Deserialize, Serialize};

use crate::calls::Call;
use crate::crowd::Load;
use crate::rivals::Trial;
use crate::summary::{Clock, Setting, Summary};
use crate::way::Way;
use crate::{Failure, results};

/// How many instructions a call takes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Instructions {
    /// The call.
    pub call: Call,
    /// By the SDK, without anything that keeps writers apart.
    pub bare: f64,
    /// By code written by hand, with all that dynalock sends and watches.
    pub by_hand: f64,
    /// By dynalock.
    pub dynalock: f64,
}

/// Updates a second of items that nobody else changes, in rounds: dynalock's in relation to those of the SDK.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DistinctKeys {
    /// One ratio for each round.
    pub ratios: Vec<f64>,
}

impl DistinctKeys {
    /// The round in the middle.
    #[must_use]
    pub fn median(&self) -> f64 {
        let mut ratios = self.ratios.clone();
        ratios.sort_by(f64::total_cmp);
        ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// How one way took an open load.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenLoad {
    /// The way.
    pub way: Way,
    /// The load.
    pub load: load::Load,
    /// How many writes were sent for each call that ended in `Ok`.
    pub writes_per_update: f64,
    /// How the calls of each span ended, by their beginnings.
    pub ends: Vec<Ends>,
}

impl OpenLoad {
    /// The heads of its columns.
    pub const HEADS: &str =
        "way                       patience   calls/s    Ok/s  writes/Ok    busy  unknown  dropped  failed";

    /// What the callers do when they have waited long enough.
    #[must_use]
    pub fn patience(&self) -> &'static str {
        match self.load.patience {
            Patience::Deadline(_) => "deadline",
            Patience::Dropped(_) => "dropped",
        }
    }

    /// How all calls ended.
    #[must_use]
    pub fn all(&self) -> Ends {
        self.ends.iter().sum()
    }

    /// How many calls of a second were applied and answered.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // some thousands
    pub fn goodput(&self) -> f64 {
        self.all().ok as f64 / (self.load.span.as_secs_f64() * self.ends.len() as f64)
    }
}

/// A row under [`HEADS`](Self::HEADS).
impl fmt::Display for OpenLoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (way, patience, rate, ends) = (self.way.name(), self.patience(), self.load.rate, self.all());
        let [busy, unknown, dropped, failed] =
            [ends.busy, ends.unknown, ends.dropped, ends.failed].map(|count| percent(count, &ends));
        write!(
            f,
            "{way:<24}  {patience:<8}  {rate:>8}  {:>6.0}  {:>9.2}  {busy:>4.1} %  {unknown:>5.1} %  {dropped:>5.1} %  {failed:>4.1} %",
            self.goodput(),
            self.writes_per_update,
        )
    }
}

/// How many percent of the calls `count` is.
#[must_use]
#[allow(clippy::cast_precision_loss)] // some hundred thousand
pub fn percent(count: usize, ends: &Ends) -> f64 {
    100.0 * count as f64 / ends.calls() as f64
}

/// Loads beyond the capacity of an item, and around a stall of the store.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Overload {
    /// More and more calls a second.
    pub rates: Vec<OpenLoad>,
    /// With a stall, in spans of [`SPAN`](Self::SPAN).
    pub stalls: Vec<OpenLoad>,
}

impl Overload {
    /// The length of the spans.
    pub const SPAN: Duration = Duration::from_millis(100);
    /// When the stall begins.
    pub const STALL_BEGINS: Duration = Duration::from_secs(1);
    /// How long it lasts.
    pub const STALL: Duration = Duration::from_millis(700);
}

/// A table that the report takes over as it is, from a benchmark that is not written in Rust or has its own dependencies.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sheet {
    /// The head of its section.
    pub title: String,
    /// How it was measured.
    pub how: String,
    /// The heads of its columns.
    pub heads: Vec<String>,
    /// What stands below them.
    pub rows: Vec<Vec<String>>,
}

/// All that there is to report.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Of the benchmark `hot_key`.
    pub hot_key: Option<Vec<Summary>>,
    /// Of the benchmark `processes`.
    pub processes: Option<Vec<Summary>>,
    /// Of the benchmark `backoff`.
    pub backoff: Option<Vec<Trial>>,
    /// Of the benchmark `overload`.
    pub overload: Option<Overload>,
    /// Of the benchmark `distinct_keys`.
    pub distinct_keys: Option<DistinctKeys>,
    /// Of the benchmark `instructions`.
    pub instructions: Option<Vec<Instructions>>,
    /// `peers` and `compile_time`.
    pub sheets: Vec<Sheet>,
}

impl Figures {
    /// Reads what is there.
    ///
    /// # Errors
    ///
    /// If a file holds something else.
    pub fn read() -> Result<Self, Failure> {
        let sheets = [results::read("peers")?, results::read("compile_time")?];
        Ok(Self {
            hot_key: results::read("hot_key")?,
            processes: results::read("processes")?,
            backoff: results::read("backoff")?,
            overload: results::read("overload")?,
            distinct_keys: results::read("distinct_keys")?,
            instructions: results::read("instructions")?,
            sheets: sheets.into_iter().flatten().collect(),
        })
    }
}

/// The row of a setting.
#[must_use]
pub fn row(rows: &[Summary], setting: Setting) -> Option<&Summary> {
    rows.iter().find(|row| row.setting == setting)
}

/// The peer with most updates a second among so many tasks of one process, by the virtual clock.
#[must_use]
pub fn best_peer(rows: &[Summary], load: Load, tasks: u32) -> Option<&Summary> {
    let peers = rows.iter().filter(|row| {
        let Setting { way, .. } = row.setting;
        way.is_peer() && row.setting == Setting { clock: Clock::Virtual, load, processes: 1, tasks, way }
    });
    peers.max_by(|a, b| a.updates_per_second.total_cmp(&b.updates_per_second))
}
