//! Processes that change one item, simulated: nothing but what goes to and fro, so that many policies can be compared.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use crate::crowd::Load;
use crate::histogram::Histogram;
use crate::policy::{Delays, Order, Policy, Renewal};

/// Who wants the item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scene {
    /// How much each writer does.
    pub load: Load,
    /// How many processes there are.
    pub processes: u32,
    /// How many writers each of them has.
    pub writers: u32,
    /// Whether the writers of a process take turns, and hand the item on.
    pub queue: bool,
}

impl Scene {
    /// How many writers a process may have.
    pub const WRITERS: [u32; 6] = [1, 2, 5, 10, 50, 100];
    /// How many processes there may be.
    pub const PROCESSES: [u32; 3] = [1, 2, 5];

    /// All scenes.
    pub fn all() -> impl Iterator<Item = Self> {
        let loads = [Load::Burst, Load::Steady].into_iter();
        let with = |load| [false, true].map(|queue| (load, queue));
        loads.flat_map(with).flat_map(|(load, queue)| {
            Self::PROCESSES.into_iter().flat_map(move |processes| {
                Self::WRITERS.map(|writers| Self { load, processes, writers, queue })
            })
        })
    }
}

/// What came of a policy in a scene.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Trial {
    /// Who wanted the item.
    pub scene: Scene,
    /// What they did after a conflict.
    pub policy: Policy,
    /// Updates a second of all together.
    pub updates_per_second: f64,
    /// Requests for each update.
    pub requests_per_update: f64,
    /// Those of them that cost write units.
    pub writes_per_update: f64,
    /// Half of the callers waited no longer than so many milliseconds.
    pub p50_ms: f64,
    /// 99 of 100 callers waited no longer.
    pub p99_ms: f64,
    /// How long the one waited who waited longest.
    pub longest_ms: f64,
    /// How many percent of the calls gave up.
    pub gave_up: f64,
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scene { load, processes, writers, queue } = self.scene;
        let turns = if queue { "in turn" } else { "apart" };
        write!(
            f,
            "{load:<6}  {processes} x {writers:<3}  {turns:<7}  {:>6.0}/s  {:>6.2} requests  {:>6.2} writes  {:>7.0} ms (99 %)  \
             {:>7.0} ms (longest)  {:>5.2} % gave up  {}",
            self.updates_per_second,
            self.requests_per_update,
            self.writes_per_update,
            self.p99_ms,
            self.longest_ms,
            self.gave_up,
            self.policy.difference(),
        )
    }
}

/// How long a request takes one way, in microseconds: 3 to 5 ms for both, so that nobody keeps step with anybody.
const ONE_WAY: RangeInclusive<u64> = 1_500..=2_500;
const DEADLINE: u64 = 30_000_000;
/// How long a steady load lasts, in microseconds.
const STEADY: u64 = 30_000_000;
const BURSTS: u64 = 40;

/// Lets `policy` play in `scene`. The same arguments give the same figures.
#[must_use]
#[allow(clippy::cast_precision_loss)] // counts of at most some millions
pub fn play(policy: Policy, scene: Scene) -> Trial {
    let mut counts = Counts::default();
    let (rounds, end) = match scene.load {
        Load::Burst => (BURSTS, u64::MAX),
        Load::Steady => (1, STEADY),
    };
    let mut dice = Rng::with_seed(7);
    let seconds: f64 =
        (0..rounds).map(|_| Round::new(policy, scene, &mut dice, &mut counts).run(end) as f64 / 1e6).sum();
    let Counts { updates, gave_up, requests, writes, waits } = counts;
    let (updates, gave_up) = (updates as f64, gave_up as f64);
    let milliseconds = |percent| waits.percentile(percent).as_secs_f64() * 1e3;
    Trial {
        scene,
        policy,
        updates_per_second: updates / seconds,
        requests_per_update: requests as f64 / updates,
        writes_per_update: writes as f64 / updates,
        p50_ms: milliseconds(50),
        p99_ms: milliseconds(99),
        longest_ms: milliseconds(100),
        gave_up: 100.0 * gave_up / (updates + gave_up),
    }
}

#[derive(Debug, Default)]
struct Counts {
    updates: u64,
    gave_up: u64,
    requests: u64,
    writes: u64,
    waits: Histogram,
}

/// What happens next to a caller; items are told by their versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Read,
    ReadAnswer { version: u64 },
    Write { expected: u64 },
    Applied { version: u64 },
    Refused { version: u64 },
    Woken { version: u64 },
}

/// Callers that take turns: those of one process, or a single one.
#[derive(Debug)]
struct Turns {
    /// When each of those who wait began to; the first one is at work.
    since: VecDeque<u64>,
    attempts: u32,
    immediate: u32,
    delays: Delays,
}

#[derive(Debug)]
struct Round<'a> {
    policy: Policy,
    load: Load,
    dice: &'a mut Rng,
    counts: &'a mut Counts,
    now: u64,
    version: u64,
    turns: Vec<Turns>,
    /// By time; events of the same moment in the order in which they were planned.
    events: BinaryHeap<Reverse<(u64, u64, usize, Event)>>,
    planned: u64,
}

