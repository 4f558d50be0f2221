//! Whether the model allows what happened: every write that came to the store goes through the model's store, and every answer of
//! a write through its table of verdicts.
//!
//! The model counts versions from 0, and has two authors of stamps: the write that is looked at, and others. Of a version only its
//! place among the others of the item matters, so that is the model's version.

mod tests;

use std::collections::BTreeSet;

use dynalock_model::protocol::{Act, Author, FOREIGN, Item, Protocol, Stamp, Verdict, Write, judge};
use dynalock_tests::history::{
    Action, Answer, Attempt, Breach, Call, History, Reply, Stored, is_create, log, version,
};
use serde_json::Value;

/// An item has any of 32 slots.
type Model = Item<32>;

const OWN: Author = Author::Writer(0);

/// Checks what can be said in the model's terms: writes with dynalock, and the answers of calls that share none.
pub(crate) fn check(history: &History) -> Vec<Breach> {
    let calls = history.calls.iter().filter(|call| call.action != Action::Foreign);
    let stored = calls.flat_map(|call| carried_of(history, call));
    stored.chain(history.calls.iter().filter_map(|call| answer_of(history, call))).collect()
}

/// The requests of a call that the store answered as the model's would not.
fn carried_of(history: &History, call: &Call) -> Vec<Breach> {
    let carried = history.carried.iter().filter(|carried| carried.sender == call.id);
    let wrong = carried.filter(|carried| {
        let states = [&carried.before, &carried.after];
        let Some(view) = View::of(&carried.operation, &carried.body, &states) else { return false };
        let (before, after) = (view.item(&carried.before), view.item(&carried.after));
        let is_done = view.write.applies_to(before);
        // What the write leaves as the list is not the model's to say.
        let made = view.write.applied_to(before, OWN).map(|made| Model { value: 0, ..made });
        let left = if is_done { made } else { before };
        let same = |item: Option<Model>| item.map(|item| (item.version, item.slots));
        is_done != carried.is_done || same(left) != same(after)
    });
    wrong.map(|carried| Breach { rule: STORE, about: format!("{:?}", (call, carried)) }).collect()
}

/// What the model's store would have done otherwise.
pub(crate) const STORE: &str = "the store does what the model's store does";

/// What the model's writer would have answered otherwise.
pub(crate) const ANSWER: &str = "an answer is one that the model allows";

/// The answer of a call, if the model does not allow it.
fn answer_of(history: &History, call: &Call) -> Option<Breach> {
    let is_one_write = match call.action {
        Action::Get | Action::Foreign | Action::Upsert => return None,
        action => !action.runs_again(),
    };
    if call.coalesces && !is_one_write || matches!(call.answer, Answer::Dropped | Answer::Open) {
        return None;
    }
    let own = |attempt: &&Attempt| attempt.sender == call.id && key_of(&attempt.body) == call.key;
    let mut writes: Vec<&Attempt> = vec![];
    for attempt in history.attempts.iter().filter(own) {
        if writes.last().is_none_or(|last| !is_same(last, attempt)) {
            writes.push(attempt);
        }
    }
    let last = writes.pop()?;
    let ends_again = |attempt: &&Attempt| {
        let verdicts = verdicts(history, call, attempt);
        verdicts.is_none_or(|verdicts| verdicts.iter().any(|verdict| is_run_again(*verdict)))
    };
    let allowed = verdicts(history, call, last)?;
    let is_allowed = allowed.iter().any(|verdict| match (verdict, call.answer) {
        (Verdict::Ok, Answer::Ok)
        | (Verdict::Conflict, Answer::Conflict)
        | (Verdict::AlreadyExists, Answer::AlreadyExists)
        | (Verdict::ConditionFailed, Answer::ConditionFailed)
        | (Verdict::NotFound, Answer::NotFound)
        | (Verdict::AlreadyGone, Answer::AlreadyGone)
        | (Verdict::Failed, Answer::Failed)
        | (Verdict::Unknown, Answer::Unknown(_)) => true,
        // It went on from there, and ended without another write.
        (verdict, answer) => {
            !is_one_write && is_run_again(*verdict) && !matches!(answer, Answer::Ok | Answer::Unknown(_))
        }
    });
    let is_right = is_allowed && writes.iter().all(ends_again);
    (!is_right).then(|| Breach { rule: ANSWER, about: format!("{:?}", (allowed, call, last)) })
}

/// Whether a closure may run again after this verdict.
fn is_run_again(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Conflict | Verdict::AlreadyExists | Verdict::NotFound)
}

/// Whether both are the same logical write. It may be sent again so that a failed check returns no item.
fn is_same(one: &Attempt, other: &Attempt) -> bool {
    let written = |attempt: &Attempt| {
        let mut body = attempt.body.clone();
        body.as_object_mut().map(|body| body.remove("ReturnValuesOnConditionCheckFailure"));
        (attempt.operation.clone(), body)
    };
    written(one) == written(other)
}

