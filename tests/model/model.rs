//! What can happen in each state.
//!
//! # How a state maps to the protocol
//!
//! - The store is `item`, the one item in its one Region. A step of the store is atomic (A1).
//! - A writer is idle, or `busy` with a write: it has read the item, has run its closure on what it read, and now sends
//!   the write until its attempts are used up or an answer is definite. It needs no state of its own for a request or a
//!   reply under way: a request that is late is one that was lost to its sender and arrives by a [`Action::Late`], and a
//!   reply that is late only delays what its writer does next, which can be late anyway.
//! - After a conflict a writer is idle again and reads anew: to run the closure again and to begin another change is the
//!   same step, as long as the refused write has no effect. Where a wrong protocol makes it have one, `effects` keeps count.
//! - A write that was sent and answered stays in `sent` as long as a copy of it could still be applied. Copies that fail
//!   their check leave no trace, and so are no steps.
//! - A create has no version to fence off its copies. So it arrives as often as it was sent: `late` counts the requests that are
//!   still to come. Where `outlived`, copies of it come as those of all others do.
//! - A create looks at the clock, and not at the item. Another one may be faster and be deleted again, and then this one begins below.
//! - `broken` collects what went wrong; the properties look only at that.
//!
//! Equal states that differ in the order of the writers only are one state.

use stateright::{Model, Property};

use crate::state::{DOUBLED, FALSE_REFUSAL, LOST, PHANTOM, State, Writer};
use crate::store::{Start, Store};
use dynalock_model::protocol::{Act, Author, FOREIGN, Item, Protocol, REBORN, SLOTS, Stamp, Verdict};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// A writer reads, and runs its closure on what it read.
    Read(usize),
    /// A writer is about to create the item, or has read it and is about to delete it.
    StartCreate(usize),
    StartDelete(usize),
    /// An attempt arrives, and so does its reply.
    Answered(usize),
    /// An attempt arrives twice, and only the second reply is seen (A5).
    Redriven(usize),
    ReplyLost(usize),
    /// An attempt is lost to its sender; it may still arrive.
    RequestLost(usize),
    /// The store refuses an attempt unseen.
    Throttled(usize),
    /// A writer without further attempts answers that the outcome is unknown, or looks at the item to find out.
    GiveUp(usize),
    LookUp(usize),
    /// A copy of a writer's attempt arrives, which was lost or is a duplicate.
    Late(usize),
    /// The same for a write that was answered before.
    LateAfterAnswer(usize),
    ForeignPut,
    ForeignUpdate(u8),
    Unversioned,
    Delete,
    Create {
        version: u8,
        stamped: bool,
    },
    Copy,
    Restore,
}

pub(crate) const NO_LOST_UPDATE: &str = "no lost update";
pub(crate) const NO_DOUBLED_UPDATE: &str = "no doubled update";
pub(crate) const OK_IS_APPLIED: &str = "Ok means applied exactly once";
pub(crate) const REFUSED_IS_NOT_APPLIED: &str =
    "refused means not applied, now and later; so a closure is safe to run again";

