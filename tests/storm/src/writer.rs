//! A writer: a process that uses dynalock as applications do, and logs what it asks and what it is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dynalock::{Deleted, Error, Transaction, UnknownOutcome, transact};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::entry::{Entry, Use};
use crate::log::{Answer, Call, Kind, Seen};
use crate::process::on_end_of_input;
use crate::program::{Program, Setting};
use crate::{Failure, naive};

const TASKS: u64 = 12;
const MAX_STEPS: u32 = 100_000;
const MAX_HELD: usize = 8;
/// After the end of the storm. The calls' own deadlines are shorter.
pub(crate) const GRACE: Duration = Duration::from_secs(20);

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
    let program = Arc::new(Program::new(setting, stop, &mut dice)?);
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for _ in 0..TASKS {
            let task = Task { program: Arc::clone(&program), dice: dice.fork(), held: Vec::new() };
            tasks.spawn(task.work());
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok(())
    })
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
    program: Arc<Program>,
    dice: fastrand::Rng,
    /// Objects from earlier calls, fresh and stale.
    held: Vec<Entry>,
}

impl Task {
    async fn work(mut self) -> Result<(), Failure> {
        for _ in 0..MAX_STEPS {
            if self.program.stop.load(Ordering::SeqCst) {
                break;
            }
            if self.program.setting.naive {
                naive::step(&self.program, &mut self.dice).await?;
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
        let mut keys = purpose.keys(self.program.generation());
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
        let program = Arc::clone(&self.program);
        let seen = held.as_ref().map(Seen::of);
        let call = Call { id: program.next_id(), kind: step.kind(), keys, held: seen };
        let patience = (self.dice.u8(0..25) == 0).then(|| Duration::from_millis(self.dice.u64(0..60)));
        let act = Box::pin(self.act(step, &call, held));
        let answer = async {
            match patience {
                // A caller that does not wait for the answer.
                Some(patience) => timeout(patience, act).await.unwrap_or(Answer::Unknown { applied: None }),
                None => act.await,
            }
        };
        program.logged(&call, answer).await
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
        let table = if shares { &self.program.coalescing } else { &self.program.plain }.clone();
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
        let table = self.program.plain.clone();
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
        let (table, amount) = (&self.program.plain, self.dice.i64(1..5));
        let moved = transact(&self.program.client, move |tx| async move {
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
        Ok(Answer::Ok(moved.retry(self.program.retry).await?))
    }

    /// The same, by reads and a `Transaction`.
    async fn commit(&mut self, id: &str, keys: &[String]) -> Result<Answer, Failed> {
        let (table, amount) = (&self.program.plain, self.dice.i64(1..5));
        let mut entries = Vec::new();
        for (key, amount) in keys.iter().zip([-amount, amount]) {
            let mut entry = table.get(key.as_str()).await?.ok_or(Error::NotFound)?;
            entry.balance += amount;
            entry.marks.push(id.to_owned());
            entries.push(entry);
        }
        let transaction = Transaction::new(&self.program.client).retry(self.program.retry);
        entries
            .iter_mut()
            .fold(transaction, |transaction, entry| transaction.save(table, entry))
            .commit()
            .await?;
        Ok(Answer::Ok(entries.iter().map(Seen::of).collect()))
    }

    async fn audit(&mut self, keys: &[String]) -> Result<Answer, Failed> {
        let table = &self.program.plain;
        let total = transact(&self.program.client, move |tx| async move {
            let mut total = 0;
            for key in keys {
                total += tx.get(table, key.as_str()).await?.ok_or(Error::NotFound)?.balance;
            }
            Ok::<_, Error>(total)
        });
        Ok(Answer::Total(total.retry(self.program.retry).await?))
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
            self.program.client.get_item().table_name(unknown.table()).set_key(Some(unknown.key().clone()));
        let read = read.consistent_read(true).send();
        let item = timeout(Duration::from_secs(2), read).await.ok()?.ok()?.item;
        unknown.was_applied(item.as_ref())
    }
}