/// What a writer may conclude from what it heard of a logical write: `None` if that cannot be said in the model's terms.
fn verdicts(history: &History, call: &Call, write: &Attempt) -> Option<Vec<Verdict>> {
    // Whoever is dropped may leave its write to another call of its program, but only where they take turns. Two deletes may say the
    // same, and are two.
    let is_own = |attempt: &&Attempt| attempt.sender == call.id || call.action.takes_turns();
    let attempts = history.attempts.iter().filter(is_own).filter(|attempt| is_same(write, attempt));
    let attempts: Vec<_> = attempts.collect();
    let mut states = history.states_during(call);
    states.extend(attempts.iter().filter_map(|attempt| match &attempt.reply {
        Reply::Refused(item) => Some(item),
        _ => None,
    }));
    let view = View::of(&write.operation, &write.body, &states)?;
    let judged = |item: &Stored, clean| judge(Protocol::Stamps, view.write, OWN, view.item(item), clean).1;
    let found = |clean| states.iter().map(move |state| judged(state, clean));
    let mut verdicts = vec![];
    for is_sent in [true, false] {
        let is_doubt = |attempt: &&&Attempt| match attempt.reply {
            Reply::Doubt => true,
            Reply::HungUp => is_sent,
            _ => false,
        };
        let clean = !attempts.iter().any(|attempt| is_doubt(&attempt));
        match &attempts.last()?.reply {
            Reply::Done => verdicts.push(Verdict::Ok),
            Reply::Refused(item @ Some(_)) => verdicts.push(judged(item, clean)),
            // It reads the item, unless that fails.
            Reply::Refused(None) => {
                verdicts.extend(found(clean));
                verdicts.push(if clean { Verdict::Conflict } else { Verdict::Unknown });
            }
            _ if clean => verdicts.push(Verdict::Failed),
            // A create that is not sent again is read.
            _ if view.write.act == Act::Create => {
                verdicts.extend(found(false));
                verdicts.push(Verdict::Unknown);
            }
            _ => verdicts.push(Verdict::Unknown),
        }
    }
    Some(verdicts)
}

/// A logical write in the model's terms, and how it sees items.
struct View {
    write: Write,
    /// The longest list that its condition allows.
    limit: Option<usize>,
    stamp: Option<Value>,
    /// Every version that there is, in order.
    versions: Vec<u64>,
}

impl View {
    /// `None` if it is not one of dynalock's.
    fn of(operation: &str, body: &Value, states: &[&Stored]) -> Option<Self> {
        let number = |value: &Value| value["N"].as_str()?.parse::<u64>().ok();
        let values = &body["ExpressionAttributeValues"];
        let (act, next) = match operation {
            "PutItem" if is_create(body) => (Act::Create, number(&body["Item"]["version"])?),
            "PutItem" => (Act::Change, number(&body["Item"]["version"])?),
            "UpdateItem" => (Act::Change, number(&values[":_w"])?),
            "DeleteItem" => (Act::Delete, 0),
            _ => return None,
        };
        let limit = number(&values[":limit"]).and_then(|limit| usize::try_from(limit).ok());
        let from = number(&values[":_v"]).unwrap_or_default();
        let slot = match operation {
            "PutItem" => body["Item"].as_object()?.iter().find_map(|(name, _)| slot_of(name)),
            _ => body["ExpressionAttributeNames"]["#_s"].as_str().and_then(slot_of),
        };
        let stamp = slot.map(|slot| match operation {
            "PutItem" => body["Item"][format!("_stamp{slot}")].clone(),
            _ => values[":_s"].clone(),
        });
        let mut versions = BTreeSet::from([from, next]);
        for state in states {
            versions.insert(version(state));
            versions.extend(stamps(state).map(|(_, _, version)| version));
        }
        versions.remove(&0);
        let versions: Vec<u64> = versions.into_iter().collect();
        let write = Write {
            act,
            from: place(&versions, from),
            next: place(&versions, next),
            value: 0,
            stamps: u8::from(stamp.is_some()),
            slot: slot.and_then(|slot| u8::try_from(slot).ok()).unwrap_or_default(),
            replaces: operation == "PutItem" && act == Act::Change,
            conditional: limit.is_some(),
        };
        Some(Self { write, limit, stamp, versions })
    }

    /// An item as the write sees it.
    fn item(&self, stored: &Stored) -> Option<Model> {
        stored.as_ref()?;
        let mut slots = [None; 32];
        for (slot, value, version) in stamps(stored) {
            let author = if self.stamp.as_ref() == Some(value) { OWN } else { Author::Other };
            slots[slot] = Some(Stamp { version: place(&self.versions, version), author });
        }
        let is_refused = self.limit.is_some_and(|limit| log(stored).len() > limit);
        let value = if is_refused { FOREIGN } else { 0 };
        Some(Model { version: place(&self.versions, version(stored)), value, slots })
    }
}

/// The place of a version among others: 0 for 0, which is none.
fn place(versions: &[u64], version: u64) -> u8 {
    let place = versions.iter().position(|other| *other == version).map_or(0, |place| place + 1);
    u8::try_from(place).expect("a run is short")
}

fn key_of(body: &Value) -> &str {
    body["Key"]["id"]["S"].as_str().or_else(|| body["Item"]["id"]["S"].as_str()).unwrap_or_default()
}

fn slot_of(attribute: &str) -> Option<usize> {
    attribute.strip_prefix("_stamp")?.parse().ok().filter(|slot| *slot < 32)
}

/// The stamps of an item: their slots, themselves, and the versions that they are for.
fn stamps(stored: &Stored) -> impl Iterator<Item = (usize, &Value, u64)> {
    let attributes = stored.as_ref().and_then(Value::as_object).into_iter().flatten();
    attributes.filter_map(|(name, value)| {
        let bytes = value["B"].as_str().map(aws_smithy_types::base64::decode)?.ok()?;
        let version = bytes.first_chunk().map(|version| u64::from_be_bytes(*version))?;
        Some((slot_of(name)?, value, version))
    })
}
