//! One account that many tasks change through toasty: `toasty-peer <url> <save|update> <tasks> <seconds>`.
//!
//! Tells when it is ready, begins at the first line of its input, and ends with the `Tally` of its work, as JSON.

#[path = "../../../src/backoff.rs"]
mod backoff;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{Write, stdin, stdout};
use std::time::Duration;

use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, Region};
use serde::Serialize;
use toasty::Db;
use toasty_driver_dynamodb::DynamoDb;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::backoff::{Backoff, Limits};

type Failure = Box<dyn Error + Send + Sync>;

const KEY: &str = "alice";

#[derive(Debug, toasty::Model)]
#[table = "accounts"]
struct Account {
    #[key]
    id: String,
    balance: i64,
    #[version]
    version: u64,
}

/// What the benchmark's own `Tally` holds.
#[derive(Debug, Default, Serialize)]
struct Tally {
    seconds: f64,
    in_time: u64,
    added: u64,
    most: u64,
    gave_up: u64,
    /// How many callers waited so many microseconds.
    waits: BTreeMap<u64, u64>,
}

impl Tally {
    fn beside(&mut self, other: &Self) {
        self.seconds = self.seconds.max(other.seconds);
        self.in_time += other.in_time;
        self.added += other.added;
        self.most = self.most.max(other.most);
        self.gave_up += other.gave_up;
        for (micros, count) in &other.waits {
            *self.waits.entry(*micros).or_default() += count;
        }
    }
}

/// What a task does again and again.
#[derive(Debug)]
enum Job {
    /// Changes the account that it read once, and saves it. Nobody else does.
    Save(Account),
    /// Reads the account, changes and saves it; on a conflict again.
    Update,
}

impl Job {
    /// Adds 1 to the balance; `false` if others were faster each time.
    async fn add(&mut self, db: &mut Db) -> Result<bool, Failure> {
        match self {
            Self::Save(account) => {
                let balance = account.balance + 1;
                account.update().balance(balance).exec(db).await?;
                Ok(true)
            }
            Self::Update => update(db).await,
        }
    }
}

/// The loop, which toasty leaves to the caller, with the delays of the benchmark's other peers.
async fn update(db: &mut Db) -> Result<bool, Failure> {
    let mut backoff = Backoff::new(Limits::USUAL);
    loop {
        let mut account = Account::get_by_id(db, KEY).await?;
        let balance = account.balance + 1;
        match account.update().balance(balance).exec(db).await {
            Ok(()) => return Ok(true),
            Err(error) if error.is_condition_failed() => {}
            Err(error) => return Err(error.into()),
        }
        if !backoff.wait().await {
            return Ok(false);
        }
    }
}

async fn work(mut db: Db, mut job: Job, end: Instant) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    loop {
        let began = Instant::now();
        if job.add(&mut db).await? {
            let now = Instant::now();
            tally.added += 1;
            tally.in_time += u64::from(now <= end);
            let micros = u64::try_from((now - began).as_micros())?;
            *tally.waits.entry(micros).or_default() += 1;
        } else {
            tally.gave_up += 1;
        }
        if Instant::now() >= end {
            tally.most = tally.added;
            return Ok(tally);
        }
    }
}

/// A pool with a connection for each task, so that none waits for another one's.
async fn connect(url: &str, tasks: usize) -> Result<Db, Failure> {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("benches", "benches", None, None, "benches"))
        .endpoint_url(url)
        .build();
    let driver =
        DynamoDb::new("dynamodb://localhost".to_owned(), aws_sdk_dynamodb::Client::from_conf(config));
    Ok(Db::builder().models(toasty::models!(Account)).max_pool_size(tasks).build(driver).await?)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, job, tasks, seconds] = &arguments[..] else { return Err("not four arguments".into()) };
    let tasks = tasks.parse()?;
    let mut db = connect(url, tasks).await?;
    let mut jobs = Vec::new();
    for _ in 0..tasks {
        let account = Account::get_by_id(&mut db, KEY).await?;
        jobs.push(if job == "save" { Job::Save(account) } else { Job::Update });
    }
    println!("ready");
    stdout().flush()?;
    stdin().read_line(&mut String::new())?;

    let time = Duration::from_secs(seconds.parse()?);
    let end = Instant::now() + time;
    let mut crowd: JoinSet<_> = jobs.into_iter().map(|job| work(db.clone(), job, end)).collect();
    let mut all = Tally { seconds: time.as_secs_f64(), ..Tally::default() };
    while let Some(tally) = crowd.join_next().await {
        all.beside(&tally??);
    }
    println!("{}", serde_json::to_string(&all)?);
    Ok(())
}
