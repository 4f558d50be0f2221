//! Whether some order of the calls explains all their answers: `stateright` seeks it, in short windows of each key.

mod tests;

use std::{collections::BTreeMap, ops::AddAssign};

use dynalock_tests::history::{Action, Answer, Breach, Call, Event, History};
use stateright::semantics::{ConsistencyTester, LinearizabilityTester};

use crate::sequential::{Item, Op, Ret, View, view};

/// A caller, and how many of its calls have not returned: it goes on as somebody else.
type Thread = (u32, u32);

/// The store itself, which does what other programs ask it to.
const STORE: Thread = (0, 0);

/// What was checked.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) windows: u32,
    pub(crate) operations: usize,
    /// How many operations the longest window has.
    pub(crate) longest: usize,
    /// The windows that no order explains.
    pub(crate) unexplained: Vec<Breach>,
}

impl AddAssign for Checked {
    fn add_assign(&mut self, more: Self) {
        self.windows += more.windows;
        self.operations += more.operations;
        self.longest = self.longest.max(more.longest);
        self.unexplained.extend(more.unexplained);
    }
}

/// I13: checks every window of a history.
///
/// A window ends whenever nobody waits for an answer and every call so far has been answered. Then what the store holds
/// is what the next window begins with: nothing before can still have an effect, or some answer was untrue. A call without
/// an answer may have its effect at any later time, so that no window ends behind it but the last one, after everything
/// has arrived. The search is exponential, but nearly every answer tells the whole item, so that a wrong order soon fails.
pub(crate) fn check(history: &History) -> Checked {
    let calls: BTreeMap<u32, &Call> = history.calls.iter().map(|call| (call.id, call)).collect();
    // What failed was not done, and the answer says nothing about the item.
    let answered = |id: &u32| {
        let call = calls.get(id).copied();
        call.filter(|call| call.action != Action::Foreign && call.answer != Answer::Failed)
    };
    let mut windows: BTreeMap<&str, Window> = BTreeMap::new();
    let mut checked = Checked::default();
    for event in &history.events {
        match event {
            Event::Began(id) => {
                let Some(call) = answered(id) else { continue };
                windows.entry(&call.key).or_default().begin(call, Op::of(call, history));
            }
            Event::Ended(id) => {
                let Some(call) = answered(id) else { continue };
                let window = windows.entry(&call.key).or_default();
                window.end(call);
                if window.is_quiet() {
                    checked += window.close(&call.key);
                }
            }
            Event::Applied(index) => {
                let effect = &history.effects[*index];
                let sender = calls.get(&effect.sender);
                // A second item that a call creates is nobody else's.
                if sender.is_some_and(|call| call.key != effect.key) {
                    continue;
                }
                let window = windows.entry(&effect.key).or_default();
                window.stored = view(&effect.after);
                let is_foreign = sender.is_none_or(|call| call.action == Action::Foreign);
                if is_foreign {
                    window.see(view(&effect.before));
                }
            }
        }
    }
    for (key, mut window) in windows {
        checked += window.close(key);
    }
    checked
}

/// The part of a key's history since the last quiet moment.
struct Window {
    tester: LinearizabilityTester<Thread, Item>,
    /// Its calls, by number.
    calls: Vec<u32>,
    under_way: u32,
    /// How many calls of each caller have not returned.
    unanswered: BTreeMap<u32, u32>,
    /// What the store holds.
    stored: View,
}

impl Default for Window {
    fn default() -> Self {
        Self::from(None)
    }
}

impl From<View> for Window {
    fn from(stored: View) -> Self {
        let tester = LinearizabilityTester::new(Item::from(stored.clone()));
        Self { tester, calls: vec![], under_way: 0, unanswered: BTreeMap::new(), stored }
    }
}

impl Window {
    fn thread(&self, call: &Call) -> Thread {
        (call.caller, self.unanswered.get(&call.caller).copied().unwrap_or_default())
    }

    fn begin(&mut self, call: &Call, op: Op) {
        self.under_way += 1;
        self.calls.push(call.id);
        self.tester.on_invoke(self.thread(call), op).expect("a caller makes one call at a time");
    }

    fn end(&mut self, call: &Call) {
        self.under_way -= 1;
        if matches!(call.answer, Answer::Unknown(_) | Answer::Dropped) {
            *self.unanswered.entry(call.caller).or_default() += 1;
        } else {
            self.tester.on_return(self.thread(call), Ret::of(call)).expect("the call began");
        }
    }

    /// Adds what the store made of `before` at this moment.
    fn see(&mut self, before: View) {
        let after = self.stored.clone();
        let ret = Ret { answer: Answer::Ok, seen: after.clone() };
        self.tester
            .on_invret(STORE, Op::Foreign { before, after }, ret)
            .expect("the store does one thing at a time");
    }

    fn is_quiet(&self) -> bool {
        self.under_way == 0 && self.unanswered.is_empty()
    }

    /// Checks the window, with what the store holds at its end, and begins another one.
    fn close(&mut self, key: &str) -> Checked {
        let operations = self.tester.len();
        self.see(self.stored.clone());
        let mut unexplained = vec![];
        if !self.tester.is_consistent() {
            let about = format!("{:?} of {key}", self.calls);
            unexplained.push(Breach { rule: "I13: some order of the calls explains their answers", about });
        }
        *self = Self::from(self.stored.take());
        Checked { windows: u32::from(operations > 0), operations, longest: operations, unexplained }
    }
}
