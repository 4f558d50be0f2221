//! Callers that wait for the same item: they take turns, hand on what they know of it, and may share a write.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use crate::attempts::Attempts;
use crate::call::Tally;
use crate::condition::Condition;
use crate::draft::Draft;
use crate::error::{Error, Result, Unknown};
use crate::item::Item;
use crate::key::KeyId;
use crate::lock::lock;
use crate::retry::{Budget, IMMEDIATE, Retry};
use crate::schema::Schema;
use crate::send::Single;
use crate::target::Target;
use crate::ticket::{Members, Outcome, Status, Ticket};
use crate::write::Intent;

/// How many callers may wait for one item.
const LIMIT: usize = 10_000;

/// The size of a batch with whoever waits.
pub(crate) const ANY_SIZE: usize = usize::MAX;

/// The queues of a table: one for each item that somebody waits for.
#[derive(Default)]
pub(crate) struct Queues {
    /// Whether callers that wait share one write.
    pub(crate) coalesce: bool,
    by_key: Mutex<HashMap<KeyId, Arc<Queue>>>,
}

/// The callers of one item, who are served in the order in which they came.
#[derive(Default)]
struct Queue {
    arrivals: AtomicU64,
    /// How many of them are there. Changes under the lock of the map, which has the queue as long as this is not 0.
    callers: AtomicUsize,
    desk: Arc<tokio::sync::Mutex<Desk>>,
}

/// What the caller whose turn it is finds, and leaves to the next.
#[derive(Default)]
struct Desk {
    batch: Option<Batch>,
    /// A write under way. Its sender holds the desk until the outcome is known, so that anyone else who finds one has to go on
    /// with it.
    flight: Option<Flight>,
}

/// A draft, and the callers whose changes are in it.
pub(crate) struct Batch {
    pub(crate) draft: Draft,
    /// How many callers had come when the item was asked for. For them it is not out of date.
    as_of: u64,
    members: Members,
    /// How many members it may have.
    size: usize,
}

impl Batch {
    fn of(item: Option<Item>, as_of: u64) -> Self {
        Self { draft: Draft::of(item), as_of, members: Members::default(), size: ANY_SIZE }
    }

    /// Whether it is too large already for one who may be in a batch of `size`.
    fn is_full(&self, size: usize) -> bool {
        self.members.len() >= self.size.min(size)
    }
}

/// A write that carries what its members changed.
struct Flight {
    write: Single,
    attempts: Arc<Attempts>,
    /// The item once it went through, where that is known.
    written: Option<Item>,
    as_of: u64,
    members: Members,
}

impl Queues {
    pub(crate) fn coalescing() -> Self {
        Self { coalesce: true, ..Self::default() }
    }

    /// How many items have callers.
    pub(crate) fn len(&self) -> usize {
        lock(&self.by_key).len()
    }

    /// Joins the queue for the item under `key`.
    pub(crate) fn enter<'t>(
        &'t self,
        target: &'t Target,
        schema: &'static Schema,
        key: Item,
        retry: Retry,
    ) -> Result<Place<'t>> {
        // A turn is waited for with a timer.
        target.check_runtime("GetItem").map_err(|failure| Error::Sdk(failure.into()))?;
        let id = KeyId::of(schema, &key);
        let mut by_key = lock(&self.by_key);
        let queue = Arc::clone(by_key.entry(id.clone()).or_default());
        if queue.callers.load(Ordering::Relaxed) >= LIMIT {
            return Err(busy(target, "10,000 calls of this process wait for the same item already"));
        }
        queue.callers.fetch_add(1, Ordering::Relaxed);
        let number = queue.arrivals.fetch_add(1, Ordering::Relaxed);
        let (budget, immediate) = (retry.start(), IMMEDIATE);
        let (queues, desk, ticket) = (self, None, None);
        Ok(Place { queues, id, queue, number, target, schema, key, budget, immediate, desk, ticket })
    }
}

/// One caller's place in a queue. A caller that is gone leaves nothing behind: neither its turn, nor a change that was not
/// sent yet.
pub(crate) struct Place<'t> {
    queues: &'t Queues,
    id: KeyId,
    queue: Arc<Queue>,
    /// How many came before.
    number: u64,
    target: &'t Target,
    schema: &'static Schema,
    key: Item,
    budget: Budget,
    immediate: u32,
    /// While it is this caller's turn.
    desk: Option<OwnedMutexGuard<Desk>>,
    /// While the caller's change is in a write whose outcome is not known.
    ticket: Option<Arc<Ticket>>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // Before the next one comes to the desk and looks who still waits.
        if let Some(ticket) = self.ticket.take() {
            ticket.withdraw();
        }
        self.desk = None;
        let mut by_key = lock(&self.queues.by_key);
        if self.queue.callers.fetch_sub(1, Ordering::Relaxed) == 1 {
            by_key.remove(&self.id);
        }
    }
}

