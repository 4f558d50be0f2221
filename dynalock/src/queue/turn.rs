//! The turn of one caller: it waits in the line of its item, adds its change, and gets the outcome.

use std::future::poll_fn;
use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use crate::error::conflict::Conflict;
use crate::error::unknown::UnknownOutcome;
use crate::error::{Error, Result};
use crate::item::Item;
use crate::item::key::KeyId;
use crate::item::schema::Schema;
use crate::queue::Queues;
use crate::queue::desk::{AsOf, CallerId, Desk, Flight, Group, Landed, Reading, UnderWay};
use crate::queue::line::{Answer, Line, Outcome, Status, Step};
use crate::send::Request;
use crate::send::budget::Budget;
use crate::send::limits::Limits;
use crate::send::retry::{IMMEDIATE_RETRIES, Retry};
use crate::send::sdk_call::CallFailure;
use crate::send::store::{GET_ITEM, Store};
use crate::send::trace::CallStats;
use crate::write::condition::Condition;
use crate::write::draft::Draft;
use crate::write::intent::Intent;

/// The size of a group that takes every waiting caller.
pub(crate) const ANY_SIZE: usize = usize::MAX;

/// The number of members up to which the size of the item does not matter. They hold 26 MB at most, since
/// [an item has at most 400 KB](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html).
const FEW_MEMBERS: usize = 64;

/// How many bytes the members of a larger group may hold in objects until they are answered.
const MAX_HELD_BYTES: usize = 64 * 1024 * 1024;

const TOO_LATE: &str = "other calls of this process for the same item took until the deadline";

const NO_TIME_LEFT: &str =
    "other calls of this process for the same item left too little time to write it before the deadline";

/// One caller in the line of an item. Dropping it gives up its turn. If every member of its group is dropped before the write is
/// sent, the write is not sent.
pub(crate) struct Turn<'t> {
    queues: &'t Queues,
    id: KeyId,
    line: Arc<Line>,
    caller: CallerId,
    store: &'t Store,
    schema: &'static Schema,
    key: Item,
    budget: Budget,
    /// How many more conflicts in a row are retried at once, on the item that came with the refusal.
    immediate_retries: u32,
    /// `None` while it is not this caller's turn.
    desk: Option<Desk>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let desk = self.desk.take().map(Desk::for_next_caller);
        self.queues.leave(&self.id, &self.line, self.caller, desk);
    }
}

impl<'t> Turn<'t> {
    /// Joins the line for the item under `key`.
    pub(crate) fn join_queue(
        queues: &'t Queues,
        store: &'t Store,
        schema: &'static Schema,
        key: Item,
        retry: Retry,
    ) -> Result<Self> {
        // The wait for a turn has a timer, which needs a tokio runtime.
        store.call(GET_ITEM).check_runtime().map_err(|failure| Error::Sdk(failure.into()))?;
        let id = KeyId::new(schema, &key);
        let Some((line, caller)) = queues.join(&id) else {
            return Err(busy(store, "10,000 calls of this process wait for the same item already"));
        };
        let budget = Budget::start(retry);
        let immediate_retries = IMMEDIATE_RETRIES;
        Ok(Self { queues, id, line, caller, store, schema, key, budget, immediate_retries, desk: None })
    }

    pub(crate) fn stats(&self) -> CallStats {
        self.budget.stats()
    }

    /// Waits for the caller's turn, and returns the group at the desk: the item, with the changes of earlier callers that are not
    /// sent yet. The caller may be in a group of at most `size` members; a fuller one is sent first. The item is read only if it
    /// is not known.
    pub(crate) async fn begin(&mut self, size: usize) -> Result<Box<Group>> {
        if self.desk.is_none() {
            self.acquire().await?;
        }
        loop {
            match self.desk.take() {
                Some(Desk::Open(group)) if self.is_full(&group, size) => {
                    self.desk = Some(Desk::Open(group));
                    // The members get their own answers. An error here means that this caller's time is up.
                    self.send(None).await?;
                }
                Some(Desk::Open(mut group)) => {
                    group.is_shared = self.queues.coalesce || self.line.others_wait();
                    // The caller has the group until it puts it back. If it is dropped instead, as by a panic of its closure, the
                    // members of the group run their changes again.
                    self.desk = Some(Desk::Empty);
                    return Ok(group);
                }
                flight @ Some(Desk::InFlight(_)) => {
                    self.desk = flight;
                    self.land().await?;
                }
                desk => {
                    self.desk = desk;
                    self.read().await?;
                }
            }
        }
    }