impl<'a> Round<'a> {
    fn new(policy: Policy, scene: Scene, dice: &'a mut Rng, counts: &'a mut Counts) -> Self {
        let Scene { load, processes, writers, queue } = scene;
        let (queues, length) = if queue { (processes, writers) } else { (processes * writers, 1) };
        let turns = |_| Turns {
            since: (0..length).map(|_| 0).collect(),
            attempts: 1,
            immediate: policy.immediate,
            delays: policy.delays(),
        };
        let turns = (0..queues).map(turns).collect();
        let (now, version, events, planned) = (0, 0, BinaryHeap::new(), 0);
        Self { policy, load, dice, counts, now, version, turns, events, planned }
    }

    /// Goes on until nobody waits, or `end`; returns when that was.
    fn run(mut self, end: u64) -> u64 {
        (0..self.turns.len()).for_each(|caller| self.read(caller));
        while let Some(Reverse((time, _, caller, event))) = self.events.pop() {
            if time > end {
                return end;
            }
            self.now = time;
            self.happen(caller, event);
        }
        self.now
    }

    fn happen(&mut self, caller: usize, event: Event) {
        match event {
            Event::Read => self.travel(caller, Event::ReadAnswer { version: self.version }),
            Event::ReadAnswer { version } => self.write(caller, version),
            Event::Write { expected } if expected == self.version => {
                self.version += 1;
                self.travel(caller, Event::Applied { version: self.version });
            }
            Event::Write { .. } => self.travel(caller, Event::Refused { version: self.version }),
            Event::Applied { version } => {
                let since = self.turns[caller].since[0];
                self.counts.updates += 1;
                self.counts.waits.record(Duration::from_micros(self.now - since));
                self.next_turn(caller, Some(version));
            }
            Event::Refused { version } => self.refused(caller, version),
            Event::Woken { version } => match self.policy.order {
                Order::SleepThenRead => self.read(caller),
                Order::ReadThenSleep => self.write(caller, version),
            },
        }
    }

    fn refused(&mut self, caller: usize, version: u64) {
        let turns = &mut self.turns[caller];
        if turns.attempts == self.policy.attempts || self.now - turns.since[0] > DEADLINE {
            self.counts.gave_up += 1;
            return self.next_turn(caller, None);
        }
        turns.attempts += 1;
        if turns.immediate > 0 {
            turns.immediate -= 1;
            return self.write(caller, version);
        }
        let is_renewed = match self.policy.renewal {
            Renewal::Never => false,
            Renewal::IfOthersWait => turns.since.len() > 1,
            Renewal::Always => true,
        };
        if is_renewed {
            turns.immediate = self.policy.immediate;
        }
        let delay = turns.delays.next(self.dice);
        self.plan(delay, caller, Event::Woken { version });
    }

    /// Ends a call. Whoever comes next needs no read if the item is known, and there was somebody to take it over.
    fn next_turn(&mut self, caller: usize, written: Option<u64>) {
        let turns = &mut self.turns[caller];
        let is_handed_on = turns.since.len() > 1;
        turns.since.pop_front();
        if self.load == Load::Steady {
            turns.since.push_back(self.now);
        }
        (turns.attempts, turns.immediate, turns.delays) = (1, self.policy.immediate, self.policy.delays());
        match written.filter(|_| is_handed_on) {
            _ if turns.since.is_empty() => {}
            Some(version) => self.write(caller, version),
            None => self.read(caller),
        }
    }

    fn read(&mut self, caller: usize) {
        self.counts.requests += 1;
        self.travel(caller, Event::Read);
    }

    fn write(&mut self, caller: usize, expected: u64) {
        self.counts.requests += 1;
        self.counts.writes += 1;
        self.travel(caller, Event::Write { expected });
    }

    fn travel(&mut self, caller: usize, event: Event) {
        let delay = self.dice.u64(ONE_WAY);
        self.plan(delay, caller, event);
    }

    fn plan(&mut self, delay: u64, caller: usize, event: Event) {
        self.planned += 1;
        self.events.push(Reverse((self.now + delay, self.planned, caller, event)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALONE: Scene = Scene { load: Load::Steady, processes: 1, writers: 1, queue: false };

    #[test]
    fn one_alone_reads_and_writes() {
        let trial = play(Policy::DYNALOCK, ALONE);
        assert!((120.0..=130.0).contains(&trial.updates_per_second), "{trial:?}");
        assert!((1.99..=2.01).contains(&trial.requests_per_update), "{trial:?}");
    }

    #[test]
    fn those_who_take_turns_need_one_read() {
        let trial = play(Policy::DYNALOCK, Scene { load: Load::Burst, writers: 100, queue: true, ..ALONE });
        assert!((trial.requests_per_update - 1.01).abs() < 1e-9, "{trial:?}");
    }

    #[test]
    fn everybody_is_served_in_a_burst_or_gives_up() {
        for attempts in [1, 128] {
            let policy = Policy { attempts, ..Policy::DYNALOCK };
            let trial = play(policy, Scene { load: Load::Burst, writers: 20, ..ALONE });
            assert_eq!(trial.gave_up > 0.0, attempts == 1, "{trial:?}");
        }
    }
}
