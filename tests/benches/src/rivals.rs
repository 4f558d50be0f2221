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
use crate::policy::{Delays, Order, Policy, Renewal, Throttled};
use crate::throttling::{Partition, Quota};

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
    /// How many processes there may be.
    pub const PROCESSES: [u32; 5] = [1, 2, 5, 20, 50];

    /// How many writers each of so many processes may have: at most 500 in all.
    pub fn writers(processes: u32) -> impl Iterator<Item = u32> {
        [1, 2, 5, 10, 50, 100].into_iter().filter(move |writers| processes * writers <= 500)
    }

    /// All scenes.
    pub fn all() -> impl Iterator<Item = Self> {
        let loads = [Load::Burst, Load::Steady].into_iter();
        let with = |load| [false, true].map(|queue| (load, queue));
        loads.flat_map(with).flat_map(|(load, queue)| {
            Self::PROCESSES.into_iter().flat_map(move |processes| {
                Self::writers(processes).map(move |writers| Self { load, processes, writers, queue })
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
    /// Those of them that DynamoDB throttled.
    pub throttled_per_update: f64,
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
            "{load:<6}  {processes} x {writers:<3}  {turns:<7}  {:>6.0}/s  {:>6.2} requests  {:>6.2} writes  {:>6.2} throttled  \
             {:>7.0} ms (99 %)  {:>7.0} ms (longest)  {:>5.2} % gave up  {}",
            self.updates_per_second,
            self.requests_per_update,
            self.writes_per_update,
            self.throttled_per_update,
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
/// How long a steady load lasts, in microseconds: long enough for those who give up to be counted.
const STEADY: u64 = 120_000_000;
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
    let Counts { updates, gave_up, requests, writes, throttled, waits } = counts;
    let (updates, gave_up) = (updates as f64, gave_up as f64);
    let milliseconds = |percent| waits.percentile(percent).as_secs_f64() * 1e3;
    Trial {
        scene,
        policy,
        updates_per_second: updates / seconds,
        requests_per_update: requests as f64 / updates,
        writes_per_update: writes as f64 / updates,
        throttled_per_update: throttled as f64 / updates,
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
    throttled: u64,
    waits: Histogram,
}

/// What happens next to a caller; items are told by their versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Read,
    ReadAnswer {
        version: u64,
    },
    Write {
        expected: u64,
    },
    Applied {
        version: u64,
    },
    Refused {
        version: u64,
    },
    Throttled {
        expected: u64,
    },
    /// The SDK sends a write again.
    Resent {
        expected: u64,
    },
    /// dynalock does, as a request of its own.
    Rewritten {
        expected: u64,
    },
    /// dynalock reads first.
    Outdated,
    OutOfTime,
    Woken {
        version: u64,
    },
}

/// Callers that take turns: those of one process, or a single one.
#[derive(Debug)]
struct Turns {
    process: usize,
    /// When each of those who wait began to; the first one is at work.
    since: VecDeque<u64>,
    attempts: u32,
    /// How often the SDK sent the write that is under way.
    sent: u32,
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
    partition: Partition,
    /// One for each process.
    quotas: Vec<Quota>,
    turns: Vec<Turns>,
    /// By time; events of the same moment in the order in which they were planned.
    events: BinaryHeap<Reverse<(u64, u64, usize, Event)>>,
    planned: u64,
}

impl<'a> Round<'a> {
    fn new(policy: Policy, scene: Scene, dice: &'a mut Rng, counts: &'a mut Counts) -> Self {
        let Scene { load, processes, writers, queue } = scene;
        let (queues, length) = if queue { (1, writers) } else { (writers, 1) };
        let turns = |process| Turns {
            process,
            since: (0..length).map(|_| 0).collect(),
            attempts: 1,
            sent: 0,
            immediate: policy.immediate,
            delays: policy.delays(),
        };
        let turns =
            (0..processes as usize).flat_map(|process| (0..queues).map(move |_| turns(process))).collect();
        let quotas = (0..processes).map(|_| Quota::full()).collect();
        let (partition, events) = (Partition::rested(), BinaryHeap::new());
        let (now, version, planned) = (0, 0, 0);
        Self { policy, load, dice, counts, now, version, partition, quotas, turns, events, planned }
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
            Event::ReadAnswer { version } => {
                self.quota(caller).succeeded();
                self.write(caller, version);
            }
            Event::Write { expected } => self.arrive(caller, expected),
            Event::Applied { version } => {
                self.quota(caller).succeeded();
                let since = self.turns[caller].since[0];
                self.counts.updates += 1;
                self.counts.waits.record(Duration::from_micros(self.now - since));
                self.next_turn(caller, Some(version));
            }
            Event::Refused { version } => self.refused(caller, version),
            Event::Throttled { expected } => self.throttled(caller, expected),
            Event::Resent { expected } => self.send(caller, expected),
            Event::Rewritten { expected } => self.write(caller, expected),
            Event::Outdated => self.read(caller),
            Event::OutOfTime => self.give_up(caller),
            Event::Woken { version } => match self.policy.order {
                Order::SleepThenRead => self.read(caller),
                Order::ReadThenSleep => self.write(caller, version),
            },
        }
    }

    /// A write has come to the item.
    fn arrive(&mut self, caller: usize, expected: u64) {
        let answer = if !self.partition.takes(self.now) {
            self.counts.throttled += 1;
            Event::Throttled { expected }
        } else if expected == self.version {
            self.counts.writes += 1;
            self.version += 1;
            Event::Applied { version: self.version }
        } else {
            self.counts.writes += 1;
            Event::Refused { version: self.version }
        };
        self.travel(caller, answer);
    }

    fn refused(&mut self, caller: usize, version: u64) {
        let turns = &mut self.turns[caller];
        if turns.immediate > 0 {
            turns.immediate -= 1;
            return if self.attempt(caller) { self.write(caller, version) } else { self.give_up(caller) };
        }
        let is_renewed = match self.policy.renewal {
            Renewal::Never => false,
            Renewal::IfOthersWait => turns.since.len() > 1,
            Renewal::Always => true,
        };
        if is_renewed {
            turns.immediate = self.policy.immediate;
        }
        self.sleep(caller, Event::Woken { version });
    }

    /// First the SDK sends the write again, as often as it does so. Then dynalock does, as its policy says, and the SDK begins
    /// anew.
    fn throttled(&mut self, caller: usize, expected: u64) {
        let turns = &mut self.turns[caller];
        let left = (turns.since[0] + DEADLINE).saturating_sub(self.now);
        match self.quotas[turns.process].retry(turns.sent, self.dice) {
            Some(delay) if delay >= left => self.plan(left, caller, Event::OutOfTime),
            Some(delay) => self.plan(delay, caller, Event::Resent { expected }),
            None => match self.policy.throttled {
                Throttled::SendAgain => self.sleep(caller, Event::Rewritten { expected }),
                Throttled::SendAgainLater => {
                    let delay = self.dice.u64(0..Throttled::LATER);
                    self.sleep_for(delay, caller, Event::Rewritten { expected });
                }
                Throttled::Read => self.sleep(caller, Event::Outdated),
            },
        }
    }

    /// Takes one more attempt; `false` if there is none left.
    fn attempt(&mut self, caller: usize) -> bool {
        let turns = &mut self.turns[caller];
        let is_left = turns.attempts < self.policy.attempts && self.now - turns.since[0] < DEADLINE;
        turns.attempts += 1;
        is_left
    }

    /// Goes on with `event` after the next delay, unless the call ends before.
    fn sleep(&mut self, caller: usize, event: Event) {
        let delay = self.turns[caller].delays.next(self.dice);
        self.sleep_for(delay, caller, event);
    }

    fn sleep_for(&mut self, delay: u64, caller: usize, event: Event) {
        let is_in_time = self.now + delay - self.turns[caller].since[0] < DEADLINE;
        if is_in_time && self.attempt(caller) {
            self.plan(delay, caller, event);
        } else {
            self.give_up(caller);
        }
    }

    fn give_up(&mut self, caller: usize) {
        self.counts.gave_up += 1;
        self.next_turn(caller, None);
    }

    /// Ends a call. Whoever comes next needs no read if the item is known, and there was somebody to take it over.
    ///
    /// Those whose deadline came while they waited gave up. That is seen only when it is their turn.
    fn next_turn(&mut self, caller: usize, written: Option<u64>) {
        let turns = &mut self.turns[caller];
        let is_handed_on = turns.since.len() > 1;
        let late = turns.since.iter().skip(1).take_while(|since| self.now - **since >= DEADLINE).count();
        turns.since.drain(..=late);
        if self.load == Load::Steady {
            turns.since.extend((0..=late).map(|_| self.now));
        }
        self.counts.gave_up += late as u64;
        (turns.attempts, turns.immediate, turns.delays) = (1, self.policy.immediate, self.policy.delays());
        match written.filter(|_| is_handed_on) {
            _ if turns.since.is_empty() => {}
            Some(version) => self.write(caller, version),
            None => self.read(caller),
        }
    }

    fn quota(&mut self, caller: usize) -> &mut Quota {
        &mut self.quotas[self.turns[caller].process]
    }

    fn read(&mut self, caller: usize) {
        self.counts.requests += 1;
        self.travel(caller, Event::Read);
    }

    fn write(&mut self, caller: usize, expected: u64) {
        self.turns[caller].sent = 0;
        self.send(caller, expected);
    }

    fn send(&mut self, caller: usize, expected: u64) {
        self.turns[caller].sent += 1;
        self.counts.requests += 1;
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
    fn an_item_takes_a_thousand_writes_a_second() {
        let crowd = Scene { processes: 5, writers: 100, ..ALONE };
        for (scene, is_throttled) in [(crowd, true), (Scene { queue: true, ..crowd }, false)] {
            let trial = play(Policy::DYNALOCK, scene);
            let writes_per_second = trial.updates_per_second * trial.writes_per_update;
            assert_eq!(trial.throttled_per_update > 0.0, is_throttled, "{trial:?}");
            assert_eq!(writes_per_second > 990.0, is_throttled, "{trial:?}");
            // The first second also brings what was saved before.
            assert!(writes_per_second <= 1_000.0 * 121.0 / 120.0, "{trial:?}");
        }
    }

    /// What is planned after a throttled write that was sent so often: when, and what.
    fn after_throttling(policy: Policy, sent: u32, now: u64) -> Option<(u64, Event)> {
        let (mut dice, mut counts) = (Rng::with_seed(7), Counts::default());
        let mut round = Round::new(policy, Scene { load: Load::Burst, ..ALONE }, &mut dice, &mut counts);
        (round.now, round.turns[0].sent) = (now, sent);
        round.throttled(0, 5);
        let planned = round.events.pop();
        assert_eq!(counts.gave_up, u64::from(planned.is_none()));
        planned.map(|Reverse((time, _, _, event))| (time, event))
    }

    #[test]
    fn a_throttled_write_is_sent_again_by_the_sdk_and_then_by_dynalock() {
        let ours = Policy::DYNALOCK;
        let later = Policy { throttled: Throttled::SendAgainLater, ..ours };
        let reads = Policy { throttled: Throttled::Read, ..ours };
        for (policy, sent, limit, event) in [
            (ours, 1, 1_000_000, Event::Resent { expected: 5 }),
            (ours, 2, 2_000_000, Event::Resent { expected: 5 }),
            (ours, 3, 10_000, Event::Rewritten { expected: 5 }),
            (later, 3, 1_000_000, Event::Rewritten { expected: 5 }),
            (reads, 3, 10_000, Event::Outdated),
        ] {
            let planned = after_throttling(policy, sent, 0);
            let is_meant = planned.is_some_and(|(time, planned)| time < limit && planned == event);
            assert!(is_meant, "{planned:?} after {sent}");
        }
    }

    #[test]
    fn no_write_is_sent_again_after_the_deadline() {
        assert_eq!(after_throttling(Policy::DYNALOCK, 1, DEADLINE - 1), Some((DEADLINE, Event::OutOfTime)));
        assert_eq!(after_throttling(Policy::DYNALOCK, 3, DEADLINE - 1), None);
        assert_eq!(after_throttling(Policy { attempts: 1, ..Policy::DYNALOCK }, 3, 0), None);
    }

    #[test]
    fn whoever_waits_for_a_turn_until_the_deadline_gives_up() {
        for (load, left) in [(Load::Burst, 2), (Load::Steady, 5)] {
            let (mut dice, mut counts) = (Rng::with_seed(7), Counts::default());
            let scene = Scene { load, writers: 5, queue: true, ..ALONE };
            let mut round = Round::new(Policy::DYNALOCK, scene, &mut dice, &mut counts);
            round.turns[0].since = [0, 0, 0, 1, 1].into();
            round.now = DEADLINE;
            round.next_turn(0, Some(1));
            assert_eq!((round.turns[0].since.len(), round.turns[0].since[0]), (left, 1));
            assert_eq!(counts.gave_up, 2);
        }
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
