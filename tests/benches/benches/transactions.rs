//! What transactions cost in requests, alone and under contention, beside a loop written by hand.
//!
//! `cargo bench -p dynalock-benches --bench transactions` moves money between accounts, on the embedded engine 4 virtual
//! milliseconds away, and in real time over TCP, where the engine and its callers share the machine, so that the figures vary. It
//! fails unless the accounts add up afterwards and were written as often as was committed. The engine runs one request after the
//! other, so nobody is told of a `TransactionConflict` here.

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValuesOnConditionCheckFailure::AllOld, TransactWriteItem, Update,
};
use dynalock::{Retry, Table, transact};
use dynalock_benches::account::{Account, TABLE, read};
use dynalock_benches::backoff::{Backoff, Limits};
use dynalock_benches::latency::Distant;
use dynalock_benches::{Failure, ended};
use dynalock_tests::{engines::Store, recording::Recording};
use tokio::task::JoinSet;
use tokio::time::Instant;

const ACCOUNTS: [&str; 4] = ["alice", "bob", "carol", "dave"];
const EACH: i64 = 1000;
const TOTAL: i64 = 4 * EACH;
const TASKS: u64 = 16;
const MILLISECONDS: u64 = 4;
const VIRTUAL: Duration = Duration::from_secs(30);
const REAL: Duration = Duration::from_secs(5);

/// The back-off of both sides, as often and as long as it takes.
const PATIENT: Limits = Limits { attempts: u32::MAX, deadline: Duration::from_hours(1), ..Limits::USUAL };

fn main() -> ExitCode {
    ended(compare())
}

fn compare() -> Result<(), Failure> {
    let far = || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let near = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    println!("transact of 2 accounts, undisturbed: {}\n", far()?.block_on(undisturbed())?);

    println!("{TASKS} tasks on {} accounts", ACCOUNTS.len());
    println!("{:<20} {:<9} {:>10} {:>16} {:>11}", "", "", "commits/s", "requests/commit", "slowest");
    for side in [Side::Hand, Side::Dynalock] {
        let place = format!("{MILLISECONDS} ms away");
        far()?.block_on(contended(side, &Store::memory(), MILLISECONDS, VIRTUAL))?.show(&place, side);
    }
    for side in [Side::Hand, Side::Dynalock] {
        near()?.block_on(contended(side, &Store::tcp(), 0, REAL))?.show("TCP, in real time", side);
    }
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum Side {
    Hand,
    Dynalock,
}

/// The requests of one transaction that nobody disturbs.
async fn undisturbed() -> Result<String, Failure> {
    let store = Store::memory();
    let recording = Recording::default();
    let client = store.client_through(&recording);
    let accounts = bank(&client).await?;
    drop(recording.take());
    transfer(&client, &accounts, "alice", "bob").await?;
    let sent = recording.operations();
    if sent != ["GetItem", "GetItem", "TransactWriteItems"] {
        return Err(format!("it should send 2 GetItem and 1 TransactWriteItems, not {sent:?}").into());
    }
    Ok(sent.join(", "))
}

/// What came of many transfers at once.
struct Outcome {
    commits: u32,
    requests: u64,
    took: Duration,
    slowest: Duration,
}

impl Outcome {
    fn show(&self, place: &str, side: Side) {
        let side = match side {
            Side::Hand => "by hand",
            Side::Dynalock => "dynalock",
        };
        let commits = f64::from(self.commits);
        #[allow(clippy::cast_precision_loss)] // some thousands
        let (rate, requests) = (commits / self.took.as_secs_f64(), self.requests as f64 / commits);
        println!("{place:<20} {side:<9} {rate:>10.0} {requests:>16.1} {:>8} ms", self.slowest.as_millis());
    }
}

/// Lets all tasks move money for a while, and checks the accounts afterwards.
async fn contended(side: Side, store: &Store, milliseconds: u64, time: Duration) -> Result<Outcome, Failure> {
    let distant = Distant::new(milliseconds..=milliseconds);
    let client = store.client_through(&distant);
    bank(&client).await?;
    let before = distant.traffic();
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for seed in 0..TASKS {
        tasks.spawn(work(side, client.clone(), seed, began + time));
    }
    let (mut commits, mut slowest) = (0, Duration::ZERO);
    while let Some(task) = tasks.join_next().await {
        let (done, longest) = task??;
        commits += done;
        slowest = slowest.max(longest);
    }
    let (took, requests) = (began.elapsed(), (distant.traffic() - before).requests);
    let stored = Table::<Account>::new(&client, TABLE).get_many(ACCOUNTS).await?;
    let total: i64 = stored.iter().flatten().map(|account| account.balance).sum();
    let writes: u64 = stored.iter().flatten().map(|account| account.version - 1).sum();
    if (total, writes) != (TOTAL, 2 * u64::from(commits)) {
        return Err(
            format!("{commits} commits by {side:?} left {total} of {TOTAL}, in {writes} writes").into()
        );
    }
    Ok(Outcome { commits, requests, took, slowest })
}

/// Moves money between two accounts at a time; returns how often, and how long that took at worst.
async fn work(side: Side, client: Client, seed: u64, end: Instant) -> Result<(u32, Duration), Failure> {
    let accounts = Table::<Account>::new(&client, TABLE);
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut commits, mut longest) = (0, Duration::ZERO);
    while Instant::now() < end {
        let from = random.usize(..ACCOUNTS.len());
        let to = (from + random.usize(1..ACCOUNTS.len())) % ACCOUNTS.len();
        let (from, to, began) = (ACCOUNTS[from], ACCOUNTS[to], Instant::now());
        match side {
            Side::Hand => transfer_by_hand(&client, from, to).await?,
            Side::Dynalock => transfer(&client, &accounts, from, to).await?,
        }
        commits += 1;
        longest = longest.max(began.elapsed());
    }
    Ok((commits, longest))
}

