//! Money moves between accounts, and nobody ever sees more or less of it.
//!
//! Deposits come from outside. Each account keeps count of its own, so that all money without the deposits is the same at
//! every moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use dynalock::{Error, Retry, Table, Versioned, transact};
use dynalock_tests::engines::{self, table_name};
use fastrand::Rng;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::accounts::Refused;

const ACCOUNTS: usize = 8;
const EACH: i64 = 100;
const TASKS: u64 = 32;
const TRANSFERS: u32 = 2;

#[derive(Debug, Clone, Serialize, Deserialize, Versioned)]
struct Account {
    #[dynalock(partition_key)]
    number: usize,
    balance: i64,
    /// The part of the balance that came from outside.
    deposits: i64,
    #[dynalock(version)]
    version: u64,
}

/// Every task has a bank of its own, as if it were another application.
struct Bank {
    client: Client,
    accounts: Table<Account>,
    dice: Rng,
}

/// Waits little, but never gives up.
fn patient() -> Retry {
    let retry = Retry::default().attempts(u32::MAX).deadline(Duration::from_mins(5));
    retry.backoff(Duration::from_millis(10), Duration::from_millis(400))
}

impl Bank {
    async fn open() -> Self {
        let client = engines::client().await;
        let accounts = Table::new(&client, table_name());
        accounts.create_table().await.unwrap();
        for number in 0..ACCOUNTS {
            accounts.create(&mut Account { number, balance: EACH, deposits: 0, version: 0 }).await.unwrap();
        }
        Self { client, accounts, dice: Rng::with_seed(0) }
    }

    fn branch(&self, seed: u64) -> Self {
        let accounts = Table::new(&self.client, self.accounts.name()).with_retry(patient());
        Self { client: self.client.clone(), accounts, dice: Rng::with_seed(seed) }
    }

    /// Moves as much as it draws between two accounts that it draws, unless that is too much.
    async fn transfer(&mut self, moved: &mut [i64; ACCOUNTS]) {
        let (from, amount) = (self.dice.usize(..ACCOUNTS), self.dice.i64(1..=EACH));
        let to = (from + self.dice.usize(1..ACCOUNTS)) % ACCOUNTS;
        let accounts = &self.accounts;
        let transfer = transact(&self.client, async |tx| {
            let mut giver = tx.get(accounts, from).await?.ok_or(Refused::NoAccount)?;
            let mut taker = tx.get(accounts, to).await?.ok_or(Refused::NoAccount)?;
            if giver.balance < amount {
                return Err(Refused::Overdrawn);
            }
            giver.balance -= amount;
            taker.balance += amount;
            tx.save(accounts, giver)?;
            tx.save(accounts, taker)?;
            Ok(())
        });
        match transfer.retry(patient()).await {
            Ok(()) => {
                moved[from] -= amount;
                moved[to] += amount;
            }
            Err(Refused::Overdrawn) => {}
            Err(refused) => panic!("{refused:?}"),
        }
    }

    /// Writes past every transaction: more money for one account, and a new version without a change for another.
    async fn deposit_and_touch(&mut self, deposited: &mut [i64; ACCOUNTS]) {
        let (number, amount) = (self.dice.usize(..ACCOUNTS), self.dice.i64(1..10));
        let deposit = |account: &mut Account| {
            account.balance += amount;
            account.deposits += amount;
        };
        self.accounts.update(number, deposit).await.unwrap();
        deposited[number] += amount;
        let mut touched = self.accounts.get(self.dice.usize(..ACCOUNTS)).await.unwrap().unwrap();
        match self.accounts.touch(&mut touched).await {
            Ok(()) | Err(Error::Conflict(_)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }

    /// All accounts at one moment.
    async fn all(&self) -> Vec<Account> {
        let accounts = &self.accounts;
        let read = transact(&self.client, async |tx| {
            let mut all = Vec::new();
            for number in 0..ACCOUNTS {
                all.push(tx.get(accounts, number).await?.expect("an account"));
                tokio::task::yield_now().await;
            }
            Ok::<_, Error>(all)
        });
        read.retry(patient()).await.unwrap()
    }
}

fn assert_is_sound(accounts: &[Account]) {
    let own: i64 = accounts.iter().map(|account| account.balance - account.deposits).sum();
    assert_eq!(own, EACH * i64::try_from(ACCOUNTS).unwrap(), "torn: {accounts:?}");
    assert!(accounts.iter().all(|account| account.balance >= 0), "overdrawn: {accounts:?}");
}

async fn the_bank_stays_sound() {
    let bank = Bank::open().await;
    let done = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let mut bank = bank.branch(task);
        tasks.spawn(async move {
            let (mut moved, mut deposited) = ([0; ACCOUNTS], [0; ACCOUNTS]);
            for _ in 0..TRANSFERS {
                bank.transfer(&mut moved).await;
                if task % 4 == 0 {
                    bank.deposit_and_touch(&mut deposited).await;
                }
            }
            (moved, deposited)
        });
    }
    let mut readers = JoinSet::new();
    for reader in 0..4 {
        let (bank, done) = (bank.branch(TASKS + reader), Arc::clone(&done));
        readers.spawn(async move {
            while !done.load(Ordering::Relaxed) {
                assert_is_sound(&bank.all().await);
            }
        });
    }
    let written = tasks.join_all().await;
    done.store(true, Ordering::Relaxed);
    readers.join_all().await;
    let accounts = bank.all().await;
    assert_is_sound(&accounts);
    for account in accounts {
        let number = account.number;
        let moved: i64 = written.iter().map(|(moved, _)| moved[number]).sum();
        let deposited: i64 = written.iter().map(|(_, deposited)| deposited[number]).sum();
        assert_eq!((account.balance, account.deposits), (EACH + moved + deposited, deposited), "{number}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_money_appears_or_vanishes_on_many_threads() {
    the_bank_stays_sound().await;
}

#[tokio::test(flavor = "current_thread")]
async fn no_money_appears_or_vanishes_on_one_thread() {
    the_bank_stays_sound().await;
}
