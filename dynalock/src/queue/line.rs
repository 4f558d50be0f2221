//! The line of one item's callers: who waits, whose turn it is, and how far each caller's change is.
//!
//! A caller waits, gets the turn, and leaves. Its change passes through these states. `mark_sent` and `answer` change the states
//! of all members of a write at once, under one lock.
//!
//! ```text
//!          draft             mark_sent          answer             take_answer
//!   Idle ─────────▶ Drafted ───────────▶ Sent ──────────▶ Answered ───────────▶ Idle, if the caller continues
//!    ▲                 │
//!    └─────────────────┘ give_up: the change must not be sent, so the whole group is dropped
//! ```

use std::collections::BTreeMap;
use std::sync::PoisonError;
#[cfg(not(test))]
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

// In the unit tests, shuttle explores how threads interleave at these locks.
#[cfg(test)]
use shuttle::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::error::sdk_failure::SdkFailure;
use crate::queue::desk::{CallerId, Desk};
use crate::send::limits::Limits;
use crate::write::intent::Intent;

/// How many callers an item may have at a time.
const MAX_CALLERS: usize = 10_000;

/// More callers come than can be served if this many give up, each less than `CALM_AFTER` after the one before.
const OVERLOAD_GIVE_UPS: u32 = 4;
const CALM_AFTER: Duration = Duration::from_secs(1);

/// While the newest caller goes first, the oldest one gets a turn after this many turns.
const MAX_NEWEST_TURNS: u32 = 16;

/// The known outcome of a write, for one of its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The write was applied, with the changes of this many calls. The object of the last member equals the stored item, at this
    /// version. Those of the others do not, since later members changed the item further; for them there is no version.
    Applied { calls: usize, version: Option<u64> },
    /// The write was not applied. The caller runs its change again.
    Again,
    /// The write was not applied, and one of several members may be at fault. Each runs its change again in a group of this size:
    /// half of the last one, so that the member at fault is alone after few writes.
    Smaller(usize),
}

/// The answer that a member of a write gets.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Done(Outcome),
    /// The write was not applied, for a reason that would meet every write to the table.
    Refused(Box<SdkFailure>),
    /// The write was sent, and its outcome is unknown. The failure is the cause, if there is one.
    Unknown(Intent, Option<Box<SdkFailure>>),
}

impl Answer {
    /// Whether the call ends with this answer. If not, the caller keeps its place in the line.
    pub(crate) fn is_final(&self) -> bool {
        !matches!(self, Self::Done(Outcome::Again | Outcome::Smaller(_)))
    }
}

/// How far a caller's change is.
#[derive(Debug, Clone, Default)]
pub(crate) enum Status {
    /// The caller has no change in a group.
    #[default]
    Idle,
    /// The group at the desk has the change, to be sent within these limits.
    Drafted(Limits),
    /// The change was sent with its group, in this write.
    Sent(Intent),
    /// The outcome is known, or known to stay unknown. The caller has not taken the answer yet.
    Answered(Answer),
}

/// The event that ends a caller's wait.
pub(crate) enum Step {
    /// The caller has the turn.
    Turn(Desk),
    /// There is an answer, and the call ends with it.
    Answered,
}

/// All callers of one item.
pub(crate) struct Line(Mutex<State>);

struct State {
    coalesces: bool,
    callers: BTreeMap<CallerId, Caller>,
    arrivals: u64,
    /// The waiting callers, in the order of their places.
    waiting: BTreeMap<u64, CallerId>,
    /// The next place at the end of the line. A caller that yields its turn gets a new one.
    next_place: u64,
    /// The caller whose turn it is.
    turn: Option<CallerId>,
    /// `None` while the caller whose turn it is has taken the desk.
    desk: Option<Desk>,
    /// The callers whose changes are in the group at the desk or in the write under way, in the order of their changes. Some of
    /// them may have left.
    members: Vec<CallerId>,
    /// Whether a member has given up. Its change cannot be removed from the group, so the group must not be sent.
    has_withdrawn_change: bool,
    pace: Pace,
}

struct Caller {
    /// `None` while the caller does not wait.
    place: Option<u64>,
    status: Status,
    /// Whether its time was up. It is counted once, although it leaves the line after that.
    has_given_up: bool,
    waker: Option<Waker>,
}

