//! One run: a store, a few programs that write to it at once, and everything that goes wrong, all drawn from one seed.

use std::{collections::BTreeSet, fmt, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use dynalock::Table;
use dynalock_tests::{
    engines::Store,
    history::{Answer, Breach, History, SECRET, Tally, Versions},
};
use fastrand::Rng;
use tokio::{task::JoinSet, time::sleep};

use crate::{
    caller::{Setting, Sharing},
    document::{
        K0, K0By3, K0From1, K1, K1By3, K1From1, K4, K4By3, K4From1, K16, K16By3, LASTING, MORTAL, TABLE,
    },
    foreign::{foreign, naive, naive_creates, sweep},
    ledger::{Copies, Ledger},
    network::{KINDS, Odds},
    program::program,
    replay, sender,
    windows::{self, Checked},
    world::{LATE, World, lock},
};

/// Who writes, beside foreign programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Writers {
    /// Programs that use dynalock, all with this many write stamps.
    Stamps(u8),
    /// Programs that use dynalock, each with another number of them.
    Mixed,
    /// Callers of one program, who take turns, and another program.
    Queue,
    /// The same, but they share their writes as well.
    Coalescing,
    /// Callers who create and delete more often than not: two of a program that shares its writes, and two more programs.
    Creates,
    /// The same with `start = 1`, so that versions come twice.
    CreatesFrom1,
    /// Programs that take a failed check for a conflict.
    Naive,
    /// Programs that leave it to the SDK to send a create again.
    NaiveCreates,
}

impl Writers {
    /// Whether they create and delete more often than not.
    fn create(self) -> bool {
        matches!(self, Self::Creates | Self::CreatesFrom1 | Self::NaiveCreates)
    }

    /// Whether they are there to be caught.
    pub(crate) fn are_naive(self) -> bool {
        matches!(self, Self::Naive | Self::NaiveCreates)
    }
}

impl fmt::Display for Writers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stamps(slots) => f.pad(&format!("K = {slots}")),
            Self::Mixed => f.pad("mixed K"),
            Self::Queue => f.pad("queue"),
            Self::Coalescing => f.pad("coalescing"),
            Self::Creates => f.pad("creates"),
            Self::CreatesFrom1 => f.pad("from 1"),
            Self::Naive => f.pad("naive loop"),
            Self::NaiveCreates => f.pad("naive creates"),
        }
    }
}

/// What may be left out of a run to make it smaller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) writers: Writers,
    /// As in [`Odds::kinds`].
    pub(crate) kinds: u32,
    /// How many callers there are, beside foreign programs.
    pub(crate) callers: u32,
    pub(crate) foreigners: u32,
    /// How many calls each of them makes.
    pub(crate) calls: u32,
    pub(crate) copies: Copies,
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Self {
        let writers = match seed % 9 {
            0 => Writers::Stamps(0),
            1 => Writers::Stamps(1),
            2 => Writers::Stamps(4),
            3 => Writers::Stamps(16),
            4 => Writers::Mixed,
            5 => Writers::Queue,
            6 => Writers::Coalescing,
            7 => Writers::Creates,
            _ => Writers::CreatesFrom1,
        };
        let kinds = (1 << (KINDS + 1)) - 1;
        let copies = Copies::EndWithDeletes;
        let plan = Self { seed, writers, kinds, callers: 3, foreigners: 2, calls: 5, copies };
        match (writers, plan.sharing()) {
            (Writers::Creates | Writers::CreatesFrom1, _) => Self { callers: 4, ..plan },
            (_, Sharing::Nothing) => plan,
            _ => Self { callers: 5, calls: 4, ..plan },
        }
    }

    /// What the callers share, but for the last one.
    fn sharing(&self) -> Sharing {
        match self.writers {
            Writers::Queue => Sharing::Turns,
            Writers::Coalescing | Writers::Creates | Writers::CreatesFrom1 => Sharing::Writes,
            _ => Sharing::Nothing,
        }
    }

    /// How many callers the programs have.
    fn programs(&self) -> Vec<(u32, Sharing)> {
        let alone = (1, Sharing::Nothing);
        match self.sharing() {
            Sharing::Nothing => vec![alone; self.callers as usize],
            sharing if self.writers.create() && self.callers > 2 => {
                vec![(self.callers - 2, sharing), alone, alone]
            }
            sharing => vec![(self.callers - 1, sharing), alone],
        }
    }
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) tally: Tally,
    pub(crate) checked: Checked,
    pub(crate) breaches: Vec<Breach>,
    pub(crate) trace: Vec<String>,
    pub(crate) requests: u32,
    pub(crate) history: History,
}

impl Outcome {
    /// The rules that it breaks, without what breaks them.
    pub(crate) fn broken_rules(&self) -> BTreeSet<&'static str> {
        self.breaches.iter().map(|breach| breach.rule).collect()
    }
}

