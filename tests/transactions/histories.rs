//! Whatever several programs do at once, over a network that loses requests and replies, could have happened one after
//! another.
//!
//! `DYNALOCK_SEEDS=100 cargo test -p dynalock-tests --all-features --test transactions histories` runs more seeds.

use std::env;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use dynalock::{Error, Retry, Table, Versioned, transact};
use dynalock_tests::engines::{Store, table_name};
use fastrand::Rng;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::cycles::{End, Lists, Transaction, check};
use crate::network;

const SEEDS: u64 = 3;
const PROGRAMS: u64 = 8;
const CALLS: u32 = 8;
const KEYS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Has no write stamps, so that some outcomes stay unknown.
#[derive(Debug, Clone, Serialize, Deserialize, Versioned)]
#[dynalock(stamps = 0)]
struct Log {
    #[dynalock(partition_key)]
    id: String,
    marks: Vec<String>,
    #[dynalock(version)]
    version: u64,
}

/// Why a transaction did not take place.
enum Not {
    Wanted,
    Stored(Error),
}

impl From<Error> for Not {
    fn from(error: Error) -> Self {
        Self::Stored(error)
    }
}

impl From<Result<(), Not>> for End {
    fn from(answer: Result<(), Not>) -> Self {
        match answer {
            Ok(()) => Self::Ok,
            Err(Not::Wanted) => Self::Refused,
            Err(Not::Stored(Error::OutcomeUnknown(_))) => Self::Unknown,
            Err(Not::Stored(Error::Conflict(_) | Error::Sdk(_))) => Self::Failed,
            Err(Not::Stored(error)) => panic!("no call can end in {error:?}"),
        }
    }
}

struct Program {
    number: u64,
    client: Client,
    logs: Table<Log>,
    dice: Rng,
    /// Counts beginnings and ends of calls.
    clock: Arc<AtomicU64>,
}

/// What is known of the run that a call is in.
#[derive(Default)]
struct Run {
    number: AtomicU32,
    reads: Mutex<Lists>,
}

