//! What an item is to callers that come one after the other: the specification that concurrent calls are held to.

use std::rc::Rc;

use dynalock_tests::history::{Action, Answer, Call, Effect, Stored, log, version};
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
        action: Action,
        expected: u64,
        step: u64,
        /// The version that it gives to an item without one. That is a time, which no specification foretells.
        first: u64,
        mark: Mark,
    },
    /// What another program made of the item.
    Foreign { before: View, after: View },
}

impl Op {
    pub(crate) fn of(call: &Call, effects: &[Effect]) -> Self {
        let applied = effects.iter().find(|effect| effect.call == call.id);
        Self::Call {
            action: call.action,
            expected: call.expected,
            step: call.step,
            first: applied.map_or(0, |effect| version(&effect.after)),
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
pub(crate) struct Item(pub(crate) View);

impl Item {
    /// What `op` leaves of the item, if its check holds.
    fn written(&self, op: &Op) -> Option<View> {
        let (action, expected, step, first, mark) = match op {
            Op::Foreign { before, after } => return (self.0 == *before).then(|| after.clone()),
            Op::Call { action, expected, step, first, mark } => (*action, *expected, *step, *first, mark),
        };
        let (version, list) = match (&self.0, action) {
            (None, Action::Create | Action::UpdateOrCreate) => (0, &[][..]),
            (None, _) | (Some(_), Action::Create | Action::Get) => return None,
            (Some((version, list)), _) => (*version, &**list),
        };
        let is_expected = takes_any_version(action) || version == expected;
        if !is_expected || action.refuses(list.len()) {
            return None;
        }
        if action == Action::Delete {
            return Some(None);
        }
        let version = if version == 0 { first } else { version + step };
        let mark = Some(mark).filter(|_| action != Action::Touch);
        Some(Some((version, list.iter().chain(mark).cloned().collect())))
    }

    /// What `op` leaves of the item, if `ret` is a true answer.
    fn left(&self, op: &Op, ret: &Ret) -> Option<View> {
        let is_get = matches!(op, Op::Call { action: Action::Get, .. });
        match ret.answer {
            Answer::Ok if is_get => (self.0.is_some() && self.0 == ret.seen).then(|| self.0.clone()),
            Answer::Ok => self.written(op).filter(|written| *written == ret.seen),
            // It may be its own first request that deleted the item.
            Answer::AlreadyGone if self.0.is_some() => self.written(op),
            Answer::AlreadyGone => Some(None),
            _ => self.refuses(op, ret).then(|| self.0.clone()),
        }
    }

    /// Whether `op` may be refused so: for that reason, and with this item, if the caller was told one.
    fn refuses(&self, op: &Op, Ret { answer, seen }: &Ret) -> bool {
        let &Op::Call { action, expected, .. } = op else { return false };
        let is_seen = seen.is_none() || self.0 == *seen;
        let is_refused = self.written(op).is_none();
        is_seen
            && match answer {
                Answer::NotFound => self.0.is_none(),
                // Calls that take any version give up when others were faster each time.
                Answer::Conflict | Answer::AlreadyExists => {
                    is_refused || takes_any_version(action) && action != Action::Create
                }
                Answer::ConditionFailed => {
                    is_refused && self.0.as_ref().is_some_and(|(version, _)| *version == expected)
                }
                Answer::Refused => is_refused && self.0.is_some(),
                _ => false,
            }
    }
}

fn takes_any_version(action: Action) -> bool {
    use Action::{Create, TryUpdate, Update, UpdateOrCreate};
    matches!(action, Create | Update | TryUpdate(_) | UpdateOrCreate)
}

impl SequentialSpec for Item {
    type Op = Op;
    type Ret = Ret;

    /// What becomes of a call that never returns.
    fn invoke(&mut self, op: &Op) -> Ret {
        let answer = match self.written(op) {
            Some(written) => {
                self.0 = written;
                Answer::Ok
            }
            None => Answer::Conflict,
        };
        Ret { answer, seen: self.0.clone() }
    }

    fn is_valid_step(&mut self, op: &Op, ret: &Ret) -> bool {
        let Some(left) = self.left(op, ret) else { return false };
        self.0 = left;
        true
    }
}