    /// Whether the group's item is in a state that was stored at some moment since the call began. Only then may the call return
    /// an answer without a write.
    pub(crate) fn is_fresh(&self, group: &Group) -> bool {
        self.caller < group.as_of.arrivals && !group.draft.is_changed()
    }

    /// Puts the group back without a change.
    pub(crate) fn put_back(&mut self, group: Box<Group>) {
        // The item of a group that is not shared was moved out of it, so it has to be read again.
        if group.is_shared {
            self.desk = Some(Desk::Open(group));
        }
    }

    /// Makes the caller a member of the group, which has its change and may have `size` members at most. If there is room, lets
    /// other callers add their changes first.
    pub(crate) fn add(&mut self, mut group: Box<Group>, size: usize) {
        self.line.draft(self.caller, self.budget.limits());
        let members = self.line.members();
        group.size = group.size.min(size);
        if members >= FEW_MEMBERS && members.saturating_mul(group.draft.least_bytes()) > MAX_HELD_BYTES {
            group.size = members;
        }
        let is_full = members >= group.size;
        self.desk = Some(Desk::Open(group));
        if !is_full {
            self.yield_turn();
        }
    }

    /// Lets all waiting callers go first.
    pub(crate) fn yield_turn(&mut self) {
        if let Some(desk) = self.desk.take() {
            self.line.yield_turn(self.caller, desk);
        }
    }

    /// Waits for the outcome of the caller's change, and sends it if nobody else has.
    pub(crate) async fn outcome(&mut self, condition: Option<&Condition>) -> Result<Outcome> {
        loop {
            match self.line.take_answer(self.caller) {
                Some(Answer::Done(outcome)) => {
                    if let Outcome::Applied { calls, .. } = outcome {
                        self.budget.shared_by(calls);
                    }
                    return Ok(outcome);
                }
                Some(Answer::Refused(failure)) => return Err(Error::Sdk(failure)),
                Some(Answer::Unknown(write, cause)) => {
                    return Err(self.unknown(write, cause.map(Error::Sdk)));
                }
                None => {}
            }
            let progress = match &self.desk {
                Some(Desk::Open(_)) => self.send(condition).await,
                Some(Desk::InFlight(_)) => self.land().await,
                // The group was dropped, and with it the caller's change.
                Some(_) => return Ok(Outcome::Again),
                None => self.turn_or_answer().await,
            };
            if let Err(error) = progress {
                match self.line.give_up(self.caller) {
                    // This caller's time is up, and its change may be applied later. The write continues for the other members.
                    Status::Sent(write) => return Err(self.unknown(write, Some(error))),
                    // The answer came at the last moment, and the loop takes it.
                    Status::Answered(answer) if self.desk.is_none() && answer.is_final() => {}
                    _ => return Err(error),
                }
            }
        }
    }

    /// Waits for the turn of a caller that has no change in a write.
    async fn acquire(&mut self) -> Result<()> {
        self.desk = self.line.try_turn(self.caller);
        if self.desk.is_some() {
            return Ok(());
        }
        self.turn_or_answer().await?;
        // A write that is sent too late would be given up before it is answered, and its outcome would be unknown.
        let left = self.budget.deadline().saturating_duration_since(Instant::now());
        if left < self.line.expected_turn_time() { Err(self.too_late(NO_TIME_LEFT)) } else { Ok(()) }
    }

    /// Waits for the caller's turn, or for an answer that ends the call without one.
    async fn turn_or_answer(&mut self) -> Result<()> {
        let since = Instant::now();
        let deadline = self.budget.deadline();
        let step = timeout_at(deadline, poll_fn(|context| self.line.poll(self.caller, context))).await;
        self.budget.queued(since.elapsed());
        match step {
            Ok(Step::Answered) => Ok(()),
            Ok(Step::Turn(desk)) => {
                self.desk = Some(desk);
                // The turn may come at the last moment.
                if Instant::now() < deadline { Ok(()) } else { Err(self.too_late(TOO_LATE)) }
            }
            Err(_) => Err(self.too_late(TOO_LATE)),
        }
    }

    /// Whether the group has no room for one more caller, which may be in a group of at most `size` members.
    fn is_full(&self, group: &Group, size: usize) -> bool {
        self.line.members() >= group.size.min(size)
    }

