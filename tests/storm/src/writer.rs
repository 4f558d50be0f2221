//! A writer: a process that uses dynalock as applications do, and logs what it asks and what it is answered.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{retry::RetryConfig, timeout::TimeoutConfig};
use dynalock::{Deleted, Error, Retry, Table, Transaction, UnknownOutcome, transact};
use dynalock_tests::engines::Store;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::entry::{Entry, TABLE, Use, generation};
use crate::log::{Answer, Call, Kind, Log, Record, Seen};
use crate::process::on_end_of_input;
use crate::{Failure, naive};

const TASKS: u64 = 12;
const MAX_STEPS: u32 = 100_000;
const MAX_HELD: usize = 8;
/// After the end of the storm. The calls' own deadlines are shorter.
pub(crate) const GRACE: Duration = Duration::from_secs(20);

/// What a writer is started with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Setting {
    pub(crate) url: String,
    pub(crate) log: PathBuf,
    pub(crate) writer: u64,
    /// How often it was started before.
    pub(crate) life: u64,
    pub(crate) seed: u64,
    /// When the storm began, in milliseconds since 1970.
    pub(crate) began: u64,
    pub(crate) last_generation: u64,
    /// Seconds after which it ends, whatever happens.
    pub(crate) longest: u64,
    pub(crate) naive: bool,
}

/// What the tasks share.
pub(crate) struct Writer {
    setting: Setting,
    log: Log,
    calls: AtomicU64,
    pub(crate) client: Client,
    pub(crate) plain: Table<Entry>,
    coalescing: Table<Entry>,
    retry: Retry,
    stop: Arc<AtomicBool>,
}

/// The role.
pub(crate) fn run(setting: Setting) -> Result<(), Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    on_end_of_input(Duration::from_secs(setting.longest), GRACE, move || {
        stopped.store(true, Ordering::SeqCst);
    });
    println!("ready");
    let mut dice = fastrand::Rng::with_seed(setting.seed ^ (setting.writer << 32) ^ (setting.life << 40));
    let threads = dice.usize(1..=2);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    let writer = Arc::new(Writer::new(setting, stop, &mut dice)?);
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for _ in 0..TASKS {
            let task = Task { writer: Arc::clone(&writer), dice: dice.fork(), held: Vec::new() };
            tasks.spawn(task.work());
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok(())
    })
}

impl Writer {
    /// Each with a configuration of its own, as applications differ.
    fn new(setting: Setting, stop: Arc<AtomicBool>, dice: &mut fastrand::Rng) -> Result<Self, Failure> {
        let mode = if dice.u8(0..4) == 0 { RetryConfig::adaptive() } else { RetryConfig::standard() };
        let attempts = [1, 3, 4, 10][dice.usize(0..4)];
        let first = Duration::from_millis([25, 50, 1_000][dice.usize(0..3)]);
        let mut config = Store::at(&setting.url)
            .config()
            .retry_config(mode.with_max_attempts(attempts).with_initial_backoff(first));
        // A loop by hand has no deadline of its own.
        if setting.naive || dice.bool() {
            let short = Duration::from_millis(dice.u64(200..1_000));
            config = config.timeout_config(TimeoutConfig::builder().operation_attempt_timeout(short).build());
        }
        let client = Client::from_conf(config.build());
        let deadline = Duration::from_millis(dice.u64(1_000..8_000));
        let mut retry = Retry::default().deadline(deadline);
        if dice.u8(0..4) > 0 {
            retry = retry.attempt_timeout(Duration::from_millis(dice.u64(150..1_500)));
        }
        let table = || Table::new(&client, TABLE).with_retry(retry);
        let (plain, coalescing) = (table(), table().coalescing());
        let log = Log::open(&setting.log)?;
        Ok(Self { setting, log, calls: AtomicU64::new(0), client, plain, coalescing, retry, stop })
    }

