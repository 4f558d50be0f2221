//! Thousands of small runs in which everything goes wrong at once, and the rules that hold all the same.
//!
//! A run is drawn from its seed: who writes, what they do, and what the network does to every request. Its clock is
//! virtual, its store is the embedded engine, and the SDK in between is the real one. Afterwards the whole history of the
//! store is checked against the answer of each call; see [`dynalock_tests::history`]. Without looking at that order,
//! some order of the calls is sought that explains their answers; see [`windows`]. And every request and every answer of a write goes
//! through the transitions of the model; see [`replay`].
//!
//! - `DYNALOCK_SEEDS=20000 cargo test -p dynalock-tests --test simulation` runs more seeds; `DYNALOCK_FIRST_SEED` says from where.
//! - `DYNALOCK_SEED=17 cargo test -p dynalock-tests --test simulation -- --nocapture` shows the trace of one.

mod caller;
mod creator;
mod document;
mod foreign;
mod ledger;
mod network;
mod program;
mod replay;
mod run;
mod secret;
mod sender;
mod sequential;
mod windows;
mod world;
mod writer;

use std::{
    collections::BTreeMap,
    env,
    io::{IsTerminal, Write},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use dynalock_tests::history::{CREATED_ONCE, FRESH, SENT_ONCE, Tally};

use crate::{
    ledger::Copies,
    network::KINDS,
    run::{Outcome, Plan, Writers, run},
    windows::Checked,
    world::lock,
};

const SEEDS: u64 = 500;

fn number(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is {value}, not a number")))
}

#[test]
fn whatever_goes_wrong_every_answer_is_true() {
    if let Some(seed) = number("DYNALOCK_SEED") {
        let plan = Plan::of(seed);
        let outcome = run(plan);
        println!("seed {seed}, {}:\n{}", plan.writers, outcome.trace.join("\n"));
        if !outcome.breaches.is_empty() {
            report(plan, &outcome);
        }
        return;
    }
    let seeds = number("DYNALOCK_SEEDS").unwrap_or(SEEDS);
    let begun = Instant::now();
    let first = number("DYNALOCK_FIRST_SEED").unwrap_or(0);
    let (next, done) = (AtomicU64::new(first), AtomicU64::new(0));
    let totals: Mutex<BTreeMap<Writers, Totals>> = Mutex::default();
    // The first seed that breaks a rule, and how many do.
    let broken: Mutex<(Option<Plan>, u64)> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(seed) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < first + seeds)
                {
                    let plan = Plan::of(seed);
                    let naive = match plan.writers {
                        Writers::Stamps(4) => Some(Writers::Naive),
                        Writers::Creates => Some(Writers::NaiveCreates),
                        _ => None,
                    };
                    let naive = naive.map(|writers| Plan { writers, ..plan });
                    for plan in [plan].into_iter().chain(naive) {
                        let outcome = run(plan);
                        if !plan.writers.are_naive() && !outcome.breaches.is_empty() {
                            let (first, count) = &mut *lock(&broken);
                            *first = first.filter(|first| first.seed < seed).or(Some(plan));
                            *count += 1;
                        }
                        lock(&totals).entry(plan.writers).or_default().add(outcome);
                    }
                    progress(done.fetch_add(1, Ordering::Relaxed) + 1, seeds, begun);
                }
            });
        }
    });
    let totals = lock(&totals);
    println!("\n{seeds} seeds in {:?}", begun.elapsed());
    for (writers, Totals { tally, checked, requests, caught }) in &*totals {
        let Tally { writes, ok, unknown, dropped, dropped_applied, doubled, lost, shared } = tally;
        let of_1000 = f64::from(*unknown) * 1000.0 / f64::from((*writes).max(1));
        println!(
            "{writers:<11} {writes:>7} writes, {ok:>7} Ok, {of_1000:>6.1} unknown of 1,000, {dropped:>5} dropped \
             ({dropped_applied} applied), {doubled} doubled, {lost} lost, {requests} requests",
        );
        let Checked { windows, operations, longest, unexplained } = checked;
        println!(
            "{:<11} {operations:>7} operations in {windows} windows, the longest of {longest}; no order explains {}",
            "",
            unexplained.len(),
        );
        if matches!(writers, Writers::Queue | Writers::Coalescing) {
            let [one, two, three, more] = shared;
            println!(
                "{:<11} {one:>7} writes of one change, {two} of two, {three} of three, {more} of more",
                ""
            );
        }
        for (rule, runs) in caught {
            println!("{:<11} {runs:>7} runs break \"{rule}\"", "");
        }
    }
    if let (Some(plan), count) = *lock(&broken) {
        println!("\n{count} of {seeds} seeds break a rule");
        report(plan, &run(plan));
    }
    for (writers, Totals { tally, .. }) in &*totals {
        let Tally { doubled, lost, .. } = tally;
        // With `start = 1`, a late copy of an update may change the item that came back.
        let harmless = (*doubled, *lost) == (0, 0) || *writers == Writers::CreatesFrom1;
        assert!(harmless || writers.are_naive(), "{writers}: {doubled} doubled, {lost} lost");
    }
    let total = |writers| totals.get(&writers).filter(|_| seeds >= 100);
    if let Some(Totals { tally, .. }) = total(Writers::Coalescing) {
        assert!(tally.shared[1..].iter().all(|shared| *shared > 0), "hardly any writes were shared");
    }
    // Else the faults were too few to prove anything.
    if let Some(Totals { tally, checked, .. }) = total(Writers::Naive) {
        assert!(tally.doubled > 0, "the naive loop doubled nothing");
        assert!(!checked.unexplained.is_empty(), "some order explains whatever the naive loop does");
    }
    if let Some(Totals { tally, checked, caught, .. }) = total(Writers::NaiveCreates).filter(|_| seeds >= 400)
    {
        assert!(tally.doubled > 0, "the naive creates doubled nothing");
        assert!(!checked.unexplained.is_empty(), "some order explains whatever the naive creates do");
        for rule in [CREATED_ONCE, SENT_ONCE, FRESH] {
            assert!(caught.contains_key(rule), "no naive create breaks \"{rule}\"");
        }
    }
}