    /// Reads the item, or waits for a read that another caller began.
    async fn read(&mut self) -> Result<()> {
        loop {
            // A read that began in another runtime may never end, since that runtime drives it. It is repeated here.
            if !matches!(&self.desk, Some(Desk::Reading(reading)) if reading.answer.is_here()) {
                let answer = UnderWay::new(self.store.get_item(&self.key, true, None));
                self.desk = Some(Desk::Reading(Reading { answer, as_of: self.as_of() }));
            }
            let Some(Desk::Reading(Reading { answer, as_of })) = &mut self.desk else { return Ok(()) };
            let as_of = *as_of;
            let until = self.budget.attempt_deadline();
            let call = self.store.call(GET_ITEM);
            match call.until(until, &mut self.budget, Box::pin(answer)).await {
                Ok(output) => return self.open(output.item, as_of),
                // Only this caller's time is up. The read stays at the desk, and the next caller continues with it.
                Err(failure @ CallFailure::OutOfTime(_)) => {
                    return call.wait_for_retry(failure, &mut self.budget).await;
                }
                Err(failure) => {
                    self.desk = Some(Desk::Empty);
                    call.wait_for_retry(failure, &mut self.budget).await?;
                }
            }
        }
    }

    /// Opens a group for the item that was read. An item that does not fit the struct ends the call, if it was read after the
    /// call began. Otherwise the item is read again, since it may have been repaired.
    fn open(&mut self, item: Option<Item>, as_of: AsOf) -> Result<()> {
        match Draft::read(self.schema, self.key.clone(), item) {
            Ok(draft) => self.desk = Some(Desk::Open(Group::new(draft, as_of).into())),
            Err(invalid) => {
                self.desk = Some(Desk::Empty);
                if self.caller < as_of.arrivals {
                    return Err(invalid.in_table(&self.store.table));
                }
            }
        }
        Ok(())
    }

    /// Sends the group at the desk, waits for its outcome, and answers its members. An error is for this caller only.
    async fn send(&mut self, condition: Option<&Condition>) -> Result<()> {
        let Some(Desk::Open(group)) = self.desk.replace(Desk::Empty) else { return Ok(()) };
        let Group { draft, is_shared, as_of, .. } = *group;
        // What the write stores is as new as the write, and counts for all callers that have joined by now.
        let as_of = AsOf { begun: as_of.begun, ..self.as_of() };
        let written = if is_shared { draft.written() } else { None };
        let write = match draft.into_write(condition) {
            Ok(write) => write,
            Err(invalid) => return self.reject(invalid.in_table(&self.store.table)),
        };
        let intent = write.intent();
        // From here on, the change of every member may be applied. A member that is dropped or gives up can no longer stop it.
        let Some(limits) = self.line.mark_sent(intent) else { return Ok(()) };
        let request = Request::single(self.store, write);
        let delivery = Arc::clone(request.delivery());
        let landing = self.launch(request, limits);
        let sender = self.caller;
        let flight = Flight { landing, intent, sender, delivery, written, as_of, limits };
        self.desk = Some(Desk::InFlight(flight.into()));
        self.land().await
    }

    /// Starts a write. Its future owns all that it needs, so that any caller of the line can poll it.
    fn launch(&mut self, mut request: Request, limits: Limits) -> UnderWay<Landed> {
        let mut budget = self.budget.share(limits);
        UnderWay::new(async move {
            let outcome = request.settle(&mut budget).await;
            Landed { outcome, budget }
        })
    }

    /// Moves the write under way to the runtime of this caller, if it began in another one: the identical request is sent again.
    /// A write that was never transmitted, or whose outcome no member needs, is dropped instead.
    fn move_to_this_runtime(&mut self) {
        let is_elsewhere =
            |desk: &mut Desk| matches!(desk, Desk::InFlight(flight) if !flight.landing.is_here());
        let Some(Desk::InFlight(mut flight)) = self.desk.take_if(is_elsewhere) else { return };
        if self.line.is_awaited() && flight.delivery.can_be_repeated() {
            let request = Request::again(self.store, self.key.clone(), flight.intent, &flight.delivery);
            flight.landing = self.launch(request, flight.limits);
            flight.sender = self.caller;
            self.desk = Some(Desk::InFlight(flight));
        } else {
            self.desk = Some(Desk::Empty);
            self.line.answer(&Answer::Done(Outcome::Again));
        }
    }

