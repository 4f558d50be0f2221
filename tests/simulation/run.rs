//! One run: a store, a few programs that write to it at once, and everything that goes wrong, all drawn from one seed.

use std::{fmt, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use dynalock::Table;
use dynalock_tests::{
    engines::Store,
    history::{Answer, SECRET, Tally},
};
use fastrand::Rng;
use tokio::{task::JoinSet, time::sleep};

use crate::{
    caller::Setting,
    document::{K0, K0By3, K1, K1By3, K4, K4By3, K16, K16By3, LASTING, MORTAL, TABLE},
    foreign::{foreign, naive},
    network::{KINDS, Ledger, Odds},
    program::{Sharing, program},
    sender,
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
    /// Programs that take a failed check for a conflict.
    Naive,
}

impl fmt::Display for Writers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stamps(slots) => f.pad(&format!("K = {slots}")),
            Self::Mixed => f.pad("mixed K"),
            Self::Queue => f.pad("queue"),
            Self::Coalescing => f.pad("coalescing"),
            Self::Naive => f.pad("naive loop"),
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
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Self {
        let writers = match seed % 7 {
            0 => Writers::Stamps(0),
            1 => Writers::Stamps(1),
            2 => Writers::Stamps(4),
            3 => Writers::Stamps(16),
            4 => Writers::Mixed,
            5 => Writers::Queue,
            _ => Writers::Coalescing,
        };
        let kinds = (1 << (KINDS + 1)) - 1;
        let plan = Self { seed, writers, kinds, callers: 3, foreigners: 2, calls: 5 };
        if plan.sharing() == Sharing::Nothing { plan } else { Self { callers: 5, calls: 4, ..plan } }
    }

    /// What the callers share, but for the last one.
    fn sharing(&self) -> Sharing {
        match self.writers {
            Writers::Queue => Sharing::Turns,
            Writers::Coalescing => Sharing::Writes,
            _ => Sharing::Nothing,
        }
    }

    /// How many callers the programs have.
    fn programs(&self) -> Vec<(u32, Sharing)> {
        match self.sharing() {
            Sharing::Nothing => vec![(1, Sharing::Nothing); self.callers as usize],
            sharing => vec![(self.callers - 1, sharing), (1, Sharing::Nothing)],
        }
    }
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) tally: Tally,
    pub(crate) checked: Checked,
    pub(crate) breaches: Vec<String>,
    pub(crate) trace: Vec<String>,
    pub(crate) requests: u32,
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
    let ledger = Ledger::new(&world, store.http_client());
    let odds = Odds { faults: *pick(&mut dice, &[30, 150, 350]), duplicates: 80, kinds: plan.kinds };
    let keys: &[&[&str]] = &[&[LASTING], &[MORTAL], &[LASTING, MORTAL]];
    let keys = pick(&mut dice, keys);
    // Who shares something is to meet others.
    let pause = Duration::from_millis(if plan.sharing() == Sharing::Nothing { 80 } else { 20 });
    let setting = Setting { world: world.clone(), store, ledger, odds, keys, calls: plan.calls, pause };
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
    for _ in 0..plan.foreigners {
        programs.spawn(sender::task(foreign(setting.clone(), foreigners.u64(..))));
    }
    let mut breaches = vec![];
    while let Some(ended) = programs.join_next().await {
        breaches.extend(ended.err().map(|error| format!("a program failed: {error}")));
    }
    // Whatever is still under way arrives.
    sleep(2 * LATE).await;
    look_again(&setting).await;

    let history = setting.world.history().clone();
    let checked = windows::check(&history);
    if plan.writers != Writers::Naive {
        breaches.extend(history.breaches());
        breaches.extend(checked.unexplained.iter().cloned());
    }
    let requests = history.calls.iter().map(|call| call.requests.0).sum();
    Outcome { tally: history.tally(), checked, breaches, trace: setting.world.trace(), requests }
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