/// How long turns take, and how many callers give up.
#[derive(Default)]
struct Pace {
    /// The smoothed duration of a turn.
    turn: Duration,
    /// How many callers have given up since the line was last calm, and when the last one did.
    gave_up: Option<(u32, Instant)>,
    /// How many turns the newest callers have had since the oldest one had one.
    newest_turns: u32,
}

impl Pace {
    /// Counts a caller that gave up before it had its answer.
    fn give_up(&mut self) {
        let earlier = self.gave_up.filter(|_| !self.is_calm()).map_or(0, |(callers, _)| callers);
        self.gave_up = Some((earlier.saturating_add(1), Instant::now()));
    }

    fn is_calm(&self) -> bool {
        self.gave_up.is_none_or(|(_, last)| last.elapsed() > CALM_AFTER)
    }

    /// Whether more callers come than can be served.
    fn is_overloaded(&self) -> bool {
        !self.is_calm() && self.gave_up.is_some_and(|(callers, _)| callers >= OVERLOAD_GIVE_UPS)
    }
}

/// The work that remains after a caller has left. It is done once no lock is held.
#[must_use = "the next caller must be woken"]
pub(crate) struct Left {
    pub(crate) is_last: bool,
    wakers: Vec<Waker>,
}

impl Left {
    pub(crate) fn wake(self) {
        self.wakers.into_iter().for_each(Waker::wake);
    }
}

