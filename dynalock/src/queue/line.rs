//! The callers of one item: who waits, whose turn it is, and how far each caller's change is.
//!
//! A caller waits, gets the turn, and leaves. A change takes these steps, each for all members of a write at once, under one lock:
//!
//! ```text
//!          draft             mark_sent          answer
//!   Idle ─────────▶ Drafted ───────────▶ Sent ──────────▶ Answered ──▶ Idle, where the caller goes on
//!    ▲                 │ give_up: the change must not be sent, so that the whole group is dropped
//!    └─────────────────┘
//! ```

use std::collections::BTreeMap;
use std::sync::PoisonError;
#[cfg(not(test))]
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

// The unit tests explore how threads interleave.
#[cfg(test)]
use shuttle::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::error::sdk_failure::SdkFailure;
use crate::queue::desk::Desk;
use crate::send::limits::Limits;
use crate::write::intent::Intent;

/// How many callers may wait for one item.
const LIMIT: usize = 10_000;

/// So many callers that give up, with less than this time between them, are a sign that more come than can be served.
const SEVERAL: u32 = 4;
const UNTIL_CALM: Duration = Duration::from_secs(1);

/// While the newest goes first, one turn in so many is the oldest caller's.
const TURNS_OF_THE_NEWEST: u32 = 16;

/// Stands for a caller: how many had come before it.
pub(crate) type CallerId = u64;

/// How a write ended for one of its members, where that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Applied, with the changes of so many calls. The last one's object is what is stored, at this version; the others
    /// changed what is no longer so.
    Applied { calls: usize, version: Option<u64> },
    /// Not applied: to be done again.
    Again,
    /// Not applied, and one of several members may be at fault: each is to go on in a group of this size. Half of the last
    /// one, so that the one at fault is found after few writes.
    Smaller(usize),
}

/// What a member of a write gets.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Done(Outcome),
    /// Not applied, for a reason that every write to the table would meet.
    Refused(Box<SdkFailure>),
    /// Sent, and its outcome cannot be found out, perhaps for this reason.
    Lost(Intent, Option<Box<SdkFailure>>),
}

impl Answer {
    /// Whether the call ends with it. A caller that has to go on keeps its place in the line instead.
    pub(crate) fn is_final(&self) -> bool {
        !matches!(self, Self::Done(Outcome::Again | Outcome::Smaller(_)))
    }
}

/// How far a caller's change is.
#[derive(Debug, Clone, Default)]
pub(crate) enum Status {
    /// No change of the caller's is in a write.
    #[default]
    Idle,
    Drafted(Limits),
    Sent(Intent),
    Answered(Answer),
}

/// What a caller gets that waits.
pub(crate) enum Step {
    Turn(Desk),
    /// There is an answer with which the call ends.
    Answered,
}

/// All callers of one item.
pub(crate) struct Line(Mutex<State>);

struct State {
    coalesces: bool,
    callers: BTreeMap<CallerId, Caller>,
    arrivals: u64,
    /// Those who wait, in the order of their places.
    waiting: BTreeMap<u64, CallerId>,
    places: u64,
    /// Whose turn it is.
    turn: Option<CallerId>,
    /// Until the caller whose turn it is takes it.
    desk: Option<Desk>,
    /// Whose changes are in the group at the desk or in the write under way, in the order of their changes. Some may have left.
    members: Vec<CallerId>,
    /// A member has given up whose change must not be sent.
    is_spoiled: bool,
    pace: Pace,
}

struct Caller {
    /// While it waits.
    place: Option<u64>,
    status: Status,
    waker: Option<Waker>,
}

/// What lately happened in the line.
#[derive(Default)]
struct Pace {
    /// How long a turn took, smoothed.
    turn: Duration,
    /// How many callers gave up, and when the last one did, since the line was calm.
    gave_up: Option<(u32, Instant)>,
    /// Turns of the newest, since the oldest had one.
    newest: u32,
}

impl Pace {
    /// Notes that a caller gave up before it had its answer.
    fn give_up(&mut self) {
        let earlier = self.gave_up.filter(|_| !self.is_calm()).map_or(0, |(callers, _)| callers);
        self.gave_up = Some((earlier.saturating_add(1), Instant::now()));
    }

