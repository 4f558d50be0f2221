//! One caller's way through the line of its item: it gets a turn, adds its change, and waits for the outcome.

use std::future::poll_fn;
use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::Queues;
use super::desk::{AsOf, Desk, Flight, Group, Landed, Reading, UnderWay};
use super::line::{Answer, CallerId, Line, Outcome, Status, Step};
use crate::error::unknown::Unknown;
use crate::error::{Error, Result};
use crate::item::Item;
use crate::item::key::KeyId;
use crate::item::schema::Schema;
use crate::send::Single;
use crate::send::budget::{Budget, Limits};
use crate::send::delivery::Attempts;
use crate::send::retry::{IMMEDIATE, Retry};
use crate::send::store::{Reason, Target};
use crate::send::trace::Tally;
use crate::write::Intent;
use crate::write::condition::Condition;

/// The size of a group with everybody who waits.
pub(crate) const ANY_SIZE: usize = usize::MAX;

/// How many members a group may have however large the item is: 26 MB of objects, since an item has at most 400 KB.
const FEW_MEMBERS: usize = 64;

/// How many bytes the objects may take that the members of a larger group hold until they are answered.
const MAX_HELD_BYTES: usize = 64 * 1024 * 1024;

const READ: &str = "GetItem";

const TOO_LATE: &str = "other calls of this process for the same item took until the deadline";

const NO_TIME_LEFT: &str =
    "other calls of this process for the same item left too little time to write it before the deadline";

/// One caller in the line of an item. Dropping it gives up its turn. Its change is not sent if no other member of its group is
/// left.
pub(crate) struct Turn<'t> {
    queues: &'t Queues,
    id: KeyId,
    line: Arc<Line>,
    caller: CallerId,
    target: &'t Target,
    schema: &'static Schema,
    key: Item,
    budget: Budget,
    immediate: u32,
    /// While it is this caller's turn.
    desk: Option<Desk>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.queues.leave(&self.id, &self.line, self.caller, self.desk.take().map(Desk::handed_on));
    }
}

impl<'t> Turn<'t> {
    /// Joins the line for the item under `key`.
    pub(crate) fn wait_for(
        queues: &'t Queues,
        target: &'t Target,
        schema: &'static Schema,
        key: Item,
        retry: Retry,
    ) -> Result<Self> {
        // A turn is waited for with a timer.
        target.check_runtime(READ).map_err(|failure| Error::Sdk(failure.into()))?;
        let id = KeyId::of(schema, &key);
        let Some((line, caller)) = queues.join(&id) else {
            return Err(busy(target, "10,000 calls of this process wait for the same item already"));
        };
        let budget = Budget::start(retry);
        Ok(Self { queues, id, line, caller, target, schema, key, budget, immediate: IMMEDIATE, desk: None })
    }

    pub(crate) fn key(&self) -> &Item {
        &self.key
    }

    pub(crate) fn tally(&mut self) -> Tally {
        *self.budget.tally()
    }