impl Model for Store {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let writers = self.kinds.map(|kind| Writer { kind, effects: 0, busy: None });
        let state = |value| {
            let mut state = State {
                item: self.first.map(|version| Item { version, value, slots: [None; SLOTS] }),
                writers,
                sent: Vec::new(),
                used: 1 << self.first.unwrap_or_default(),
                copy: None,
                left: self.bounds,
                broken: 0,
            };
            state.settle(self);
            state
        };
        // Extra conditions hold on the first of them, and not on the second.
        let values: &[u8] = if self.kinds.iter().any(|kind| kind.conditional) { &[0, FOREIGN] } else { &[0] };
        values.iter().copied().map(state).collect()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (index, writer) in state.writers.iter().enumerate() {
            let Some(busy) = writer.busy else {
                if state.item.is_some() && state.left.writes > 0 {
                    actions.push(Action::Read(index));
                }
                if state.left.creates > 0 {
                    actions.push(Action::StartCreate(index));
                }
                if state.item.is_some() && state.left.removes > 0 {
                    actions.push(Action::StartDelete(index));
                }
                continue;
            };
            let applies = busy.write.applies_to(state.item);
            let is_known = busy.is_known(self);
            if busy.attempts > 0 {
                actions
                    .extend([Action::Answered, Action::RequestLost, Action::Throttled].map(|of| of(index)));
                if applies || is_known {
                    actions.push(Action::ReplyLost(index));
                    if busy.write.stamps > 0 && self.protocol == Protocol::Stamps && !is_known {
                        actions.push(Action::Redriven(index));
                    }
                }
            } else {
                actions.push(Action::GiveUp(index));
                if self.protocol == Protocol::Stamps {
                    actions.push(Action::LookUp(index));
                }
            }
            if state.admits_late(&busy, self) {
                actions.push(Action::Late(index));
            }
        }
        let late = state.sent.iter().enumerate().filter(|(_, sent)| state.admits_sent(sent, self));
        actions.extend(late.map(|(index, _)| Action::LateAfterAnswer(index)));
        self.foreign(state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Read(index) => state.read(index, self),
            Action::StartCreate(index) => state.start_create(index, self),
            Action::StartDelete(index) => state.start_delete(index, self),
            Action::Answered(index) => {
                if state.arrive(index, self) {
                    state.answer(index, Verdict::Ok);
                } else {
                    state.judge(index, self);
                }
            }
            Action::Redriven(index) => {
                state.deliver(index);
                state.judge(index, self);
            }
            Action::ReplyLost(index) => {
                state.arrive(index, self);
                state.lose(index, self);
            }
            Action::RequestLost(index) => state.lose_request(index, self),
            Action::Throttled(index) => {
                let busy = state.writers[index].busy.as_mut()?;
                busy.attempts -= 1;
                if busy.attempts == 0 && (busy.clean || self.protocol != Protocol::Stamps) {
                    let verdict = if busy.clean { Verdict::Failed } else { Verdict::Unknown };
                    state.answer(index, verdict);
                }
            }
            Action::GiveUp(index) => state.answer(index, Verdict::Unknown),
            Action::LookUp(index) => state.look_up(index, self),
            Action::Late(index) => {
                state.deliver(index);
                if let Some(busy) = &mut state.writers[index].busy {
                    busy.late = busy.late.saturating_sub(1);
                }
            }
            Action::LateAfterAnswer(index) => state.deliver_sent(index),
            Action::ForeignPut => {
                state.left.puts -= 1;
                state.foreign(|item| Item {
                    version: item.version + 1,
                    value: item.value + FOREIGN,
                    slots: [None; SLOTS],
                });
            }
            Action::ForeignUpdate(by) => {
                state.left.updates -= 1;
                state.foreign(|item| Item {
                    version: item.version + by,
                    value: item.value + FOREIGN,
                    ..item
                });
            }
            Action::Unversioned => {
                state.left.unversioned -= 1;
                state.foreign(|item| Item { value: item.value + FOREIGN, ..item });
            }
            Action::Delete => {
                state.left.deletes -= 1;
                state.item = None;
            }
            Action::Create { version, stamped } => {
                let mut slots = [None; SLOTS];
                if stamped {
                    slots[0] = Some(Stamp { version, author: Author::Other });
                }
                let deletes = self.bounds.deletes + self.bounds.removes;
                let value = REBORN * (deletes - state.left.deletes - state.left.removes);
                state.item = Some(Item { version, value, slots });
            }
            Action::Copy => state.copy = state.item,
            Action::Restore => {
                state.left.restores -= 1;
                let (mut copy, item) = (state.copy.take()?, state.item?);
                copy.version = item.version + 1;
                state.item = Some(copy);
            }
        }
        // No version is used twice (A3), except where the model is told to.
        let version = |state: &State| state.item.map(|item| item.version);
        if let Some(now) = version(&state).filter(|now| version(last) != Some(*now)) {
            // By the clock a create may be overtaken, and then begins at an older reading that is its own.
            if self.bounds.creates == 0 && state.used >> now & 1 == 1 && self.start != Start::One {
                return None;
            }
            state.used |= 1 << now;
        }
        if last.item.is_some() && state.item.is_none() && !self.outlived {
            state.sent.retain(|sent| sent.write.act != Act::Create || !sent.refused);
        }
        state.settle(self);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NO_LOST_UPDATE, |_, state: &State| state.broken & LOST == 0),
            Property::always(NO_DOUBLED_UPDATE, |_, state: &State| state.broken & DOUBLED == 0),
            Property::always(OK_IS_APPLIED, |_, state: &State| state.broken & PHANTOM == 0),
            Property::always(REFUSED_IS_NOT_APPLIED, |_, state: &State| state.broken & FALSE_REFUSAL == 0),
        ]
    }
}

impl Store {
    /// What writers without dynalock can do, and deletes.
    fn foreign(&self, state: &State, actions: &mut Vec<Action>) {
        let left = state.left;
        let Some(item) = state.item else {
            let next = state.next_start(self);
            let versions = if self.start == Start::Gap { 1..=next } else { next..=next };
            for version in versions {
                actions.push(Action::Create { version, stamped: false });
                if self.kinds.iter().any(|kind| kind.stamps > 0) {
                    actions.push(Action::Create { version, stamped: true });
                }
            }
            return;
        };
        let mut may = |left: u8, action| actions.extend((left > 0).then_some(action));
        may(left.puts, Action::ForeignPut);
        may(left.updates, Action::ForeignUpdate(1));
        may(left.updates, Action::ForeignUpdate(2));
        may(left.unversioned, Action::Unversioned);
        may(left.deletes, Action::Delete);
        match state.copy {
            None => may(left.restores, Action::Copy),
            Some(copy) if copy != item => may(left.restores, Action::Restore),
            Some(_) => {}
        }
    }
}
