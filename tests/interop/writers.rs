//! The tasks that write with dynalock.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use dynalock::{Error, Retry, Table};
use tokio::task::JoinSet;

use crate::account::Account;
use crate::ledger::{Ledger, Write};

/// How a task writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Update,
    Save,
    Replace,
}

/// What the first task does, and so on: mostly `update`.
const WAYS: [Way; 4] = [Way::Update, Way::Save, Way::Update, Way::Replace];

/// Waits little after a conflict, and never gives up.
fn patient() -> Retry {
    let retry = Retry::default().attempts(u32::MAX).deadline(Duration::from_mins(5));
    retry.backoff(Duration::from_millis(2), Duration::from_millis(20))
}

/// Lets a task for each of `writers` write that many times, the items in turn.
pub(crate) async fn hammer(
    client: &Client,
    table: &str,
    items: &[String],
    writers: &[String],
    times: usize,
) -> Result<Ledger, Error> {
    let mut tasks = JoinSet::new();
    // Two share a table, whose updates take turns. The others are as far apart as processes.
    let shared = Table::<Account>::new(client, table).with_retry(patient());
    for (number, writer) in writers.iter().enumerate() {
        let apart = Table::new(client, table).with_retry(patient());
        let accounts = if number % 4 == 2 { shared.clone() } else { apart };
        let mut items = items.to_vec();
        let first = number % items.len();
        items.rotate_left(first);
        let task = Task { accounts, writer: writer.clone(), ledger: Arc::default() };
        tasks.spawn(task.run(WAYS[number % WAYS.len()], items, times));
    }
    let mut all = Ledger::default();
    while let Some(ledger) = tasks.join_next().await {
        all.append(ledger.expect("no task panics")?);
    }
    Ok(all)
}

struct Task {
    accounts: Table<Account>,
    writer: String,
    ledger: Arc<Mutex<Ledger>>,
}

impl Task {
    async fn run(self, way: Way, items: Vec<String>, times: usize) -> Result<Ledger, Error> {
        for id in items.iter().cycle().take(times) {
            match way {
                Way::Update => self.update(id).await?,
                Way::Save | Way::Replace => self.save(id, way).await?,
            }
        }
        Ok(self.note(std::mem::take))
    }

    async fn update(&self, id: &str) -> Result<(), Error> {
        let mut read = Vec::new();
        let update = self.accounts.update(id, |account: &mut Account| {
            read.push(account.seen());
            account.written_by(&self.writer);
        });
        let version = update.await?.version;
        self.note(|ledger| {
            // The closure ran once more for each conflict.
            let refused = &read[..read.len() - 1];
            ledger.refused.extend(refused.iter().map(|seen| self.wrote(id, seen.version + 1)));
            ledger.read.append(&mut read);
            ledger.wrote.push(self.wrote(id, version));
        });
        Ok(())
    }

    /// The loop by hand.
    async fn save(&self, id: &str, way: Way) -> Result<(), Error> {
        loop {
            let mut account = self.accounts.get(id).await?.ok_or(Error::NotFound)?;
            self.note(|ledger| ledger.read.push(account.seen()));
            account.written_by(&self.writer);
            let written = match way {
                Way::Replace => self.accounts.replace(&mut account).await,
                Way::Update | Way::Save => self.accounts.save(&mut account).await,
            };
            match written {
                Ok(()) => {
                    self.note(|ledger| ledger.wrote.push(self.wrote(id, account.version)));
                    return Ok(());
                }
                Err(Error::Conflict(conflict)) => {
                    self.note(|ledger| ledger.refused.push(self.wrote(id, conflict.expected() + 1)));
                    tokio::time::sleep(Duration::from_millis(fastrand::u64(..5))).await;
                }
                Err(other) => return Err(other),
            }
        }
    }

    fn wrote(&self, id: &str, version: u64) -> Write {
        Write { id: id.to_owned(), version, writer: self.writer.clone() }
    }

    fn note<R>(&self, note: impl FnOnce(&mut Ledger) -> R) -> R {
        note(&mut self.ledger.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
