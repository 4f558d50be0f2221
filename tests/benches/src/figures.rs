//! What the benchmarks left behind.

use serde::{Deserialize, Serialize};

use crate::calls::Call;
use crate::crowd::Load;
use crate::rivals::Trial;
use crate::summary::{Clock, Setting, Summary};
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