impl Run {
    /// Begins the next run of the call with this name, and returns what it appends.
    fn begin(&self, name: &str) -> String {
        format!("{name}.{}", self.number.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn end(&self, reads: Lists) {
        *self.reads.lock().unwrap_or_else(PoisonError::into_inner) = reads;
    }
}

impl Program {
    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    async fn run(mut self) -> Vec<Transaction> {
        let mut transactions = Vec::new();
        for call in 0..CALLS {
            let name = format!("{}.{call}", self.number);
            let (began, run) = (self.tick(), Run::default());
            let (end, writes) = match self.dice.u32(..5) {
                0 => self.update(&name, &run).await,
                1 => self.get(&name, &run).await,
                _ => self.transact(&name, &run).await,
            };
            let mark = format!("{name}.{}", run.number.into_inner());
            let reads = run.reads.into_inner().unwrap_or_else(PoisonError::into_inner);
            transactions.push(Transaction { mark, reads, writes, end, time: (began, self.tick()) });
        }
        transactions
    }

    /// Reads some items, and appends to some of those.
    async fn transact(&mut self, name: &str, run: &Run) -> (End, Vec<String>) {
        let mut keys = KEYS;
        self.dice.shuffle(&mut keys);
        let keys = &keys[..self.dice.usize(1..=4)];
        // What is done to the items: half of them are only read, a sixth is replaced.
        let choices: Vec<_> = keys.iter().map(|key| (*key, self.dice.u32(..6))).collect();
        let (logs, choices, refuses) = (&self.logs, &choices, self.dice.u32(..8) == 0);
        let answer = transact(&self.client, async |tx| {
            let (mark, mut reads) = (run.begin(name), Lists::new());
            for (key, choice) in choices {
                let mut log = tx.get(logs, *key).await?.expect("no item is ever deleted");
                reads.insert(log.id.clone(), log.marks.clone());
                log.marks.push(mark.clone());
                match choice {
                    0..3 => {}
                    3 => tx.replace(logs, log)?,
                    _ => tx.save(logs, log)?,
                }
            }
            run.end(reads);
            if refuses { Err(Not::Wanted) } else { Ok(()) }
        });
        let end = answer.retry(persistent()).await.into();
        let written = choices.iter().filter(|(_, choice)| *choice >= 3);
        (end, written.map(|(key, _)| (*key).to_owned()).collect())
    }

    /// Appends to an item, outside of any transaction.
    async fn update(&mut self, name: &str, run: &Run) -> (End, Vec<String>) {
        let key = KEYS[self.dice.usize(..KEYS.len())];
        let append = |log: &mut Log| {
            let mark = run.begin(name);
            run.end(Lists::from([(log.id.clone(), log.marks.clone())]));
            log.marks.push(mark);
        };
        let answer = self.logs.update(key, append).retry(persistent()).await;
        (answer.map(drop).map_err(Not::Stored).into(), vec![key.to_owned()])
    }

    /// Reads an item, outside of any transaction.
    async fn get(&mut self, name: &str, run: &Run) -> (End, Vec<String>) {
        run.begin(name);
        let answer = self.logs.get(KEYS[self.dice.usize(..KEYS.len())]).await;
        let answer = answer.map(|log| {
            let log = log.expect("no item is ever deleted");
            run.end(Lists::from([(log.id, log.marks)]));
        });
        (answer.map_err(Not::Stored).into(), vec![])
    }
}

/// Many attempts with little waiting, but not so many that none ends in vain.
fn persistent() -> Retry {
    Retry::default().attempts(12).backoff(Duration::from_millis(2), Duration::from_millis(100))
}

async fn one_history(seed: u64) -> Vec<Transaction> {
    let (store, name) = (Store::chosen(), table_name());
    let logs = Table::<Log>::new(&store.client(), &name);
    logs.create_table().await.unwrap();
    for id in KEYS {
        logs.create(&mut Log { id: id.to_owned(), marks: vec![], version: 0 }).await.unwrap();
    }
    let (mut programs, clock) = (JoinSet::new(), Arc::new(AtomicU64::new(0)));
    for number in 0..PROGRAMS {
        let seed = seed * PROGRAMS + number;
        let client = network::client(&store, !seed);
        let logs = Table::new(&client, &name);
        let program = Program { number, client, logs, dice: Rng::with_seed(seed), clock: Arc::clone(&clock) };
        programs.spawn(program.run());
    }
    let transactions = programs.join_all().await.concat();
    // In one transaction, since a late copy of a lost request may still be on its way.
    let lists = transact(&store.client(), async |tx| {
        let mut lists = Lists::new();
        for key in KEYS {
            let log = tx.get(&logs, key).await?.expect("no item is ever deleted");
            lists.insert(log.id, log.marks);
        }
        Ok::<_, Error>(lists)
    })
    .await
    .unwrap();
    if let Err(problem) = check(&transactions, &lists) {
        panic!("seed {seed}: {problem}");
    }
    transactions
}

async fn every_history_has_an_order(first: u64) {
    let seeds = env::var("DYNALOCK_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(SEEDS);
    let mut all = Vec::new();
    for seed in first..first + seeds {
        all.extend(one_history(seed).await);
    }
    let count = |end| all.iter().filter(|transaction| transaction.end == end).count();
    let [ok, unknown, refused, failed] = [End::Ok, End::Unknown, End::Refused, End::Failed].map(count);
    let repeated = all.iter().filter(|transaction| !transaction.mark.ends_with(".1")).count();
    println!("{ok} Ok, {unknown} unknown, {refused} refused, {failed} failed; {repeated} ran more than once");
    assert!(ok > all.len() / 2 && refused > 0 && repeated > 0, "too little happened");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_history_has_an_order_on_many_threads() {
    every_history_has_an_order(0).await;
}

#[tokio::test(flavor = "current_thread")]
async fn every_history_has_an_order_on_one_thread() {
    every_history_has_an_order(1_000_000).await;
}
