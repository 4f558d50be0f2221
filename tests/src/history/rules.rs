//! The rules that a history must keep.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::Value;

use super::{Action, Answer, Call, Effect, History, Stored, Versions, application::call_of, log, version};

/// Calls by their numbers.
type Calls<'h> = BTreeMap<u32, &'h Call>;

/// The write stamps of an item, by slot.
fn stamps(item: &Stored) -> BTreeMap<&str, &str> {
    let attributes = item.as_ref().and_then(Value::as_object).into_iter().flatten();
    attributes
        .filter(|(name, _)| name.starts_with("_stamp"))
        .filter_map(|(name, value)| Some((name.as_str(), value["B"].as_str()?)))
        .collect()
}

/// What no writer under test knows of.
fn unknown_attributes(item: &Stored) -> BTreeMap<&str, &Value> {
    let known =
        |name: &str| name.starts_with("_stamp") || matches!(name, "id" | "log" | "even" | "odd" | "version");
    let attributes = item.as_ref().and_then(Value::as_object).into_iter().flatten();
    attributes.map(|(name, value)| (name.as_str(), value)).filter(|(name, _)| !known(name)).collect()
}

/// The marks beside the list: `even` and `odd`.
fn marks(item: &Stored) -> [Option<String>; 2] {
    ["even", "odd"].map(|name| Some(item.as_ref()?[name]["S"].as_str()?.to_owned()))
}

/// What changes make of these marks.
fn marked(before: [Option<String>; 2], appended: &[String]) -> [Option<String>; 2] {
    appended.iter().fold(before, |[even, odd], mark| match call_of(mark) {
        Some(call) if call % 2 == 0 => [Some(mark.clone()), odd],
        Some(_) => [None, Some(mark.clone())],
        None => [even, odd],
    })
}

/// I4, where A3 is kept.
pub const FRESH: &str = "I4: no version of a key comes twice";

/// A rule that a history breaks.
#[derive(Clone, Debug)]
pub struct Breach {
    /// What must hold, with the number of the rule.
    pub rule: &'static str,
    /// What breaks it.
    pub about: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.about)
    }
}

/// Collects what is wrong.
#[derive(Debug, Default)]
pub(super) struct Breaches(Vec<Breach>);

impl Breaches {
    pub(super) fn unless(&mut self, holds: bool, rule: &'static str, about: &dyn fmt::Debug) {
        if !holds {
            self.0.push(Breach { rule, about: format!("{about:?}") });
        }
    }
}

/// So many callers that give up let the last one go first.
const SEVERAL: usize = 4;

impl History {
    /// Returns every breach of the rules; none is what must hold.
    #[must_use]
    pub fn breaches(&self) -> Vec<Breach> {
        let mut breaches = Breaches::default();
        self.check_versions(&mut breaches);
        self.check_creates(&mut breaches);
        for call in &self.calls {
            let bounded = call.requests.0 <= call.requests.1 && call.time.0 <= call.time.1;
            breaches.unless(bounded, "I11: a call has an end", call);
        }
        if self.versions == Versions::Unique {
            self.check_all(&mut breaches);
        }
        breaches.0
    }

    /// The rules that rest on A3: no version of a key comes twice.
    fn check_all(&self, breaches: &mut Breaches) {
        let calls: Calls<'_> = self.calls.iter().map(|call| (call.id, call)).collect();
        let mut stamps_so_far = BTreeSet::new();
        for effect in &self.effects {
            let Some(sender) = calls.get(&effect.sender) else { continue };
            if sender.action == Action::Foreign {
                continue;
            }
            check_change(sender, effect, breaches);
            check_sharing(sender, effect, &calls, breaches);
            if effect.after.is_some() && sender.stamps > 0 {
                check_stamp(sender, effect, &mut stamps_so_far, breaches);
            }
        }
        self.check_turns(&calls, breaches);
        for call in &self.calls {
            self.check_answer(call, breaches);
            self.check_moment(call, breaches);
        }
    }

    /// The states of an item while a call was under way.
    #[must_use]
    pub fn states_during(&self, call: &Call) -> Vec<&Stored> {
        let of_key = |effect: &&Effect| effect.key == call.key;
        let first =
            self.effects[..call.began].iter().rev().find(of_key).map_or(&None, |effect| &effect.after);
        let later = self.effects[call.began..call.ended].iter().filter(of_key).map(|effect| &effect.after);
        std::iter::once(first).chain(later).collect()
    }

