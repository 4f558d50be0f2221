//! Many tasks move money between a few accounts at once, and the total never changes: several items in one transaction.
//!
//! `cargo run --example bank_transfer --features embedded`

mod common;

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use common::DynamoDb;
use dynalock::{Table, Versioned, transact};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::sleep;

#[derive(Serialize, Deserialize, Versioned)]
struct Account {
    #[dynalock(partition_key)]
    id: String,
    balance: i64,
    #[dynalock(version)]
    version: u64,
}

/// Why a transfer is not made.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("the account has only {0}")]
    Overdrawn(i64),
    #[error(transparent)]
    Store(#[from] dynalock::Error),
}

const TABLE: &str = "dynalock-bank-transfer";
const ACCOUNTS: [&str; 4] = ["alice", "bob", "carol", "dave"];
const EACH: i64 = 100;
const TOTAL: i64 = 4 * EACH;
const TASKS: u32 = 8;
const TIME: Duration = Duration::from_secs(4);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let dynamodb = DynamoDb::chosen()?;
    println!("{TASKS} tasks move money between {} accounts on {}.", ACCOUNTS.len(), dynamodb.describe());
    println!("A reader adds up all accounts, over and over.\n");

    let client = dynamodb.client();
    let accounts = Table::<Account>::new(&client, TABLE);
    accounts.create_table().await?;
    for id in ACCOUNTS {
        accounts.create(&mut Account { id: id.into(), balance: EACH, version: 0 }).await?;
    }

    let counts = Arc::new(Counts::default());
    let end = Instant::now() + TIME;
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        // Each with a client of its own, as if it were another application.
        tasks.spawn(move_money(dynamodb.client(), Arc::clone(&counts), end));
    }
    let watched = watch(&client, &accounts, &counts, end).await;
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    watched?;
    let (_, balances) = all_balances(&client, &accounts).await?;

    println!("\n   {}", counts.summary());
    println!("   {} at the end, {TOTAL} at the beginning", balances.iter().sum::<i64>());
    client.delete_table().table_name(TABLE).send().await?;
    match counts.torn.load(Ordering::Relaxed) + u32::from(balances.iter().sum::<i64>() != TOTAL) {
        0 => Ok(()),
        torn => Err(format!("the total was wrong {torn} times").into()),
    }
}

/// Moves random amounts between random accounts until the time is up.
async fn move_money(client: Client, counts: Arc<Counts>, end: Instant) -> Result<(), dynalock::Error> {
    let accounts = Table::<Account>::new(&client, TABLE);
    while Instant::now() < end {
        let from = fastrand::usize(..ACCOUNTS.len());
        let to = (from + fastrand::usize(1..ACCOUNTS.len())) % ACCOUNTS.len();
        let (runs, moved) = transfer(&client, &accounts, (ACCOUNTS[from], ACCOUNTS[to])).await;
        match moved {
            Ok(()) => counts.transfers.add(1),
            Err(Refused::Overdrawn(_)) => counts.refused.add(1),
            Err(Refused::Store(error)) => return Err(error),
        }
        counts.again.add(runs - 1);
        sleep(Duration::from_millis(fastrand::u64(..150))).await;
    }
    Ok(())
}

/// Moves a random amount, and tells how many runs of the closure that took.
async fn transfer(
    client: &Client,
    accounts: &Table<Account>,
    (from, to): (&str, &str),
) -> (u32, Result<(), Refused>) {
    let (mut runs, amount) = (0, fastrand::i64(1..=60));
    let transfer = transact(client, |tx| {
        runs += 1;
        async move {
            let mut from = tx.get(accounts, from).await?.ok_or(dynalock::Error::NotFound)?;
            let mut to = tx.get(accounts, to).await?.ok_or(dynalock::Error::NotFound)?;
            if from.balance < amount {
                return Err(Refused::Overdrawn(from.balance));
            }
            from.balance -= amount;
            to.balance += amount;
            tx.save(accounts, from)?;
            tx.save(accounts, to)?;
            Ok(())
        }
    });
    let moved = transfer.await;
    (runs, moved)
}