/// Carries out a run. The same plan gives the same trace.
pub(crate) fn run(plan: Plan) -> Outcome {
    dynalock::__private::seed(plan.seed);
    fastrand::seed(plan.seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime of one thread");
    runtime.block_on(simulate(plan))
}

async fn simulate(plan: Plan) -> Outcome {
    let mut dice = Rng::with_seed(plan.seed);
    let world = World::new();
    let store = Store::memory();
    let ledger = Ledger::of(store.http_client(), &world, plan.copies);
    let odds = Odds { faults: *pick(&mut dice, &[30, 150, 350]), duplicates: 80, kinds: plan.kinds };
    let keys: &[&[&str]] = &[&[LASTING], &[MORTAL], &[LASTING, MORTAL]];
    let keys = pick(&mut dice, keys);
    let (creates, from_1) = (plan.writers.create(), plan.writers == Writers::CreatesFrom1);
    let keys = if creates { &[MORTAL] } else { *keys };
    // Who shares something is to meet others.
    let pause = Duration::from_millis(if plan.sharing() == Sharing::Nothing { 80 } else { 20 });
    let setting = Setting { world, store, ledger, odds, keys, calls: plan.calls, pause, creates, from_1 };
    let adopted = dice.u32(0..6) == 0;
    prepare(&setting, adopted).await;

    let step = *pick(&mut dice, &[1, 3]);
    let mut foreigners = dice.fork();
    let mut programs = JoinSet::new();
    for (callers, sharing) in plan.programs() {
        let (setting, seed) = (setting.clone(), dice.u64(..));
        let any = *pick(&mut dice, &[0, 1, 4, 16]);
        let slots = if let Writers::Stamps(slots) = plan.writers { slots } else { any };
        macro_rules! program {
            ($document:ident) => {
                programs.spawn(program::<$document>(setting, seed, callers, sharing))
            };
        }
        match (plan.writers, slots, step) {
            (Writers::Naive, ..) => programs.spawn(sender::task(naive(setting, seed))),
            (Writers::NaiveCreates, ..) => programs.spawn(sender::task(naive_creates(setting, seed))),
            (Writers::CreatesFrom1, 0, _) => program!(K0From1),
            (Writers::CreatesFrom1, 1, _) => program!(K1From1),
            (Writers::CreatesFrom1, ..) => program!(K4From1),
            (_, 0, 1) => program!(K0),
            (_, 1, 1) => program!(K1),
            (_, 4, 1) => program!(K4),
            (_, 16, 1) => program!(K16),
            (_, 0, _) => program!(K0By3),
            (_, 1, _) => program!(K1By3),
            (_, 4, _) => program!(K4By3),
            _ => program!(K16By3),
        };
    }
    for number in 0..plan.foreigners {
        let (setting, seed) = (setting.clone(), foreigners.u64(..));
        if creates && number == 0 {
            programs.spawn(sender::task(sweep(setting, seed)));
        } else {
            programs.spawn(sender::task(foreign(setting, seed)));
        }
    }
    let mut breaches = vec![];
    while let Some(ended) = programs.join_next().await {
        let failed = |error| Breach { rule: "a program ends well", about: format!("{error}") };
        breaches.extend(ended.err().map(failed));
    }
    // Whatever is still under way arrives.
    sleep(2 * LATE).await;
    look_again(&setting).await;

    let mut history = setting.world.history().clone();
    if from_1 {
        history.versions = Versions::Reused;
    }
    breaches.extend(history.breaches());
    // A late copy of an update may change an item that came back at the same version, and no order explains that.
    let checked = if from_1 { Checked::default() } else { windows::check(&history) };
    breaches.extend(checked.unexplained.iter().cloned());
    breaches.extend(replay::check(&history));
    let requests = history.calls.iter().map(|call| call.requests.0).sum();
    Outcome { tally: history.tally(), checked, breaches, trace: setting.world.trace(), requests, history }
}

fn pick<'a, T>(dice: &mut Rng, choices: &'a [T]) -> &'a T {
    &choices[dice.usize(0..choices.len())]
}

/// Makes the table, and its items as another program has left them.
async fn prepare(setting: &Setting, adopted: bool) {
    let config = setting.store.config().http_client(setting.ledger.clone()).build();
    let client = aws_sdk_dynamodb::Client::from_conf(config);
    Table::<K4>::new(&client, TABLE).create_table().await.expect("a table");
    for key in setting.keys {
        let put = client.put_item().table_name(TABLE).item("id", AttributeValue::S((*key).into()));
        let put = put.item("log", AttributeValue::L(vec![])).item("color", AttributeValue::S(SECRET.into()));
        let has_version = !adopted || *key == MORTAL;
        let put = if has_version { put.item("version", AttributeValue::N("1".into())) } else { put };
        put.send().await.expect("an item");
    }
}

/// Asks what became of the writes whose outcome was unknown, now that nothing is under way.
async fn look_again(setting: &Setting) {
    let client = setting.store.client();
    let unknown = std::mem::take(&mut *lock(&setting.world.unknown));
    for (id, error) in unknown {
        let dynalock::Error::OutcomeUnknown(unknown) = error else { continue };
        let read = client.get_item().table_name(TABLE).set_key(Some(unknown.key().clone()));
        let item = read.consistent_read(true).send().await.expect("an answer").item;
        let applied = unknown.was_applied(item.as_ref());
        let mut history = setting.world.history();
        if let Some(call) = history.calls.iter_mut().find(|call| call.id == id) {
            call.answer = Answer::Unknown(applied);
        }
    }
}