impl Place<'_> {
    pub(crate) fn key(&self) -> &Item {
        &self.key
    }

    pub(crate) fn tally(&mut self) -> Tally {
        *self.budget.tally()
    }

    /// What the caller begins with, who may be in a batch of `size`: the item, with the changes of those before it that are
    /// not sent yet. Reads the item only where nothing is known of it.
    pub(crate) async fn begin(&mut self, size: usize) -> Result<Batch> {
        let mut desk = match self.desk.take() {
            Some(desk) => desk,
            None => self.turn().await?,
        };
        if desk.flight.as_ref().is_some_and(|flight| !flight.members.are_awaited()) {
            desk.flight = None;
        }
        if desk.flight.is_some() || desk.batch.as_ref().is_some_and(|batch| batch.is_full(size)) {
            // Others came first, and get their own answers.
            desk = match self.send(desk, None).await {
                (desk, Err(error)) if desk.flight.is_some() => return Err(not_sent(error)),
                (desk, _) => desk,
            };
        }
        let mut batch = match desk.batch.take() {
            Some(batch) => batch,
            None => {
                let as_of = self.arrivals();
                let item = self.target.read(&self.key, true, &mut self.budget).await?;
                Batch::of(item, as_of)
            }
        };
        batch.draft.is_shared = self.queues.coalesce || self.others_wait();
        self.desk = Some(desk);
        Ok(batch)
    }

    /// Whether the item was stored so at some moment since the call began, so that an answer may rest on it.
    pub(crate) fn is_sure(&self, batch: &Batch) -> bool {
        self.number < batch.as_of && !batch.draft.is_changed()
    }

    /// Leaves everything as it was found.
    pub(crate) fn leave(&mut self, batch: Batch) {
        if let Some(desk) = self.desk.as_mut().filter(|_| batch.draft.is_shared) {
            desk.batch = Some(batch);
        }
    }

    /// Adds the caller, who has made its change and may be in a batch of `size`, and lets others add theirs if there is room.
    pub(crate) fn join(&mut self, mut batch: Batch, size: usize) {
        self.ticket = Some(batch.members.add());
        batch.size = batch.size.min(size);
        let is_full = batch.is_full(size);
        if let Some(desk) = &mut self.desk {
            desk.batch = Some(batch);
        }
        if !is_full {
            self.pass();
        }
    }

    /// Lets all those go first who wait.
    pub(crate) fn pass(&mut self) {
        self.desk = None;
    }

    /// What became of the caller's change. Whoever comes round again before it is sent, sends it.
    pub(crate) async fn outcome(&mut self, extra: Option<&Condition>) -> Result<Outcome> {
        // Without a change in a write there is nothing that could have been applied.
        let Some(ticket) = self.ticket.clone() else { return Ok(Outcome::Again) };
        loop {
            let desk = match (ticket.status(), self.desk.take()) {
                (Status::Lost(write, failure), _) => {
                    return Err(self.lost(write, failure.map(|failure| Error::Sdk(failure.into()))));
                }
                (Status::Refused(failure), _) => return Err(Error::Sdk(failure.into())),
                (Status::Done(outcome), desk) => {
                    if let Outcome::Applied { batch, .. } = outcome {
                        self.budget.tally().batch = batch;
                    }
                    (self.ticket, self.desk) = (None, desk);
                    return Ok(outcome);
                }
                (_, Some(desk)) => desk,
                (_, None) => {
                    self.desk = match self.turn_or_answer(&ticket).await {
                        None => None,
                        Some(Ok(desk)) => Some(desk),
                        Some(Err(late)) => match ticket.withdraw() {
                            Status::Sent(write) => return Err(self.lost(write, Some(late))),
                            Status::Done(_) | Status::Refused(_) | Status::Lost(..) => None,
                            Status::Drafted | Status::Withdrawn => return Err(late),
                        },
                    };
                    continue;
                }
            };
            let (desk, sent) = self.send(desk, extra).await;
            self.desk = Some(desk);
            sent?;
        }
    }

    /// Waits for the caller's turn, or until there is an answer that needs none.
    async fn turn_or_answer(&mut self, ticket: &Ticket) -> Option<Result<OwnedMutexGuard<Desk>>> {
        let mut answered = pin!(ticket.answered());
        let mut turn = pin!(self.turn());
        poll_fn(|context| match answered.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => turn.as_mut().poll(context).map(Some),
        })
        .await
    }

    /// Waits for the caller's turn. Those who wait are served first, also before one that comes back.
    async fn turn(&mut self) -> Result<OwnedMutexGuard<Desk>> {
        let desk = &self.queue.desk;
        if let Ok(desk) = Arc::clone(desk).try_lock_owned() {
            return Ok(desk);
        }
        let (since, deadline) = (Instant::now(), self.budget.deadline());
        let turn = tokio::time::timeout_at(deadline, Arc::clone(desk).lock_owned()).await;
        self.budget.tally().queue_wait += since.elapsed();
        // What is sent at the last moment is given up before it can be answered.
        turn.ok().filter(|_| Instant::now() < deadline).ok_or_else(|| {
            self.budget.out_of_time(busy(
                self.target,
                "other calls of this process for the same item took until the deadline",
            ))
        })
    }

    /// Sends what is to be sent until its outcome is known, and tells the members. The error is for the caller alone: that
    /// of a write that was only its own, or that of a write which it can send no more.
    async fn send(
        &mut self,
        mut desk: OwnedMutexGuard<Desk>,
        extra: Option<&Condition>,
    ) -> (OwnedMutexGuard<Desk>, Result<()>) {
        if desk.flight.is_none()
            && let Some(batch) = desk.batch.take()
        {
            let as_of = self.arrivals();
            let Batch { draft, members, .. } = batch;
            let (write, written) = match draft.into_write(self.schema, &self.key, extra) {
                Ok(Some(write)) => write,
                Ok(None) => return (desk, Ok(())),
                Err(invalid) => {
                    let error = invalid.in_table(&self.target.table);
                    return (desk, self.rejected(&members, error));
                }
            };
            if !members.seal(write.intent()) {
                members.end(&Status::Done(Outcome::Again));
                return (desk, Ok(()));
            }
            let (write, attempts) = (Single::of(write), Arc::default());
            desk.flight = Some(Flight { write, attempts, written, as_of, members });
        }
        let Some(flight) = &mut desk.flight else { return (desk, Ok(())) };
        let sent = self.target.settle(&mut flight.write, &flight.attempts, &mut self.budget).await;
        let Some(flight) = desk.flight.take() else { return (desk, Ok(())) };
        let (write, as_of) = (flight.write.intent(), flight.as_of);
        let sent = match sent {
            Ok(_) => {
                flight.members.applied(write.next_version);
                desk.batch = flight.written.map(|item| Batch::of(Some(item), as_of));
                Ok(())
            }
            Err(Error::OutcomeUnknown(unknown)) => {
                match &unknown.cause {
                    // Others may still have the time to find out.
                    Some(cause) if cause.is_retryable() => desk.flight = Some(flight),
                    Some(Error::Sdk(failure)) => {
                        flight.members.end(&Status::Lost(write, Some((**failure).clone())));
                    }
                    _ => flight.members.end(&Status::Lost(write, None)),
                }
                Err(Error::OutcomeUnknown(unknown))
            }
            Err(error @ (Error::NotFound | Error::Conflict(_) | Error::AlreadyExists(_))) => {
                flight.members.end(&Status::Done(Outcome::Again));
                self.after_conflict(error).await.map(|found| {
                    desk.batch = found.map(|item| Batch::of(item, as_of));
                })
            }
            Err(error) => self.rejected(&flight.members, error),
        };
        (desk, sent)
    }

    /// What is stored, if it is to be changed at once; else it is time to read.
    async fn after_conflict(&mut self, mut error: Error) -> Result<Option<Option<Item>>> {
        let is_known = error.conflict().is_none_or(|conflict| conflict.item.is_some());
        if self.immediate == 0 || !is_known {
            // Who leads others stands for all of them, and is not to come last among the processes.
            self.immediate = if self.others_wait() { IMMEDIATE } else { 0 };
            return self.budget.wait_after(error).await.map(|()| None);
        }
        self.immediate -= 1;
        if !self.budget.take() {
            return Err(error);
        }
        Ok(Some(error.conflict_mut().and_then(|conflict| conflict.item.take())))
    }

    /// A write that was not applied, and as it is never will be.
    fn rejected(&self, members: &Members, error: Error) -> Result<()> {
        let status = match error {
            error if members.is_only(self.ticket.as_ref()) => return Err(error),
            // What passes is no member's fault, but the caller has no attempts left.
            error if error.is_retryable() => {
                members.end(&Status::Done(Outcome::Again));
                return Err(error);
            }
            Error::Sdk(failure) if failure.is_about_no_item() => Status::Refused(*failure),
            _ => Status::Done(Outcome::Smaller((members.len() / 2).max(1))),
        };
        members.end(&status);
        Ok(())
    }

    fn others_wait(&self) -> bool {
        self.queue.callers.load(Ordering::Relaxed) > 1
    }

    fn arrivals(&self) -> u64 {
        self.queue.arrivals.load(Ordering::Relaxed)
    }

    fn lost(&self, write: Intent, cause: Option<Error>) -> Error {
        let (table, key) = (self.target.table.clone(), self.key.clone());
        Error::OutcomeUnknown(Box::new(Unknown { table, key, write, cause }))
    }
}

fn busy(target: &Target, problem: &'static str) -> Error {
    Error::Busy { table: target.table.clone(), problem }
}

/// The error of a caller that could not write, because others who came first are not through.
fn not_sent(error: Error) -> Error {
    match error {
        Error::OutcomeUnknown(unknown) => match *unknown {
            Unknown { cause: Some(cause), .. } => cause,
            unknown => Error::OutcomeUnknown(Box::new(unknown)),
        },
        error => error,
    }
}
