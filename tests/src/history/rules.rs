//! The rules that a history must keep.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::Value;

use super::{Action, Answer, Call, Effect, History, Stored, log, version};

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
    let known = |name: &str| name.starts_with("_stamp") || matches!(name, "id" | "log" | "version");
    let attributes = item.as_ref().and_then(Value::as_object).into_iter().flatten();
    attributes.map(|(name, value)| (name.as_str(), value)).filter(|(name, _)| !known(name)).collect()
}

/// Collects what is wrong.
#[derive(Debug, Default)]
struct Breaches(Vec<String>);

impl Breaches {
    fn unless(&mut self, holds: bool, rule: &str, about: &dyn fmt::Debug) {
        if !holds {
            self.0.push(format!("{rule}: {about:?}"));
        }
    }
}

impl History {
    /// Returns every breach of the rules, worded with the rule's number; none is what must hold.
    #[must_use]
    pub fn breaches(&self) -> Vec<String> {
        let mut breaches = Breaches::default();
        self.check_versions(&mut breaches);
        let calls: BTreeMap<u32, &Call> = self.calls.iter().map(|call| (call.id, call)).collect();
        let mut stamps_so_far = BTreeSet::new();
        for effect in &self.effects {
            let Some(call) = calls.get(&effect.call) else { continue };
            if call.action == Action::Foreign {
                continue;
            }
            check_change(call, effect, &mut breaches);
            if effect.after.is_some() && call.stamps > 0 {
                check_stamp(call, effect, &mut stamps_so_far, &mut breaches);
            }
        }
        for call in &self.calls {
            self.check_answer(call, &mut breaches);
            self.check_moment(call, &mut breaches);
            let bounded = call.requests.0 <= call.requests.1 && call.time.0 <= call.time.1;
            breaches.unless(bounded, "I11: a call has an end", call);
        }
        breaches.0
    }

    /// The states of an item while a call was under way.
    fn states_during(&self, call: &Call) -> Vec<&Stored> {
        let of_key = |effect: &&Effect| effect.key == call.key;
        let first =
            self.effects[..call.began].iter().rev().find(of_key).map_or(&None, |effect| &effect.after);
        let later = self.effects[call.began..call.ended].iter().filter(of_key).map(|effect| &effect.after);
        std::iter::once(first).chain(later).collect()
    }

    /// I4, for everybody: no version of a key is ever used twice.
    fn check_versions(&self, breaches: &mut Breaches) {
        let mut highest: BTreeMap<&str, u64> = BTreeMap::new();
        for effect in self.effects.iter().filter(|effect| effect.after.is_some()) {
            let version = version(&effect.after);
            let before = highest.insert(&effect.key, version);
            let increases = before.is_none_or(|before| version > before);
            breaches.unless(increases, "I4: versions of a key strictly increase", effect);
        }
    }

    /// I2, I3, I6 and I7: how often a call was applied, by what it answered.
    fn check_answer(&self, call: &Call, breaches: &mut Breaches) {
        let effects: Vec<_> = self.effects_of(call).collect();
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
        breaches.unless((least..=most).contains(&effects.len()), rule, &(call, &effects));
        let last_run = call.mark();
        for (index, effect) in effects {
            if !matches!(call.action, Action::Touch | Action::Delete) {
                let own = log(&effect.after).last() == Some(&last_run);
                breaches.unless(own, "I7: only the last run of a change is applied", &(call, effect));
            }
            if call.answer == Answer::Ok {
                let in_time = (call.began..call.ended).contains(&index);
                breaches.unless(in_time, "I13: Ok is applied before it is answered", &(call, effect));
                let seen = call.seen.as_ref().map(|(version, _)| *version);
                let raised = effect.after.is_none() || seen == Some(version(&effect.after));
                breaches.unless(raised, "I8: Ok returns the version that was stored", &(call, effect));
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
        let right = match (call.answer, &call.seen) {
            (Answer::NotFound | Answer::AlreadyGone, _) => at_some_moment(&Option::is_none),
            (Answer::AlreadyExists, None) => at_some_moment(&Option::is_some),
            (Answer::ConditionFailed, _) => {
                at_some_moment(&|state| version(state) == call.expected && refuses(state))
            }
            (Answer::Refused, Some(seen)) => at_some_moment(&|state| shows(state, seen) && refuses(state)),
            // Without an item, a conflict says only that the check failed.
            (Answer::Conflict, None) => at_some_moment(&|state| {
                call.expected == 0 || version(state) != call.expected || refuses(state)
            }),
            (Answer::Ok | Answer::Conflict | Answer::AlreadyExists, Some(seen)) => {
                at_some_moment(&|state| shows(state, seen))
            }
            _ => true,
        };
        breaches.unless(right, "I13: an answer is right at some moment of its call", &call);
    }
}

/// I1, I4 and I10: what a write changes, and that it leaves everything else as it was.
fn check_change(call: &Call, effect: &Effect, breaches: &mut Breaches) {
    let about = (call, effect);
    let (old, new) = (version(&effect.before), version(&effect.after));
    if call.action == Action::Delete {
        let deleted = effect.after.is_none() && old == call.expected;
        return breaches.unless(deleted, "I1: a delete removes the version that its caller saw", &about);
    }
    // A first version comes from the clock.
    let stepped = old == 0 || new == old + call.step;
    breaches.unless(stepped, "I4: a write raises the version by its step", &about);
    let mut list = log(&effect.before);
    if call.action != Action::Touch {
        list.push(call.mark());
    }
    breaches.unless(log(&effect.after) == list, "I1: a write builds on what it found", &about);
    let kept = unknown_attributes(&effect.before) == unknown_attributes(&effect.after);
    let keeps = effect.operation == "UpdateItem";
    breaches.unless(kept || !keeps, "I10: attributes that a struct does not know survive", &about);
}

/// I5: a write leaves one stamp, in its slot, and no other write has the same.
fn check_stamp(call: &Call, effect: &Effect, all: &mut BTreeSet<String>, breaches: &mut Breaches) {
    let before = stamps(&effect.before);
    let after = stamps(&effect.after);
    let slot = format!("_stamp{}", version(&effect.after) / call.step % call.stamps);
    let own = after.get(&*slot).map(|stamp| (*stamp).to_owned()).unwrap_or_default();
    breaches.unless(!own.is_empty() && all.insert(own), "I5: each stamp is applied once", &(call, effect));
    if effect.operation == "UpdateItem" {
        let others = |stamps: BTreeMap<&str, &str>| -> Vec<String> {
            stamps.iter().filter(|(name, _)| **name != slot).map(|stamp| format!("{stamp:?}")).collect()
        };
        breaches.unless(others(before) == others(after), "I5: a write leaves other stamps", &(call, effect));
    }
}