    /// Waits for the write under way, and answers its members. An error is for this caller only.
    async fn land(&mut self) -> Result<()> {
        self.move_to_this_runtime();
        let Some(Desk::InFlight(flight)) = &mut self.desk else { return Ok(()) };
        let deadline = self.budget.deadline();
        let landed = if !self.line.is_awaited() {
            // All members are gone. The outcome only saves a read, so it is not worth a longer wait.
            let patience = self.line.expected_turn_time();
            timeout_at(deadline.min(Instant::now() + patience), &mut flight.landing).await.ok()
        } else if flight.limits.deadline() <= deadline {
            // The write ends before this caller's deadline, and with a more precise error than a timeout.
            Some((&mut flight.landing).await)
        } else {
            timeout_at(deadline, &mut flight.landing).await.ok()
        };
        let Some(Landed { mut outcome, budget }) = landed else {
            if Instant::now() >= deadline {
                // The write stays at the desk, and the next caller continues with it.
                return Err(self.too_late(TOO_LATE));
            }
            self.desk = Some(Desk::Empty);
            self.line.answer(&Answer::Done(Outcome::Again));
            return Ok(());
        };
        let Some(Desk::InFlight(flight)) = self.desk.replace(Desk::Empty) else { return Ok(()) };
        let Flight { intent, sender, written, as_of, .. } = *flight;
        self.line.note_turn_time(as_of.begun.elapsed());
        let is_member = self.line.is_member(self.caller);
        if is_member && sender == self.caller {
            self.budget.resume(budget);
        } else if is_member {
            // The sender is gone. This caller has its own budget, and counts the refusal there.
            outcome = outcome.map_err(|error| self.budget.refused(error));
        }
        match outcome {
            Ok(_) => {
                // `open` cannot fail here: the written item has the version that was just set.
                self.line.applied(intent.next_version);
                match written {
                    Some(item) => self.open(Some(item), as_of.next_turn()),
                    None => Ok(()),
                }
            }
            Err(Error::OutcomeUnknown(unknown)) => {
                let cause = match unknown.cause() {
                    Some(Error::Sdk(failure)) => Some(failure.clone()),
                    _ => None,
                };
                self.line.answer(&Answer::Unknown(intent, cause));
                if is_member { Err(Error::OutcomeUnknown(unknown)) } else { Ok(()) }
            }
            Err(error @ (Error::NotFound | Error::Conflict(_) | Error::AlreadyExists(_))) => {
                self.line.answer(&Answer::Done(Outcome::Again));
                self.after_conflict(error, is_member, as_of).await
            }
            // Another sender's failure is no reason for this caller to end: it has attempts of its own.
            Err(error) if error.is_retryable() && sender != self.caller => {
                self.line.answer(&Answer::Done(Outcome::Again));
                Ok(())
            }
            Err(error) => self.reject(error),
        }
    }

    /// Opens a group for the item that came with the conflict, if the change is to be retried on it at once. Otherwise the desk
    /// stays empty, and the item is read again, for a member after a delay.
    async fn after_conflict(&mut self, mut error: Error, is_member: bool, as_of: AsOf) -> Result<()> {
        let is_known = error.conflict().is_none_or(|conflict| conflict.item().is_some());
        if is_member {
            if self.immediate_retries == 0 || !is_known {
                // A caller that others wait behind holds up all of them. It gets new immediate retries, so that they do not fall
                // behind other processes.
                self.immediate_retries = if self.line.others_wait() { IMMEDIATE_RETRIES } else { 0 };
                return self.budget.wait_after(error).await;
            }
            self.immediate_retries -= 1;
            if !self.budget.take() {
                return Err(error);
            }
        }
        let item = error.conflict_mut().and_then(Conflict::take_item);
        if is_known { self.open(item, as_of.next_turn()) } else { Ok(()) }
    }

    /// Answers the members of a write that was not applied, and will not be in this form.
    fn reject(&mut self, error: Error) -> Result<()> {
        if self.line.is_only_member(self.caller) {
            self.line.answer(&Answer::Done(Outcome::Again));
            return Err(error);
        }
        let answer = match error {
            // A transient failure is no member's fault. The others run their changes again, but this caller has no attempt left.
            error if error.is_retryable() => {
                let is_member = self.line.is_member(self.caller);
                self.line.answer(&Answer::Done(Outcome::Again));
                return if is_member { Err(error) } else { Ok(()) };
            }
            Error::Sdk(failure) if failure.is_table_wide() => Answer::Refused(failure),
            _ => Answer::Done(Outcome::Smaller((self.line.members() / 2).max(1))),
        };
        self.line.answer(&answer);
        Ok(())
    }

    fn as_of(&self) -> AsOf {
        AsOf { arrivals: self.line.arrivals(), begun: Instant::now() }
    }

    /// The error of a caller whose time is up.
    fn too_late(&mut self, problem: &'static str) -> Error {
        self.line.note_giving_up(self.caller);
        let late = busy(self.store, problem);
        self.budget.out_of_time(late)
    }

    fn unknown(&self, write: Intent, cause: Option<Error>) -> Error {
        Error::OutcomeUnknown(UnknownOutcome::new(&self.store.table, self.key.clone(), write, cause).into())
    }
}

fn busy(store: &Store, problem: &'static str) -> Error {
    Error::Busy { table: store.table.clone(), problem }
}
