//! What the figures are to reach.

use std::fmt;

use crate::crowd::Load;
use crate::figures::{Figures, best_peer, row};
use crate::summary::{Clock, Setting, Summary};
use crate::way::Way;

/// A figure and its limit.
#[derive(Debug, Clone)]
pub struct Target {
    what: String,
    measured: f64,
    limit: Limit,
}

/// A limit.
#[derive(Debug, Clone, Copy)]
enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

use Limit::{AtLeast, AtMost};

impl Target {
    fn new(what: impl Into<String>, measured: f64, limit: Limit) -> Self {
        Self { what: what.into(), measured, limit }
    }

    /// Whether the figure keeps the limit.
    #[must_use]
    pub fn is_met(&self) -> bool {
        match self.limit {
            AtMost(limit) => self.measured <= limit,
            AtLeast(limit) => self.measured >= limit,
        }
    }

    /// All targets that `figures` tell something about.
    #[must_use]
    pub fn all(figures: &Figures) -> Vec<Self> {
        let mut targets = Vec::new();
        for load in [Load::Burst, Load::Steady] {
            let of_one_process = |rows| of_one_process(rows, load);
            targets.extend(figures.hot_key.as_deref().and_then(of_one_process).unwrap_or_default());
        }
        targets.extend(figures.processes.as_deref().map(of_processes).unwrap_or_default());
        targets.extend(figures.distinct_keys.as_ref().map(|distinct_keys| {
            Self::new("distinct keys, updates/s to those of the SDK", distinct_keys.median(), AtLeast(0.97))
        }));
        for row in figures.instructions.iter().flatten() {
            let call = row.call.name();
            let (bare, by_hand) = (row.dynalock / row.bare, row.dynalock / row.by_hand);
            targets.push(Self::new(format!("{call}, instructions to those of the SDK"), bare, AtMost(1.08)));
            targets.push(Self::new(format!("{call}, instructions to those by hand"), by_hand, AtMost(1.03)));
        }
        targets
    }
}

/// One process with 100 tasks on one item.
fn of_one_process(rows: &[Summary], load: Load) -> Option<Vec<Target>> {
    let of = |way, tasks| row(rows, Setting { clock: Clock::Virtual, load, processes: 1, tasks, way });
    let (queue, coalescing, alone) = (of(Way::Queue, 100)?, of(Way::Coalescing, 100)?, of(Way::Queue, 1)?);
    let what = |name, what| format!("100 tasks ({load}), {name}, {what}");
    let (requests, to_alone) = ("requests for an update", "updates/s to one task alone");
    let mut targets = vec![
        Target::new(what("one table", requests), queue.requests_per_update, AtMost(1.02)),
        Target::new(
            what("one table", to_alone),
            queue.updates_per_second / alone.updates_per_second,
            AtLeast(1.9),
        ),
        Target::new(what("coalescing", requests), coalescing.requests_per_update, AtMost(0.03)),
    ];
    if let Some(peer) = best_peer(rows, load, 100) {
        let to_peer = |row: &Summary| row.updates_per_second / peer.updates_per_second;
        let best_peer = "updates/s to the best peer";
        targets.push(Target::new(what("one table", best_peer), to_peer(queue), AtLeast(3.5)));
        targets.push(Target::new(what("coalescing", best_peer), to_peer(coalescing), AtLeast(50.0)));
    }
    Some(targets)
}

/// 5 processes with 20 tasks each on one item.
fn of_processes(rows: &[Summary]) -> Vec<Target> {
    let mut targets = Vec::new();
    let places = [
        (Clock::Virtual, Load::Burst, "burst"),
        (Clock::Virtual, Load::Steady, "steady"),
        (Clock::Real, Load::Steady, "TCP"),
    ];
    for (clock, load, place) in places {
        for (way, name) in [(Way::Queue, "one table each"), (Way::Coalescing, "coalescing")] {
            let of = |processes| row(rows, Setting { clock, load, processes, tasks: 20, way });
            let (Some(one), Some(five)) = (of(1), of(5)) else { continue };
            let what = |what| format!("5 processes ({place}), {name}, {what}");
            targets.push(Target::new(what("writes for an update"), five.writes_per_update, AtMost(3.0)));
            let to_one = five.updates_per_second / one.updates_per_second;
            targets.push(Target::new(what("updates/s to one process"), to_one, AtLeast(0.5)));
        }
    }
    targets
}

/// A line of a Markdown table.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, limit) = match self.limit {
            AtMost(limit) => ("at most", limit),
            AtLeast(limit) => ("at least", limit),
        };
        let verdict = if self.is_met() { "pass" } else { "**fail**" };
        write!(f, "| {} | {:.3} | {word} {limit} | {verdict} |", self.what, self.measured)
    }
}