async fn bank(client: &Client) -> Result<Table<Account>, Failure> {
    let accounts = Table::<Account>::new(client, TABLE);
    accounts.create_table().await?;
    for id in ACCOUNTS {
        accounts.create(&mut Account::new(id, EACH)).await?;
    }
    Ok(accounts)
}

async fn transfer(client: &Client, accounts: &Table<Account>, from: &str, to: &str) -> dynalock::Result<()> {
    let transfer = transact(client, move |tx| async move {
        let mut from = tx.get(accounts, from).await?.ok_or(dynalock::Error::NotFound)?;
        let mut to = tx.get(accounts, to).await?.ok_or(dynalock::Error::NotFound)?;
        from.balance -= 1;
        to.balance += 1;
        tx.save(accounts, from)?;
        tx.save(accounts, to)
    });
    let Limits { first, max, attempts, deadline } = PATIENT;
    transfer.retry(Retry::default().backoff(first, max).attempts(attempts).deadline(deadline)).await
}

/// The loop that one writes without dynalock.
async fn transfer_by_hand(client: &Client, from: &str, to: &str) -> Result<(), Failure> {
    let mut backoff = Backoff::new(PATIENT);
    loop {
        let (mut from, mut to) = (read(client, from).await?, read(client, to).await?);
        from.balance -= 1;
        to.balance += 1;
        let writes = [update(&from)?, update(&to)?];
        let request = client.transact_write_items().set_transact_items(Some(writes.into()));
        match request.send().await.map_err(aws_sdk_dynamodb::Error::from) {
            Ok(_) => return Ok(()),
            Err(aws_sdk_dynamodb::Error::TransactionCanceledException(_)) => {}
            Err(error) => return Err(error.into()),
        }
        if !backoff.wait().await {
            return Err("the others were faster for an hour".into());
        }
    }
}

fn update(account: &Account) -> Result<TransactWriteItem, Failure> {
    let number = |number: String| AttributeValue::N(number);
    let values = HashMap::from([
        (":balance".to_owned(), number(account.balance.to_string())),
        (":expected".to_owned(), number(account.version.to_string())),
        (":next".to_owned(), number((account.version + 1).to_string())),
    ]);
    let update = Update::builder()
        .table_name(TABLE)
        .key("id", AttributeValue::S(account.id.clone()))
        .update_expression("SET balance = :balance, version = :next")
        .condition_expression("version = :expected")
        .set_expression_attribute_values(Some(values))
        .return_values_on_condition_check_failure(AllOld)
        .build()?;
    Ok(TransactWriteItem::builder().update(update).build())
}