/// Reads all accounts as they were at one moment, and tells how many runs of the closure that took.
async fn all_balances(client: &Client, accounts: &Table<Account>) -> dynalock::Result<(u32, Vec<i64>)> {
    let mut runs = 0;
    let balances = transact(client, |tx| {
        runs += 1;
        async move {
            let mut balances = Vec::new();
            for id in ACCOUNTS {
                balances.push(tx.get(accounts, id).await?.ok_or(dynalock::Error::NotFound)?.balance);
            }
            Ok::<_, dynalock::Error>(balances)
        }
    })
    .await?;
    Ok((runs, balances))
}

/// Adds up and shows the accounts until the time is up.
async fn watch(
    client: &Client,
    accounts: &Table<Account>,
    counts: &Counts,
    end: Instant,
) -> dynalock::Result<()> {
    let mut view = View::new();
    while Instant::now() < end {
        let (runs, balances) = all_balances(client, accounts).await?;
        counts.reads.add(1);
        counts.reads_again.add(runs - 1);
        counts.torn.add(u32::from(balances.iter().sum::<i64>() != TOTAL));
        view.show(&balances, counts);
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// What happened so far.
#[derive(Default)]
struct Counts {
    transfers: AtomicU32,
    refused: AtomicU32,
    again: AtomicU32,
    reads: AtomicU32,
    reads_again: AtomicU32,
    torn: AtomicU32,
}

impl Counts {
    fn summary(&self) -> String {
        let Self { transfers, refused, again, reads, reads_again, torn } = self;
        let [transfers, refused, again] = [transfers, refused, again].map(AtomicU32::get);
        let [reads, reads_again, torn] = [reads, reads_again, torn].map(AtomicU32::get);
        format!(
            "{transfers} transfers, {refused} refused for lack of money, {again} times run again after a conflict\n   \
             {reads} readings of all accounts, {reads_again} times run again; the total was wrong in {torn} of them"
        )
    }
}

/// Draws in place on a terminal, and now and then adds a line to anything else.
struct View {
    is_terminal: bool,
    is_drawn: bool,
    next: Instant,
}

impl View {
    fn new() -> Self {
        Self { is_terminal: io::stdout().is_terminal(), is_drawn: false, next: Instant::now() }
    }

    fn show(&mut self, balances: &[i64], counts: &Counts) {
        if Instant::now() < self.next {
            return;
        }
        let every = if self.is_terminal { 50 } else { 500 };
        self.next = Instant::now() + Duration::from_millis(every);
        let shown = if self.is_terminal { self.drawn(balances, counts) } else { line(balances, counts) };
        print!("{shown}");
        let _ = io::stdout().flush(); // a view that can't be shown does no harm to the accounts
    }

    /// A bar for each account, over the bars of the last time.
    fn drawn(&mut self, balances: &[i64], counts: &Counts) -> String {
        let lines = ACCOUNTS.len() + 2;
        let mut text = if self.is_drawn { format!("\x1b[{lines}A") } else { String::new() };
        self.is_drawn = true;
        for (id, balance) in ACCOUNTS.iter().zip(balances) {
            let bar = "█".repeat(usize::try_from(balance / 8).unwrap_or_default());
            let _ = writeln!(text, "   {id:<6} {balance:>4} {bar}\x1b[K");
        }
        let total: i64 = balances.iter().sum();
        let (transfers, again) = (counts.transfers.get(), counts.again.get());
        let _ =
            writeln!(text, "   total  {total:>4}\x1b[K\n   {transfers} transfers, {again} run again\x1b[K");
        text
    }
}

fn line(balances: &[i64], counts: &Counts) -> String {
    let mut text = String::from("   ");
    for (id, balance) in ACCOUNTS.iter().zip(balances) {
        let _ = write!(text, "{id} {balance:>3}  ");
    }
    let total: i64 = balances.iter().sum();
    let (transfers, again) = (counts.transfers.get(), counts.again.get());
    let _ = writeln!(text, "total {total}  {transfers:>4} transfers, {again:>3} run again");
    text
}

trait Count {
    fn add(&self, more: u32);
    fn get(&self) -> u32;
}

impl Count for AtomicU32 {
    fn add(&self, more: u32) {
        self.fetch_add(more, Ordering::Relaxed);
    }

    fn get(&self) -> u32 {
        self.load(Ordering::Relaxed)
    }
}