    fn is_calm(&self) -> bool {
        self.gave_up.is_none_or(|(_, last)| last.elapsed() > UNTIL_CALM)
    }

    /// Whether more callers come than can be served.
    fn is_overloaded(&self) -> bool {
        !self.is_calm() && self.gave_up.is_some_and(|(callers, _)| callers >= SEVERAL)
    }
}

/// What is left to do after a caller has left, once no lock is held.
#[must_use = "the next caller is to be woken"]
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
            places: 0,
            turn: None,
            desk: Some(Desk::Empty),
            members: Vec::new(),
            is_spoiled: false,
            pace: Pace::default(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and wakes those whom `change` names when the lock is free again.
    fn wake<R>(&self, change: impl FnOnce(&mut State, &mut Vec<Waker>) -> R) -> R {
        let mut wakers = Vec::new();
        let result = change(&mut self.state(), &mut wakers);
        wakers.into_iter().for_each(Waker::wake);
        result
    }

    /// Adds a caller at the end; `None` if too many wait.
    pub(crate) fn join(&self) -> Option<CallerId> {
        let state = &mut *self.state();
        if state.callers.len() >= LIMIT {
            return None;
        }
        let caller = state.arrivals;
        state.arrivals += 1;
        state.callers.insert(caller, Caller { place: None, status: Status::Idle, waker: None });
        if state.turn.is_none() {
            state.turn = Some(caller);
        } else {
            state.enqueue(caller);
        }
        Some(caller)
    }

    /// Removes a caller. Where it was its turn, the next one gets `desk`.
    pub(crate) fn leave(&self, caller: CallerId, desk: Option<Desk>) -> Left {
        let state = &mut *self.state();
        let mut wakers = Vec::new();
        if let Some(Caller { place, status, .. }) = state.callers.remove(&caller) {
            // One that is dropped, since one whose time is up has given up before.
            if place.is_some_and(|place| state.waiting.remove(&place).is_some())
                || matches!(status, Status::Sent(_))
            {
                state.pace.give_up();
            }
        }
        if state.turn == Some(caller) {
            // If the turn was never taken, the desk is still here.
            state.pass_on(desk, &mut wakers);
        }
        Left { is_last: state.callers.is_empty(), wakers }
    }

    /// Gives the turn up and goes to the end of the line.
    pub(crate) fn yield_turn(&self, caller: CallerId, desk: Desk) {
        self.wake(|state, wakers| {
            state.enqueue(caller);
            state.pass_on(Some(desk), wakers);
        });
    }

    /// The desk, if it is the caller's turn already.
    pub(crate) fn try_turn(&self, caller: CallerId) -> Option<Desk> {
        let state = &mut *self.state();
        state.desk.take_if(|_| state.turn == Some(caller))
    }

    /// Waits for the caller's turn, or for an answer with which its call ends.
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

    /// Makes the caller a member of the group at the desk, which holds its change from now on.
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

    /// Lets the group's write go out, within the limits of all members that are still there; `None` if it must not be sent. The
    /// change of a member that was dropped goes with it.
    pub(crate) fn mark_sent(&self, intent: Intent) -> Option<Limits> {
        self.wake(|state, wakers| {
            let limits = state.members.iter().filter_map(|member| match state.callers.get(member)?.status {
                Status::Drafted(limits) => Some(limits),
                _ => None,
            });
            let Some(limits) = limits.reduce(Limits::join).filter(|_| !state.is_spoiled) else {
                // In halves, so that who gives up again and again holds up the others only so often.
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

    /// Ends the write of the members as applied. The last one's object has the version that is stored.
    pub(crate) fn applied(&self, version: Option<u64>) {
        self.wake(|state, wakers| {
            state.answer(wakers, |place, calls| {
                let version = version.filter(|_| place + 1 == calls);
                Answer::Done(Outcome::Applied { calls, version })
            });
        });
    }

    /// Whether the caller is a member of the write, or the only one.
    pub(crate) fn is_member(&self, caller: CallerId) -> bool {
        self.state().members.contains(&caller)
    }

    pub(crate) fn is_only_member(&self, caller: CallerId) -> bool {
        self.state().members == [caller]
    }

    /// Whether any member still waits for its answer.
    pub(crate) fn is_awaited(&self) -> bool {
        let state = self.state();
        state.members.iter().any(|member| state.callers.contains_key(member))
    }

    /// The caller's answer, which it gets once.
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

    /// Ends the wait of a caller whose time is up, and returns how far its change was. One that is not sent never is.
    pub(crate) fn give_up(&self, caller: CallerId) -> Status {
        let state = &mut *self.state();
        let Some(entry) = state.callers.get_mut(&caller) else { return Status::Idle };
        let status = entry.status.clone();
        if matches!(status, Status::Drafted(_)) {
            entry.status = Status::Idle;
            state.is_spoiled = true;
        }
        status
    }

    /// Notes that the time of a caller was up before it had its answer.
    pub(crate) fn note_giving_up(&self) {
        self.state().pace.give_up();
    }

    pub(crate) fn others_wait(&self) -> bool {
        self.state().callers.len() > 1
    }

    /// How many callers have come so far.
    pub(crate) fn arrivals(&self) -> u64 {
        self.state().arrivals
    }

    /// Notes how long a turn took.
    pub(crate) fn took(&self, time: Duration) {
        let pace = &mut self.state().pace;
        pace.turn = pace.turn * 3 / 4 + time / 4;
    }

    /// How long a turn may take: half as long again as it lately took.
    pub(crate) fn time_for_a_turn(&self) -> Duration {
        self.state().pace.turn * 3 / 2
    }
}

impl State {
    /// Puts a caller at the end of the line.
    fn enqueue(&mut self, caller: CallerId) {
        let place = self.places;
        self.places += 1;
        self.waiting.insert(place, caller);
        if let Some(entry) = self.callers.get_mut(&caller) {
            entry.place = Some(place);
        }
    }

    /// Ends a turn, and gives the next one to a caller that waits.
    fn pass_on(&mut self, desk: Option<Desk>, wakers: &mut Vec<Waker>) {
        if let Some(desk) = desk {
            // As where a panic ended the last turn.
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

    /// Takes the caller out of the line that goes next: the one that came first. While callers give up, it is the one that came
    /// last, since it has the most time left. Where callers share writes, all go at once and the order matters little.
    fn next(&mut self) -> Option<CallerId> {
        let newest_first =
            !self.coalesces && self.pace.is_overloaded() && self.pace.newest < TURNS_OF_THE_NEWEST;
        self.pace.newest = if newest_first { self.pace.newest + 1 } else { 0 };
        let next = if newest_first { self.waiting.pop_last() } else { self.waiting.pop_first() };
        next.map(|(_, caller)| caller)
    }

    /// Ends the write of the members where neither their group nor an answer is left.
    fn abandon(&mut self, wakers: &mut Vec<Waker>) {
        let sent = self.members.iter().find_map(|member| match self.callers.get(member)?.status {
            Status::Sent(intent) => Some(Answer::Lost(intent, None)),
            _ => None,
        });
        let answer = sent.unwrap_or(Answer::Done(Outcome::Again));
        self.answer(wakers, |_, _| answer.clone());
    }

    /// Ends the write of the members. Each gets the answer for its place among all of them.
    fn answer(&mut self, wakers: &mut Vec<Waker>, answer: impl Fn(usize, usize) -> Answer) {
        self.is_spoiled = false;
        let members = std::mem::take(&mut self.members);
        for (place, member) in members.iter().enumerate() {
            let Some(entry) = self.callers.get_mut(member) else { continue };
            // One that has given up is no member any more.
            if matches!(entry.status, Status::Idle) {
                continue;
            }
            let answer = answer(place, members.len());
            if answer.is_final() {
                wakers.extend(entry.waker.take());
            }
            entry.status = Status::Answered(answer);
        }
    }
}

#[cfg(test)]
mod tests;