    /// I4, for everybody. An item that comes back after a delete may begin below the deleted one: its creator has looked at the
    /// clock before another one had created and deleted the item.
    fn check_versions(&self, breaches: &mut Breaches) {
        let mut used: BTreeSet<(&str, u64)> = BTreeSet::new();
        for effect in self.effects.iter().filter(|effect| effect.after.is_some()) {
            let (old, new) = (version(&effect.before), version(&effect.after));
            let increases = effect.before.is_none() || new > old;
            breaches.unless(increases, "I4: the versions of an item strictly increase", effect);
            let is_fresh = used.insert((&effect.key, new)) || self.versions == Versions::Reused;
            breaches.unless(is_fresh, FRESH, effect);
        }
    }

    /// Calls for one item that share a table are applied in the order in which they came, but for those that had to run
    /// again. Where they do not share writes and several of them have given up, the last one goes first.
    fn check_turns(&self, calls: &Calls<'_>, breaches: &mut Breaches) {
        let mut last: BTreeMap<(u32, &str), u32> = BTreeMap::new();
        for (place, effect) in self.effects.iter().enumerate() {
            let carried = effect.appended.iter().filter_map(|mark| calls.get(&call_of(mark)?));
            // A create that is under way for long may be applied when its call has ended.
            let in_turn = |call: &&&Call| call.action.takes_turns() && call.runs == 1 && place < call.ended;
            for call in carried.filter(in_turn).filter(|call| call.program == effect.program) {
                let before = last.insert((call.program, &call.key), call.id);
                let in_order =
                    before <= Some(call.id) || !call.coalesces && self.gave_up(call, place) >= SEVERAL;
                breaches.unless(in_order, "turns are taken in order", &(call, effect));
            }
        }
    }

    /// How many callers in the line of `call` had given up before the effect at `place`, or may have.
    fn gave_up(&self, call: &Call, place: usize) -> usize {
        let in_line = |other: &&Call| {
            other.action.takes_turns() && (other.program, &other.key) == (call.program, &call.key)
        };
        let gave_up =
            |other: &&Call| matches!(other.answer, Answer::Dropped | Answer::Unknown(_) | Answer::Failed);
        self.calls.iter().filter(in_line).filter(gave_up).filter(|other| other.ended <= place).count()
    }

    /// I2, I3, I6 and I7: how often a call was applied, by what it answered.
    fn check_answer(&self, call: &Call, breaches: &mut Breaches) {
        let applied: Vec<_> = self.applications(call).collect();
        let (least, most) = match call.answer {
            Answer::Open => return,
            _ if call.action == Action::Get => (0, 0),
            Answer::Ok => (1, 1),
            Answer::AlreadyGone | Answer::Unknown(None) | Answer::Dropped => (0, 1),
            Answer::Unknown(Some(applied)) => (usize::from(applied), usize::from(applied)),
            Answer::Conflict
            | Answer::AlreadyExists
            | Answer::NotFound
            | Answer::ConditionFailed
            | Answer::Refused
            | Answer::Failed => (0, 0),
        };
        let rule = match call.answer {
            Answer::Ok => "I2: Ok is applied exactly once",
            Answer::Unknown(_) | Answer::AlreadyGone => {
                "I6: an open outcome is none or one effect, as read later"
            }
            Answer::Dropped => "I9: a dropped call is none or one effect",
            _ => "I3: a refusal is never applied",
        };
        breaches.unless((least..=most).contains(&applied.len()), rule, &(call, &applied));
        for applied in applied {
            let about = (call, applied.effect);
            let is_last_run = applied.mark().is_none_or(|mark| mark == call.mark());
            breaches.unless(is_last_run, "I7: only the last run of a change is applied", &about);
            if call.answer == Answer::Ok {
                let in_time = (call.began..call.ended).contains(&applied.index);
                breaches.unless(in_time, "I13: Ok is applied before it is answered", &about);
                let is_left = !call.action.returns_item() || call.seen == Some(applied.left());
                breaches.unless(is_left, "I8: Ok returns the item as the change left it", &about);
            }
        }
    }