    /// The id of another call.
    pub(crate) fn next_id(&self) -> String {
        let Setting { writer, life, .. } = self.setting;
        format!("{writer}.{life}.{}", self.calls.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn generation(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let age = now.saturating_sub(Duration::from_millis(self.setting.began));
        generation(age.as_secs()).min(self.setting.last_generation)
    }

    /// Makes a call between its two lines in the log.
    pub(crate) async fn logged(&self, call: &Call, act: impl Future<Output = Answer>) -> Result<(), Failure> {
        self.log.write(&Record::Begin(call.clone()))?;
        let answer = act.await;
        Ok(self.log.write(&Record::End { id: call.id.clone(), answer })?)
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Get,
    Create,
    Update,
    TryUpdate,
    UpdateOrCreate,
    Save,
    Replace,
    Touch,
    Delete,
    Transact,
    Commit,
    Audit,
}

impl Step {
    /// What is done with such a key, the frequent more often.
    fn choices(purpose: Use) -> &'static [Self] {
        use Step::{
            Audit, Commit, Create, Delete, Get, Replace, Save, Touch, Transact, TryUpdate, Update,
            UpdateOrCreate,
        };
        match purpose {
            Use::Tally => &[
                Get,
                Get,
                Create,
                Update,
                Update,
                Update,
                TryUpdate,
                UpdateOrCreate,
                UpdateOrCreate,
                Save,
                Save,
                Replace,
                Touch,
            ],
            Use::Account => {
                &[Get, Update, Save, Transact, Transact, Transact, Transact, Commit, Commit, Audit]
            }
            Use::Ticket => &[
                Get,
                Get,
                Create,
                Create,
                Create,
                Update,
                Update,
                TryUpdate,
                UpdateOrCreate,
                Save,
                Save,
                Replace,
                Touch,
                Delete,
                Delete,
                Delete,
            ],
        }
    }

    fn takes_an_object(self) -> bool {
        matches!(self, Self::Save | Self::Replace | Self::Touch | Self::Delete)
    }

    fn kind(self) -> Kind {
        match self {
            Self::Get => Kind::Get,
            Self::Create => Kind::Create,
            Self::Update | Self::TryUpdate | Self::UpdateOrCreate => Kind::Update,
            Self::Save | Self::Replace => Kind::Save,
            Self::Touch => Kind::Touch,
            Self::Delete => Kind::Delete,
            Self::Transact | Self::Commit => Kind::Transfer,
            Self::Audit => Kind::Audit,
        }
    }
}

/// Why there was no `Ok`.
enum Failed {
    /// By the closure.
    Declined,
    Store(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// One of the tasks of a writer.
struct Task {
    writer: Arc<Writer>,
    dice: fastrand::Rng,
    /// Objects from earlier calls, fresh and stale.
    held: Vec<Entry>,
}

impl Task {
    async fn work(mut self) -> Result<(), Failure> {
        for _ in 0..MAX_STEPS {
            if self.writer.stop.load(Ordering::SeqCst) {
                break;
            }
            if self.writer.setting.naive {
                naive::step(&self.writer, &mut self.dice).await?;
            } else {
                self.step().await?;
            }
        }
        Ok(())
    }

    /// Makes some call, and often a read before it.
    async fn step(&mut self) -> Result<(), Failure> {
        let purpose = [Use::Tally, Use::Tally, Use::Account, Use::Ticket, Use::Ticket][self.dice.usize(0..5)];
        let step = Step::choices(purpose)[self.dice.usize(0..Step::choices(purpose).len())];
        let mut keys = purpose.keys(self.writer.generation());
        self.dice.shuffle(&mut keys);
        match step.kind() {
            Kind::Audit => {}
            Kind::Transfer => keys.truncate(2),
            _ => keys.truncate(1),
        }
        if !step.takes_an_object() {
            return self.logged(step, keys, None).await;
        }
        if self.dice.u8(0..4) > 0 {
            self.logged(Step::Get, keys, None).await?;
        }
        // What was read last, if there was an item; else something older.
        let Some(place) = self.held.iter().rposition(|entry| Use::of(&entry.key) == purpose) else {
            return Ok(());
        };
        let held = self.held.remove(place);
        self.logged(step, vec![held.key.clone()], Some(held)).await
    }

    async fn logged(&mut self, step: Step, keys: Vec<String>, held: Option<Entry>) -> Result<(), Failure> {
        let writer = Arc::clone(&self.writer);
        let seen = held.as_ref().map(Seen::of);
        let call = Call { id: writer.next_id(), kind: step.kind(), keys, held: seen };
        let patience = (self.dice.u8(0..25) == 0).then(|| Duration::from_millis(self.dice.u64(0..60)));
        let act = Box::pin(self.act(step, &call, held));
        let answer = async {
            match patience {
                // A caller that does not wait for the answer.
                Some(patience) => timeout(patience, act).await.unwrap_or(Answer::Unknown { applied: None }),
                None => act.await,
            }
        };
        writer.logged(&call, answer).await
    }

    async fn act(&mut self, step: Step, call: &Call, held: Option<Entry>) -> Answer {
        let answer = match held {
            Some(held) => self.write(step, call, held).await,
            None => self.call(step, call).await,
        };
        match answer {
            Ok(answer) => answer,
            Err(Failed::Declined) => Answer::Failed { error: "declined".to_owned(), stored: None },
            Err(Failed::Store(error)) => self.failed(error).await,
        }
    }

    /// A call with a key.
    async fn call(&mut self, step: Step, call: &Call) -> Result<Answer, Failed> {
        let Call { id, keys, .. } = call;
        let key = keys.first().map(String::as_str).unwrap_or_default();
        let shares = self.dice.bool();
        let table = if shares { &self.writer.coalescing } else { &self.writer.plain }.clone();
        let mark = |entry: &mut Entry| entry.marks.push(id.clone());
        let entry = match step {
            Step::Create => {
                let mut entry = Entry::new(key, id, 0);
                table.create(&mut entry).await?;
                return Ok(self.keep(entry));
            }
            Step::Update => table.update(key, mark).await?,
            Step::TryUpdate => {
                let declines = self.dice.u8(0..4) == 0;
                let change = |entry: &mut Entry| {
                    mark(entry);
                    if declines { Err(Failed::Declined) } else { Ok(()) }
                };
                table.try_update(key, change).await?
            }
            Step::UpdateOrCreate => {
                let none = || Entry { key: key.to_owned(), marks: Vec::new(), balance: 0, version: 0 };
                table.update_or_create(key, none, mark).await?
            }
            Step::Transact => return self.transact(id, keys).await,
            Step::Commit => return self.commit(id, keys).await,
            Step::Audit => return self.audit(keys).await,
            _ => {
                return Ok(match table.get(key).await? {
                    Some(entry) => self.keep(entry),
                    None => Answer::NoItem,
                });
            }
        };
        let seen = if shares { Seen::inexact(&entry) } else { Seen::of(&entry) };
        self.keep(entry);
        Ok(Answer::Ok(vec![seen]))
    }

    /// A call with an object.
    async fn write(&mut self, step: Step, call: &Call, held: Entry) -> Result<Answer, Failed> {
        let table = self.writer.plain.clone();
        let mut entry = held.clone();
        if call.kind.marks() {
            entry.marks.push(call.id.clone());
        }
        let written = match step {
            Step::Save => table.save(&mut entry).await,
            Step::Replace => table.replace(&mut entry).await,
            Step::Touch => table.touch(&mut entry).await,
            _ => {
                let deleted = table.delete(&entry).await;
                // Somebody who has not heard of it yet.
                self.keep(held);
                let deleted = deleted?;
                return Ok(if deleted == Deleted::Now { Answer::Deleted } else { Answer::NoItem });
            }
        };
        if let Err(error) = written {
            if self.dice.bool() {
                self.keep(held);
            }
            return Err(error.into());
        }
        Ok(self.keep(entry))
    }

    /// Moves money from the first to the second.
    async fn transact(&mut self, id: &str, keys: &[String]) -> Result<Answer, Failed> {
        let (table, amount) = (&self.writer.plain, self.dice.i64(1..5));
        let moved = transact(&self.writer.client, move |tx| async move {
            let mut moved = Vec::new();
            for (key, amount) in keys.iter().zip([-amount, amount]) {
                let mut entry = tx.get(table, key.as_str()).await?.ok_or(Error::NotFound)?;
                entry.balance += amount;
                entry.marks.push(id.to_owned());
                tx.save(table, entry.clone())?;
                moved.push(Seen::inexact(&entry));
            }
            Ok::<_, Error>(moved)
        });
        Ok(Answer::Ok(moved.retry(self.writer.retry).await?))
    }

    /// The same, by reads and a `Transaction`.
    async fn commit(&mut self, id: &str, keys: &[String]) -> Result<Answer, Failed> {
        let (table, amount) = (&self.writer.plain, self.dice.i64(1..5));
        let mut entries = Vec::new();
        for (key, amount) in keys.iter().zip([-amount, amount]) {
            let mut entry = table.get(key.as_str()).await?.ok_or(Error::NotFound)?;
            entry.balance += amount;
            entry.marks.push(id.to_owned());
            entries.push(entry);
        }
        let transaction = Transaction::new(&self.writer.client).retry(self.writer.retry);
        entries
            .iter_mut()
            .fold(transaction, |transaction, entry| transaction.save(table, entry))
            .commit()
            .await?;
        Ok(Answer::Ok(entries.iter().map(Seen::of).collect()))
    }

    async fn audit(&mut self, keys: &[String]) -> Result<Answer, Failed> {
        let table = &self.writer.plain;
        let total = transact(&self.writer.client, move |tx| async move {
            let mut total = 0;
            for key in keys {
                total += tx.get(table, key.as_str()).await?.ok_or(Error::NotFound)?.balance;
            }
            Ok::<_, Error>(total)
        });
        Ok(Answer::Total(total.retry(self.writer.retry).await?))
    }

    /// Remembers an object to write it later.
    fn keep(&mut self, entry: Entry) -> Answer {
        let seen = Seen::of(&entry);
        if self.held.len() == MAX_HELD {
            let place = self.dice.usize(0..MAX_HELD);
            self.held.remove(place);
        }
        self.held.push(entry);
        Answer::Ok(vec![seen])
    }

    async fn failed(&self, error: Error) -> Answer {
        match &error {
            Error::OutcomeUnknown(unknown) => Answer::Unknown { applied: self.look(unknown).await },
            Error::NotFound => Answer::NoItem,
            Error::Conflict(conflict) | Error::AlreadyExists(conflict) | Error::ConditionFailed(conflict) => {
                let stored = conflict.current::<Entry>().ok();
                Answer::Failed { error: error.to_string(), stored: stored.as_ref().map(Seen::of) }
            }
            _ => Answer::Failed { error: error.to_string(), stored: None },
        }
    }

    /// What the item tells now.
    async fn look(&self, unknown: &UnknownOutcome) -> Option<bool> {
        let read =
            self.writer.client.get_item().table_name(unknown.table()).set_key(Some(unknown.key().clone()));
        let read = read.consistent_read(true).send();
        let item = timeout(Duration::from_secs(2), read).await.ok()?.ok()?.item;
        unknown.was_applied(item.as_ref())
    }
}
