//! What an item is to callers that come one after the other: the specification that concurrent calls are held to.

use std::rc::Rc;

use dynalock_tests::history::{Action, Answer, Call, History, Stored, log, version};
use stateright::semantics::SequentialSpec;

/// What a caller sees of an item: its version and its list.
pub(crate) type View = Option<(u64, Rc<[Mark]>)>;

/// What a write appends to the list.
pub(crate) type Mark = Rc<str>;

pub(crate) fn view(item: &Stored) -> View {
    item.is_some().then(|| (version(item), log(item).into_iter().map(Mark::from).collect()))
}

/// What is done to an item.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// A call whose answer must be true.
    Call {
        program: u32,
        action: Action,
        expected: u64,
        step: u64,
        /// The version that it gives to an item without one. That is a time, which no specification foretells.
        first: u64,
        /// Whether its write carries later changes of the same program: then those raise the version.
        is_followed: bool,
        mark: Mark,
    },
    /// What another program made of the item.
    Foreign { before: View, after: View },
}

impl Op {
    pub(crate) fn of(call: &Call, history: &History) -> Self {
        let applied = history.applications(call).next();
        Self::Call {
            program: call.program,
            action: call.action,
            expected: call.expected,
            step: call.step,
            first: applied.map_or(0, |applied| version(&applied.effect.after)),
            is_followed: applied.is_some_and(|applied| !applied.is_last()),
            mark: call.mark().into(),
        }
    }
}

/// How it ended, and the item that the caller was told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ret {
    pub(crate) answer: Answer,
    pub(crate) seen: View,
}

impl Ret {
    pub(crate) fn of(call: &Call) -> Self {
        let seen = call.seen.as_ref();
        let seen =
            seen.map(|(version, list)| (*version, list.iter().map(|mark| mark.as_str().into()).collect()));
        Self { answer: call.answer, seen }
    }
}

/// The item.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    view: View,
    /// The program whose write is half made. Nobody else comes in between.
    half_made_by: Option<u32>,
}

impl From<View> for Item {
    fn from(view: View) -> Self {
        Self { view, half_made_by: None }
    }
}

impl Item {
    /// Whether `op` may come next.
    fn admits(&self, op: &Op) -> bool {
        self.half_made_by.is_none_or(
            |by| matches!(op, Op::Call { program, action, .. } if *program == by && action.takes_turns()),
        )
    }

    /// What `op` leaves of the item, if its check holds.
    fn written(&self, op: &Op) -> Option<Self> {
        let (action, expected, mark) = match op {
            Op::Foreign { before, after } => {
                return (self.view == *before).then(|| Self::from(after.clone()));
            }
            Op::Call { action, expected, mark, .. } => (*action, *expected, mark),
        };
        let (version, list) = match (&self.view, action) {
            (None, action) if action.creates() => (0, &[][..]),
            (None, _) | (Some(_), Action::Create(_) | Action::Get) => return None,
            (Some((version, list)), _) => (*version, &**list),
        };
        let is_expected = takes_any_version(action) || version == expected;
        if !is_expected || action.refuses(list.len()) {
            return None;
        }
        if action == Action::Delete {
            return Some(Self::from(None));
        }
        let (version, half_made_by) = match *op {
            Op::Call { program, is_followed: true, .. } => (version, Some(program)),
            Op::Call { first, .. } if version == 0 => (first, None),
            Op::Call { step, .. } => (version + step, None),
            Op::Foreign { .. } => return None,
        };
        let mark = Some(mark).filter(|_| action != Action::Touch);
        let view = Some((version, list.iter().chain(mark).cloned().collect()));
        Some(Self { view, half_made_by })
    }

    /// What `op` leaves of the item, if `ret` is a true answer.
    fn left(&self, op: &Op, ret: &Ret) -> Option<Self> {
        let is_get = matches!(op, Op::Call { action: Action::Get, .. });
        match ret.answer {
            _ if !self.admits(op) => None,
            Answer::Ok if is_get => (self.view.is_some() && self.view == ret.seen).then(|| self.clone()),
            Answer::Ok => self.written(op).filter(|written| {
                written.view == ret.seen || matches!(op, Op::Call { action, .. } if !action.returns_item())
            }),
            // It may be its own first request that deleted the item.
            Answer::AlreadyGone if self.view.is_some() => self.written(op),
            Answer::AlreadyGone => Some(self.clone()),
            // It rests on what is stored.
            _ => (self.half_made_by.is_none() && self.refuses(op, ret)).then(|| self.clone()),
        }
    }

    /// Whether `op` may be refused so: for that reason, and with this item, if the caller was told one.
    fn refuses(&self, op: &Op, Ret { answer, seen }: &Ret) -> bool {
        let &Op::Call { action, expected, .. } = op else { return false };
        let is_seen = seen.is_none() || self.view == *seen;
        let is_refused = self.written(op).is_none();
        is_seen
            && match answer {
                Answer::NotFound => self.view.is_none(),
                // Calls that take any version give up when others were faster each time.
                Answer::Conflict | Answer::AlreadyExists => is_refused || action.runs_again(),
                Answer::ConditionFailed => {
                    let is_expected = |version| takes_any_version(action) || version == expected;
                    is_refused && self.view.as_ref().is_some_and(|(version, _)| is_expected(*version))
                }
                Answer::Refused => is_refused && self.view.is_some(),
                _ => false,
            }
    }
}

fn takes_any_version(action: Action) -> bool {
    action.creates() || action.runs_again()
}

impl SequentialSpec for Item {
    type Op = Op;
    type Ret = Ret;

    /// What becomes of a call that never returns.
    fn invoke(&mut self, op: &Op) -> Ret {
        let answer = match self.written(op).filter(|_| self.admits(op)) {
            Some(written) => {
                *self = written;
                Answer::Ok
            }
            None => Answer::Conflict,
        };
        Ret { answer, seen: self.view.clone() }
    }

    fn is_valid_step(&mut self, op: &Op, ret: &Ret) -> bool {
        let Some(left) = self.left(op, ret) else { return false };
        *self = left;
        true
    }
}