    /// I13: there is a moment between a call's beginning and its end at which its answer is right. The store's own order
    /// is known, so that no other one needs to be sought.
    fn check_moment(&self, call: &Call, breaches: &mut Breaches) {
        let states = self.states_during(call);
        let at_some_moment = |holds: &dyn Fn(&Stored) -> bool| states.iter().any(|state| holds(state));
        let refuses = |state: &Stored| call.action.refuses(log(state).len());
        let shows = |state: &Stored, seen: &(u64, Vec<String>)| {
            state.is_some() && (version(state), log(state)) == *seen
        };
        let is_expected = |state: &Stored| call.action.runs_again() || version(state) == call.expected;
        let right = match (call.answer, &call.seen) {
            (Answer::NotFound | Answer::AlreadyGone, _) => at_some_moment(&Option::is_none),
            (Answer::AlreadyExists, None) => at_some_moment(&Option::is_some),
            (Answer::ConditionFailed, seen) => at_some_moment(&|state| {
                is_expected(state) && refuses(state) && seen.as_ref().is_none_or(|seen| shows(state, seen))
            }),
            (Answer::Refused, Some(seen)) => at_some_moment(&|state| shows(state, seen) && refuses(state)),
            // Without an item, a conflict says only that the check failed.
            (Answer::Conflict, None) => at_some_moment(&|state| {
                call.expected == 0 || version(state) != call.expected || refuses(state)
            }),
            // What a write returns need not be stored, if others' changes go with it.
            (Answer::Ok, Some(seen)) if call.action == Action::Get => {
                at_some_moment(&|state| shows(state, seen))
            }
            (Answer::Conflict | Answer::AlreadyExists, Some(seen)) => {
                at_some_moment(&|state| shows(state, seen))
            }
            _ => true,
        };
        breaches.unless(right, "I13: an answer is right at some moment of its call", &call);
    }
}

/// I1, I4 and I10: what a write changes, and that it leaves everything else as it was.
fn check_change(sender: &Call, effect: &Effect, breaches: &mut Breaches) {
    let about = (sender, effect);
    let (old, new) = (version(&effect.before), version(&effect.after));
    if sender.action == Action::Delete {
        let deleted = effect.after.is_none() && old == sender.expected;
        return breaches.unless(deleted, "I1: a delete removes the version that its caller saw", &about);
    }
    // A first version comes from the clock.
    let stepped = old == 0 || new == old + sender.step;
    breaches.unless(stepped, "I4: a write raises the version by its step, once", &about);
    let (found, left) = (log(&effect.before), log(&effect.after));
    let builds = left.len() == found.len() + effect.appended.len();
    breaches.unless(builds, "I1: a write builds on what it found", &about);
    let expected = marked(marks(&effect.before), &effect.appended);
    breaches.unless(marks(&effect.after) == expected, "I1: a write carries all of each change", &about);
    let kept = unknown_attributes(&effect.before) == unknown_attributes(&effect.after);
    let keeps = effect.operation == "UpdateItem";
    breaches.unless(kept || !keeps, "I10: attributes that a struct does not know survive", &about);
}

/// I2: a write carries the change of the call that sends it, or those of calls that share it.
fn check_sharing(sender: &Call, effect: &Effect, calls: &Calls<'_>, breaches: &mut Breaches) {
    let marks = effect.appended.iter();
    let carried: Vec<_> = marks.filter_map(|mark| calls.get(&call_of(mark)?).copied()).collect();
    let shares = |call: &&Call| {
        let is_shared = call.action.takes_turns() && !matches!(call.action, Action::UpdateIf(_));
        call.coalesces && is_shared && (call.program, &call.key) == (sender.program, &effect.key)
    };
    let right = match (&carried[..], sender.action) {
        (changes, Action::Touch | Action::Delete) => changes.is_empty(),
        ([only], _) if only.id == sender.id => true,
        (changes, _) => !changes.is_empty() && changes.iter().all(shares),
    };
    breaches.unless(
        right && carried.len() == effect.appended.len(),
        "I2: a write carries the changes of those who share it",
        &(sender, effect),
    );
}

/// I5: a write leaves one stamp, whosever changes it carries, in its slot, and no other write has the same.
fn check_stamp(sender: &Call, effect: &Effect, all: &mut BTreeSet<String>, breaches: &mut Breaches) {
    let before = stamps(&effect.before);
    let after = stamps(&effect.after);
    let slot = format!("_stamp{}", version(&effect.after) / sender.step % sender.stamps);
    let own = after.get(&*slot).map(|stamp| (*stamp).to_owned()).unwrap_or_default();
    breaches.unless(!own.is_empty() && all.insert(own), "I5: each stamp is applied once", &(sender, effect));
    if effect.operation == "UpdateItem" {
        let others = |stamps: BTreeMap<&str, &str>| -> Vec<String> {
            stamps.iter().filter(|(name, _)| **name != slot).map(|stamp| format!("{stamp:?}")).collect()
        };
        breaches.unless(
            others(before) == others(after),
            "I5: a write leaves other stamps",
            &(sender, effect),
        );
    }
}