impl Line {
    pub(crate) fn new(coalesces: bool) -> Self {
        Self(Mutex::new(State {
            coalesces,
            callers: BTreeMap::new(),
            arrivals: 0,
            waiting: BTreeMap::new(),
            next_place: 0,
            turn: None,
            desk: Some(Desk::Empty),
            members: Vec::new(),
            has_withdrawn_change: false,
            pace: Pace::default(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state. Then it releases the lock, and wakes the callers whose wakers `change` has collected: a waker may run
    /// code that takes the lock.
    fn wake<R>(&self, change: impl FnOnce(&mut State, &mut Vec<Waker>) -> R) -> R {
        let mut wakers = Vec::new();
        let result = change(&mut self.state(), &mut wakers);
        wakers.into_iter().for_each(Waker::wake);
        result
    }

    /// Adds a caller at the end. Returns `None` if there are too many already.
    pub(crate) fn join(&self) -> Option<CallerId> {
        let state = &mut *self.state();
        if state.callers.len() >= MAX_CALLERS {
            return None;
        }
        let caller = state.arrivals;
        state.arrivals += 1;
        state
            .callers
            .insert(caller, Caller { place: None, status: Status::Idle, has_given_up: false, waker: None });
        if state.turn.is_none() {
            state.turn = Some(caller);
        } else {
            state.enqueue(caller);
        }
        Some(caller)
    }

    /// Removes a caller. If it had the turn, the next one gets `desk`.
    pub(crate) fn leave(&self, caller: CallerId, desk: Option<Desk>) -> Left {
        let state = &mut *self.state();
        let mut wakers = Vec::new();
        let left = state.callers.remove(&caller);
        let place = left.as_ref().and_then(|left| left.place);
        let was_waiting = place.is_some_and(|place| state.waiting.remove(&place).is_some());
        let was_sent = left.as_ref().is_some_and(|left| matches!(left.status, Status::Sent(_)));
        // The caller was dropped before it had its answer. A caller whose time is up was counted before.
        let is_counted = left.is_none_or(|left| left.has_given_up);
        if !is_counted && (was_waiting || was_sent) {
            state.pace.give_up();
        }
        if state.turn == Some(caller) {
            // A caller that never took its turn has no desk to give back: the desk is still here.
            state.pass_on(desk, &mut wakers);
        }
        Left { is_last: state.callers.is_empty(), wakers }
    }

    /// Gives up the turn, and puts the caller at the end of the line.
    pub(crate) fn yield_turn(&self, caller: CallerId, desk: Desk) {
        self.wake(|state, wakers| {
            // The caller joins the line first. If nobody else waits, it gets the turn back.
            state.enqueue(caller);
            state.pass_on(Some(desk), wakers);
        });
    }

    /// Takes the desk if it is the caller's turn already.
    pub(crate) fn try_turn(&self, caller: CallerId) -> Option<Desk> {
        let state = &mut *self.state();
        state.desk.take_if(|_| state.turn == Some(caller))
    }

    /// Waits for the caller's turn, or for an answer that ends its call.
    pub(crate) fn poll(&self, caller: CallerId, context: &mut Context<'_>) -> Poll<Step> {
        let state = &mut *self.state();
        let Some(Caller { status, waker, .. }) = state.callers.get_mut(&caller) else { return Poll::Pending };
        if matches!(status, Status::Answered(answer) if answer.is_final()) {
            return Poll::Ready(Step::Answered);
        }
        if let Some(desk) = state.desk.take_if(|_| state.turn == Some(caller)) {
            return Poll::Ready(Step::Turn(desk));
        }
        match waker {
            Some(waker) => waker.clone_from(context.waker()),
            None => *waker = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Makes the caller a member of the group at the desk, which has its change.
    pub(crate) fn draft(&self, caller: CallerId, limits: Limits) {
        let state = &mut *self.state();
        if let Some(entry) = state.callers.get_mut(&caller) {
            entry.status = Status::Drafted(limits);
            state.members.push(caller);
        }
    }

    /// How many members the group at the desk has.
    pub(crate) fn members(&self) -> usize {
        self.state().members.len()
    }

    /// Marks the changes of all members as sent, and returns the limits of the write: those of all members that have not left.
    /// The changes of members that were dropped are sent with it.
    ///
    /// Returns `None` if the write must not be sent. All members then run their changes again.
    pub(crate) fn mark_sent(&self, intent: Intent) -> Option<Limits> {
        self.wake(|state, wakers| {
            let limits = state.members.iter().filter_map(|member| match state.callers.get(member)?.status {
                Status::Drafted(limits) => Some(limits),
                _ => None,
            });
            let Some(limits) = limits.reduce(Limits::join).filter(|_| !state.has_withdrawn_change) else {
                // The groups get smaller, so that a caller that gives up again and again spoils fewer changes of others each
                // time.
                let smaller = Answer::Done(Outcome::Smaller((state.members.len() / 2).max(1)));
                state.answer(wakers, |_, _| smaller.clone());
                return None;
            };
            for member in &state.members {
                if let Some(entry) = state.callers.get_mut(member) {
                    entry.status = Status::Sent(intent);
                }
            }
            Some(limits)
        })
    }

    /// Ends the write of the members, and gives each of them the same answer.
    pub(crate) fn answer(&self, answer: &Answer) {
        self.wake(|state, wakers| state.answer(wakers, |_, _| answer.clone()));
    }

    /// Ends the write of the members as applied. Only the last one gets the version, since only its object equals the stored
    /// item.
    pub(crate) fn applied(&self, version: Option<u64>) {
        self.wake(|state, wakers| {
            state.answer(wakers, |index, calls| {
                let version = version.filter(|_| index + 1 == calls);
                Answer::Done(Outcome::Applied { calls, version })
            });
        });
    }

    /// Whether the caller is a member of the group or of its write.
    pub(crate) fn is_member(&self, caller: CallerId) -> bool {
        self.state().members.contains(&caller)
    }

    /// Whether the caller is the only member.
    pub(crate) fn is_only_member(&self, caller: CallerId) -> bool {
        self.state().members == [caller]
    }

    /// Whether any member has not left yet, and so needs the outcome.
    pub(crate) fn is_awaited(&self) -> bool {
        let state = self.state();
        state.members.iter().any(|member| state.callers.contains_key(member))
    }

    /// Takes the caller's answer, if there is one.
    pub(crate) fn take_answer(&self, caller: CallerId) -> Option<Answer> {
        let state = &mut *self.state();
        let status = &mut state.callers.get_mut(&caller)?.status;
        match std::mem::take(status) {
            Status::Answered(answer) => Some(answer),
            other => {
                *status = other;
                None
            }
        }
    }

    /// Ends the wait of a caller whose time is up, and returns how far its change was. A change that was not sent by then will
    /// never be sent.
    pub(crate) fn give_up(&self, caller: CallerId) -> Status {
        let state = &mut *self.state();
        let Some(entry) = state.callers.get_mut(&caller) else { return Status::Idle };
        let status = entry.status.clone();
        if matches!(status, Status::Drafted(_)) {
            entry.status = Status::Idle;
            state.has_withdrawn_change = true;
        }
        status
    }

    /// Counts a caller whose time was up before it had its answer.
    pub(crate) fn note_giving_up(&self, caller: CallerId) {
        let state = &mut *self.state();
        if let Some(entry) = state.callers.get_mut(&caller) {
            entry.has_given_up = true;
            state.pace.give_up();
        }
    }

    /// Whether the item has callers in addition to the one that asks.
    pub(crate) fn others_wait(&self) -> bool {
        self.state().callers.len() > 1
    }

    /// How many callers have joined the line so far.
    pub(crate) fn arrivals(&self) -> u64 {
        self.state().arrivals
    }

    /// Notes how long a turn took.
    pub(crate) fn note_turn_time(&self, time: Duration) {
        let pace = &mut self.state().pace;
        pace.turn = pace.turn * 3 / 4 + time / 4;
    }

    /// How long the next turn may take: one and a half times as long as recent turns took.
    pub(crate) fn expected_turn_time(&self) -> Duration {
        self.state().pace.turn * 3 / 2
    }
}

impl State {
    /// Puts a caller at the end of the line.
    fn enqueue(&mut self, caller: CallerId) {
        let place = self.next_place;
        self.next_place += 1;
        self.waiting.insert(place, caller);
        if let Some(entry) = self.callers.get_mut(&caller) {
            entry.place = Some(place);
        }
    }

    /// Ends a turn, and gives the desk and the next turn to a waiting caller.
    fn pass_on(&mut self, desk: Option<Desk>, wakers: &mut Vec<Waker>) {
        if let Some(desk) = desk {
            // The changes of the members are lost, as after a panic during the turn. Without an answer the members would wait for
            // ever.
            if !desk.holds_changes() {
                self.abandon(wakers);
            }
            self.desk = Some(desk);
        }
        self.turn = self.next();
        if let Some(entry) = self.turn.and_then(|next| self.callers.get_mut(&next)) {
            entry.place = None;
            wakers.extend(entry.waker.take());
        }
    }

    /// Takes the next caller out of the line: the oldest one. Under overload it is the newest one, since that has the most time
    /// left, while the oldest would give up during its turn. Callers that share writes are served together, so their order
    /// matters little.
    fn next(&mut self) -> Option<CallerId> {
        let newest_first =
            !self.coalesces && self.pace.is_overloaded() && self.pace.newest_turns < MAX_NEWEST_TURNS;
        self.pace.newest_turns = if newest_first { self.pace.newest_turns + 1 } else { 0 };
        let next = if newest_first { self.waiting.pop_last() } else { self.waiting.pop_first() };
        next.map(|(_, caller)| caller)
    }

    /// Answers the members whose group or write was lost. A change that was sent may have been applied.
    fn abandon(&mut self, wakers: &mut Vec<Waker>) {
        let sent = self.members.iter().find_map(|member| match self.callers.get(member)?.status {
            Status::Sent(intent) => Some(Answer::Unknown(intent, None)),
            _ => None,
        });
        let answer = sent.unwrap_or(Answer::Done(Outcome::Again));
        self.answer(wakers, |_, _| answer.clone());
    }

    /// Ends the write of the members. `answer` gets the index of a member and their number.
    fn answer(&mut self, wakers: &mut Vec<Waker>, answer: impl Fn(usize, usize) -> Answer) {
        self.has_withdrawn_change = false;
        let members = std::mem::take(&mut self.members);
        for (index, member) in members.iter().enumerate() {
            let Some(entry) = self.callers.get_mut(member) else { continue };
            // This member has given up, and gets no answer.
            if matches!(entry.status, Status::Idle) {
                continue;
            }
            let answer = answer(index, members.len());
            // Only a call that ends is woken. The others find their answers when it is their turn.
            if answer.is_final() {
                wakers.extend(entry.waker.take());
            }
            entry.status = Status::Answered(answer);
        }
    }
}

#[cfg(test)]
mod tests;