/// What the runs of some writers come to.
#[derive(Default)]
struct Totals {
    tally: Tally,
    checked: Checked,
    requests: u32,
    /// How many runs break each rule.
    caught: BTreeMap<&'static str, u32>,
}

impl Totals {
    fn add(&mut self, outcome: Outcome) {
        for rule in outcome.broken_rules() {
            *self.caught.entry(rule).or_default() += 1;
        }
        self.tally += outcome.tally;
        self.checked += outcome.checked;
        self.requests += outcome.requests;
    }
}

/// The limit of a create: no version fences it. What the network does here, it does in no other test.
#[test]
fn a_copy_of_a_create_that_outlives_a_delete_brings_the_item_back() {
    let is_found = |seed| {
        let plan = Plan { writers: Writers::Creates, copies: Copies::OutliveDeletes, ..Plan::of(seed) };
        run(plan).broken_rules().contains(CREATED_ONCE)
    };
    assert!((0..1000).any(is_found), "no copy of a create has come behind a delete");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    // Each kind of writers twice.
    for seed in (0..18).chain([1 << 40]) {
        let (once, again) = (run(Plan::of(seed)), run(Plan::of(seed)));
        let differ = once.trace.iter().zip(&again.trace).find(|(once, again)| once != again);
        assert_eq!((differ, once.trace.len()), (None, again.trace.len()), "seed {seed}");
    }
}

/// Shows how far a long run has come, where somebody looks.
fn progress(done: u64, seeds: u64, begun: Instant) {
    if std::io::stderr().is_terminal() || done.is_multiple_of(1000) {
        let per_second = done * 1000 / u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        let left = (seeds - done) / per_second.max(1);
        let mut stderr = std::io::stderr();
        let _ = write!(stderr, "\r{done} of {seeds} seeds, {per_second} a second, {left} s left ");
        let _ = stderr.flush();
    }
}

/// Leaves out what a failure does not need, and shows the rest.
fn report(whole: Plan, outcome: &Outcome) -> ! {
    let (mut plan, mut smallest) = (whole, None);
    let mut attempt = |smaller: fn(u32, Plan) -> Plan, by: u32| {
        let smaller = smaller(by, plan);
        let outcome = run(smaller);
        if !outcome.breaches.is_empty() {
            (plan, smallest) = (smaller, Some(outcome));
        }
    };
    (0..=KINDS)
        .for_each(|kind| attempt(|kind, plan| Plan { kinds: plan.kinds & !(1 << kind), ..plan }, kind));
    (1..whole.calls).rev().for_each(|calls| attempt(|calls, plan| Plan { calls, ..plan }, calls));
    (1..whole.callers).rev().for_each(|callers| attempt(|callers, plan| Plan { callers, ..plan }, callers));
    (0..whole.foreigners)
        .rev()
        .for_each(|number| attempt(|number, plan| Plan { foreigners: number, ..plan }, number));
    let shown = smallest.as_ref().unwrap_or(outcome);
    panic!(
        "seed {seed} ({writers}) breaks:\n{breaches}\n\nthe smallest run that does, {plan:?}:\n{trace}\n\n\
         again with: DYNALOCK_SEED={seed} cargo test -p dynalock-tests --test simulation -- --nocapture",
        seed = plan.seed,
        writers = plan.writers,
        breaches = shown.breaches.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        trace = shown.trace.join("\n"),
    );
}