    /// Waits for the turn of the caller, which may be in a group of `size`, and returns what it begins with: the item, with the
    /// changes of those before it that are not sent yet. Reads the item only where nothing is known of it.
    pub(crate) async fn begin(&mut self, size: usize) -> Result<Group> {
        if self.desk.is_none() {
            self.acquire().await?;
        }
        loop {
            match self.desk.take() {
                Some(Desk::Open(group)) if self.is_full(&group, size) => {
                    self.desk = Some(Desk::Open(group));
                    // The others get their own answers. An error is that time is up.
                    self.send(None).await?;
                }
                Some(Desk::Open(mut group)) => {
                    group.draft.is_shared = self.queues.coalesce || self.line.others_wait();
                    // Until the group is put back. If it is not, its members go on without it.
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

    /// Whether the item was stored so at some moment since the call began, so that an answer may rest on it.
    pub(crate) fn is_fresh(&self, group: &Group) -> bool {
        self.caller < group.as_of.arrivals && !group.draft.is_changed()
    }

    /// Leaves everything as it was found.
    pub(crate) fn put_back(&mut self, group: Group) {
        if group.draft.is_shared {
            self.desk = Some(Desk::Open(group));
        }
    }

    /// Adds the caller, which has made its change and may be in a group of `size`. Lets others add theirs if there is room.
    pub(crate) fn add(&mut self, mut group: Group, size: usize) {
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

    /// Lets all those go first that wait.
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
                        self.budget.tally().batch = calls;
                    }
                    return Ok(outcome);
                }
                Some(Answer::Refused(failure)) => return Err(Error::Sdk(failure)),
                Some(Answer::Lost(write, cause)) => return Err(self.lost(write, cause.map(Error::Sdk))),
                None => {}
            }
            let gone_on = match &self.desk {
                Some(Desk::Open(_)) => self.send(condition).await,
                Some(Desk::InFlight(_)) => self.land().await,
                // The group is gone, and with it the caller's change.
                Some(_) => return Ok(Outcome::Again),
                None => self.turn_or_answer().await,
            };
            if let Err(error) = gone_on {
                match self.line.give_up(self.caller) {
                    // Time is up. The write goes on for the others.
                    Status::Sent(write) => return Err(self.lost(write, Some(error))),
                    // Another caller may have brought the answer at the last moment.
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
        // A write that is sent at the last moment is given up before it can be answered.
        let left = self.budget.deadline().saturating_duration_since(Instant::now());
        if left < self.line.time_for_a_turn() { Err(self.too_late(NO_TIME_LEFT)) } else { Ok(()) }
    }

    /// Waits for the caller's turn, or until there is an answer that needs none.
    async fn turn_or_answer(&mut self) -> Result<()> {
        let (since, deadline) = (Instant::now(), self.budget.deadline());
        let step = timeout_at(deadline, poll_fn(|context| self.line.poll(self.caller, context))).await;
        self.budget.tally().queue_wait += since.elapsed();
        match step {
            Ok(Step::Answered) => {}
            Ok(Step::Turn(desk)) => {
                self.desk = Some(desk);
                if Instant::now() >= deadline {
                    return Err(self.too_late(TOO_LATE));
                }
            }
            Err(_) => return Err(self.too_late(TOO_LATE)),
        }
        Ok(())
    }

    /// Whether the group is too large already for a caller that may be in one of `size`.
    fn is_full(&self, group: &Group, size: usize) -> bool {
        self.line.members() >= group.size.min(size)
    }

    /// Reads the item, or waits for a read that another caller began.
    async fn read(&mut self) -> Result<()> {
        loop {
            // One that was begun on another runtime is begun again.
            if !matches!(&self.desk, Some(Desk::Reading(reading)) if reading.answer.is_here()) {
                let answer = UnderWay::new(self.target.get_item(&self.key, true, None));
                self.desk = Some(Desk::Reading(Reading { answer, as_of: self.as_of() }));
            }
            let Some(Desk::Reading(Reading { answer, as_of })) = &mut self.desk else { return Ok(()) };
            let (until, as_of) = (self.budget.attempt_deadline(), *as_of);
            match self.target.within(until, &mut self.budget, READ, Box::pin(answer)).await {
                Ok(output) => {
                    self.desk = Some(Desk::Open(Group::new(output.item, as_of)));
                    return Ok(());
                }
                // The next caller goes on with the read.
                Err(reason @ Reason::OutOfTime(_)) => return reason.after_wait(&mut self.budget).await,
                Err(reason) => {
                    self.desk = Some(Desk::Empty);
                    reason.after_wait(&mut self.budget).await?;
                }
            }
        }
    }

    /// Sends the group at the desk until its outcome is known, and answers its members. The error is for this caller alone.
    async fn send(&mut self, condition: Option<&Condition>) -> Result<()> {
        let Some(Desk::Open(Group { draft, as_of, .. })) = self.desk.replace(Desk::Empty) else {
            return Ok(());
        };
        let as_of = AsOf { begun: as_of.begun, ..self.as_of() };
        let (write, written) = match draft.into_write(self.schema, &self.key, condition) {
            Ok(Some(write)) => write,
            Ok(None) => return Ok(()),
            Err(invalid) => return self.reject(invalid.in_table(&self.target.table)),
        };
        let intent = write.intent();
        // From here on the change of every member may be applied.
        let Some(limits) = self.line.mark_sent(intent) else { return Ok(()) };
        let attempts = Arc::default();
        let landing = self.launch(Single::of(write), &attempts, limits);
        let sender = self.caller;
        let flight = Flight { landing, intent, sender, attempts, written, as_of, limits };
        self.desk = Some(Desk::InFlight(flight.into()));
        self.land().await
    }

    fn launch(&mut self, mut write: Single, attempts: &Arc<Attempts>, limits: Limits) -> UnderWay<Landed> {
        let (target, attempts) = (self.target.clone(), Arc::clone(attempts));
        let mut budget = self.budget.share(limits);
        UnderWay::new(async move {
            let sent = target.settle(&mut write, &attempts, &mut budget).await;
            Landed { sent, budget }
        })
    }

    /// Sees to it that the write under way goes on where this caller is: one from another runtime is sent again as it was. Gives
    /// up one that never left, or that nobody waits for.
    fn fetch(&mut self) {
        let is_elsewhere =
            |desk: &mut Desk| matches!(desk, Desk::InFlight(flight) if !flight.landing.is_here());
        let Some(Desk::InFlight(mut flight)) = self.desk.take_if(is_elsewhere) else { return };
        if self.line.is_awaited() && flight.attempts.can_be_repeated() {
            let write = Single::again(flight.intent, self.key.clone());
            flight.landing = self.launch(write, &flight.attempts, flight.limits);
            flight.sender = self.caller;
            self.desk = Some(Desk::InFlight(flight));
        } else {
            self.desk = Some(Desk::Empty);
            self.line.answer(&Answer::Done(Outcome::Again));
        }
    }

    /// Waits for the write that is under way, and answers its members. The error is for this caller alone.
    async fn land(&mut self) -> Result<()> {
        self.fetch();
        let Some(Desk::InFlight(flight)) = &mut self.desk else { return Ok(()) };
        let deadline = self.budget.deadline();
        let landed = if !self.line.is_awaited() {
            // Its callers are gone. What it writes would save a read, but is not worth more than that.
            let patience = self.line.time_for_a_turn();
            timeout_at(deadline.min(Instant::now() + patience), &mut flight.landing).await.ok()
        } else if flight.limits.deadline() <= deadline {
            // It ends by itself, and then says more than that time is up.
            Some((&mut flight.landing).await)
        } else {
            timeout_at(deadline, &mut flight.landing).await.ok()
        };
        let Some(Landed { mut sent, budget }) = landed else {
            if Instant::now() >= deadline {
                // The next caller goes on with it.
                return Err(self.too_late(TOO_LATE));
            }
            self.desk = Some(Desk::Empty);
            self.line.answer(&Answer::Done(Outcome::Again));
            return Ok(());
        };
        let Some(Desk::InFlight(flight)) = self.desk.replace(Desk::Empty) else { return Ok(()) };
        let Flight { intent, sender, written, as_of, .. } = *flight;
        self.line.took(as_of.begun.elapsed());
        let is_member = self.line.is_member(self.caller);
        if is_member && sender == self.caller {
            self.budget.resume(budget);
        } else if is_member {
            // The sender is gone, and what it had left is not this caller's.
            sent = sent.map_err(|error| self.budget.refused(error));
        }
        match sent {
            Ok(_) => {
                self.line.applied(intent.next_version);
                self.desk = written
                    .map(|item| Desk::Open(Group::new(Some(item), as_of.next_turn())))
                    .or(Some(Desk::Empty));
                Ok(())
            }
            Err(Error::OutcomeUnknown(unknown)) => {
                let cause = match &unknown.cause {
                    Some(Error::Sdk(failure)) => Some(failure.clone()),
                    _ => None,
                };
                self.line.answer(&Answer::Lost(intent, cause));
                if is_member { Err(Error::OutcomeUnknown(unknown)) } else { Ok(()) }
            }
            Err(error @ (Error::NotFound | Error::Conflict(_) | Error::AlreadyExists(_))) => {
                self.line.answer(&Answer::Done(Outcome::Again));
                self.after_conflict(error, is_member, as_of).await
            }
            Err(error) => self.reject(error),
        }
    }

    /// Hands on what is stored, if it is to be changed at once; else it is time to read.
    async fn after_conflict(&mut self, mut error: Error, is_member: bool, as_of: AsOf) -> Result<()> {
        let is_known = error.conflict().is_none_or(|conflict| conflict.item.is_some());
        if is_member {
            if self.immediate == 0 || !is_known {
                // A caller that leads others acts for all of them, and must not fall behind the other processes.
                self.immediate = if self.line.others_wait() { IMMEDIATE } else { 0 };
                return self.budget.wait_after(error).await;
            }
            self.immediate -= 1;
            if !self.budget.take() {
                return Err(error);
            }
        }
        if is_known {
            let item = error.conflict_mut().and_then(|conflict| conflict.item.take());
            self.desk = Some(Desk::Open(Group::new(item, as_of.next_turn())));
        }
        Ok(())
    }

    /// Answers the members of a write that was not applied, and as it is never will be.
    fn reject(&mut self, error: Error) -> Result<()> {
        if self.line.is_only_member(self.caller) {
            self.line.answer(&Answer::Done(Outcome::Again));
            return Err(error);
        }
        let answer = match error {
            // What is transient is no member's fault, but the caller has no attempts left.
            error if error.is_retryable() => {
                let is_member = self.line.is_member(self.caller);
                self.line.answer(&Answer::Done(Outcome::Again));
                return if is_member { Err(error) } else { Ok(()) };
            }
            Error::Sdk(failure) if failure.is_about_no_item() => Answer::Refused(failure),
            _ => Answer::Done(Outcome::Smaller((self.line.members() / 2).max(1))),
        };
        self.line.answer(&answer);
        Ok(())
    }

    fn as_of(&self) -> AsOf {
        AsOf { arrivals: self.line.arrivals(), begun: Instant::now() }
    }

    fn too_late(&mut self, problem: &'static str) -> Error {
        self.line.note_giving_up();
        let late = busy(self.target, problem);
        self.budget.out_of_time(late)
    }

    fn lost(&self, write: Intent, cause: Option<Error>) -> Error {
        let (table, key) = (self.target.table.clone(), self.key.clone());
        Error::OutcomeUnknown(Box::new(Unknown { table, key, write, cause }))
    }
}

fn busy(target: &Target, problem: &'static str) -> Error {
    Error::Busy { table: target.table.clone(), problem }
}
