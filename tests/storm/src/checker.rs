//! What must hold after a storm, by its log and by what is stored then.
//!
//! Nothing is known of how dynalock works. A call that was to change an item leaves its id there, so each effect can be seen; and
//! the log says what was answered before what was asked.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::entry::{Entry, MONEY, Use, bank};
use crate::log::{Answer, Call, Kind, Record, Seen};

/// A call with its lines in the log. Without an answer nobody knows how it ended: its process was killed.
struct Logged<'a> {
    call: &'a Call,
    begun: usize,
    ended: usize,
    answer: Option<&'a Answer>,
}

const NEVER: usize = usize::MAX;

impl Logged<'_> {
    /// Whether the write was not applied, and never will be.
    fn is_refused(&self) -> bool {
        matches!(
            self.answer,
            Some(Answer::NoItem | Answer::Failed { .. } | Answer::Unknown { applied: Some(false) })
        )
    }

    /// Whether the write was applied.
    fn is_applied(&self) -> bool {
        matches!(self.answer, Some(Answer::Ok(_) | Answer::Deleted | Answer::Unknown { applied: Some(true) }))
    }

    /// Whether it may have deleted the item. A delete that finds none may have found it before, if a reply was lost.
    fn may_have_deleted(&self) -> bool {
        self.call.kind == Kind::Delete && (!self.is_refused() || matches!(self.answer, Some(Answer::NoItem)))
    }
}

/// A call saw an item at some time between two lines of the log.
struct Sighting<'a> {
    seen: Seen,
    begun: usize,
    ended: usize,
    by: &'a str,
    /// Whether that call stored it.
    wrote: bool,
}

/// One of the items that had a key one after the other, from its creation to its deletion.
#[derive(Default)]
struct Life<'a> {
    sightings: Vec<Sighting<'a>>,
    /// Calls to delete it.
    deletes: Vec<&'a Logged<'a>>,
}

/// At some time between two lines, a key had no item, or had this one.
struct Found<'a> {
    begun: usize,
    ended: usize,
    born: Option<&'a str>,
}

/// Key and creator.
type Lives<'a> = BTreeMap<(String, String), Life<'a>>;

/// By mark: where it is, as key, creator and place.
type Places = BTreeMap<String, BTreeSet<(String, String, usize)>>;

/// Everything that is wrong with a storm.
pub(crate) fn violations(records: &[Record], stored: &[Entry]) -> Vec<String> {
    let calls = calls(records);
    let stored: BTreeMap<&str, &Entry> = stored.iter().map(|entry| (&*entry.key, entry)).collect();
    let lives = lives(&calls, &stored);
    let mut found = Vec::new();
    let places = places(&lives, &mut found);
    check_marks(&calls, &places, &mut found);
    check_what_stays(&calls, &stored, &mut found);
    for ((key, born), life) in &lives {
        let name = format!("{key} created by {born}");
        check_versions(&name, life, &mut found);
        check_deletes(&name, life, &mut found);
    }
    check_ends(&calls, &lives, &stored, &mut found);
    check_conflicts(&calls, &mut found);
    check_totals(&calls, &stored, &mut found);
    found
}

fn calls(records: &[Record]) -> BTreeMap<&str, Logged<'_>> {
    let mut calls = BTreeMap::new();
    for (line, record) in records.iter().enumerate() {
        match record {
            Record::Begin(call) => {
                calls.insert(&*call.id, Logged { call, begun: line, ended: NEVER, answer: None });
            }
            Record::End { id, answer } => {
                if let Some(logged) = calls.get_mut(&**id) {
                    (logged.ended, logged.answer) = (line, Some(answer));
                }
            }
        }
    }
    calls
}

fn lives<'a>(calls: &'a BTreeMap<&str, Logged<'a>>, stored: &BTreeMap<&str, &Entry>) -> Lives<'a> {
    let mut lives = Lives::new();
    for logged in calls.values() {
        let Logged { call, begun, ended, answer } = logged;
        let (seen, wrote) = match answer {
            Some(Answer::Ok(seen)) => (&seen[..], call.kind.writes()),
            Some(Answer::Failed { stored: Some(stored), .. }) => (std::slice::from_ref(stored), false),
            _ => (&[][..], false),
        };
        for seen in seen {
            let life = lives.entry((seen.key.clone(), seen.born.clone())).or_default();
            let (begun, ended) = (*begun, *ended);
            life.sightings.push(Sighting { seen: seen.clone(), begun, ended, by: &call.id, wrote });
        }
        if let (Kind::Delete, Some(held)) = (call.kind, &call.held) {
            lives.entry((held.key.clone(), held.born.clone())).or_default().deletes.push(logged);
        }
    }
    for entry in stored.values() {
        // The last look sees all marks.
        let seen = Seen { tail: entry.marks.clone(), ..Seen::of(entry) };
        let life = lives.entry((seen.key.clone(), seen.born.clone())).or_default();
        life.sightings.push(Sighting { seen, begun: NEVER, ended: NEVER, by: "the last look", wrote: false });
    }
    lives
}

/// An item grows at its end only: every call that saw a place saw the same mark there.
fn places(lives: &Lives<'_>, found: &mut Vec<String>) -> Places {
    let mut all = Places::new();
    for ((key, born), life) in lives {
        let mut places: BTreeMap<usize, (&str, &str)> = BTreeMap::new();
        for Sighting { seen, by, .. } in &life.sightings {
            let first = seen.marks - seen.tail.len().min(seen.marks);
            for (place, mark) in (first..).zip(&seen.tail) {
                let (other, who) = *places.entry(place).or_insert((mark, by));
                if other != mark {
                    found.push(format!(
                        "lost: {key} created by {born} had {other} at place {place} for {who}, and {mark} for {by}"
                    ));
                }
                all.entry(mark.clone()).or_default().insert((key.clone(), born.clone(), place));
            }
        }
    }
    all
}

/// Each effect at most once, and none of what was refused.
fn check_marks(calls: &BTreeMap<&str, Logged<'_>>, places: &Places, found: &mut Vec<String>) {
    for (mark, places) in places {
        let Some(logged) = calls.get(&**mark) else {
            found.push(format!("phantom: {places:?} hold the mark of a call that nobody made, {mark}"));
            continue;
        };
        let keys: BTreeSet<&str> = places.iter().map(|(key, ..)| &**key).collect();
        if keys.len() < places.len() {
            found.push(format!("doubled: {mark} was applied at {places:?}"));
        }
        if !logged.call.kind.marks() || keys.iter().any(|key| logged.call.keys.iter().all(|own| own != key)) {
            found.push(format!("phantom: {mark} was to change {:?}, and is at {places:?}", logged.call.keys));
        }
        if logged.is_refused() {
            found.push(format!("refused but applied: {mark} at {places:?}, answered {:?}", logged.answer));
        }
    }
    for (id, logged) in calls {
        if let Some(Answer::Ok(seen)) = logged.answer
            && logged.call.kind.marks()
        {
            let own: BTreeSet<&str> = seen
                .iter()
                .filter(|seen| seen.tail.last().is_some_and(|last| last == id))
                .map(|seen| &*seen.key)
                .collect();
            if own != logged.call.keys.iter().map(String::as_str).collect() {
                found
                    .push(format!("phantom: {id} was answered Ok with items that lack its change, {seen:?}"));
            }
        }
    }
}

/// What is never deleted holds, at the end, every change that was applied, once; and a transaction wholly or not at all.
fn check_what_stays(
    calls: &BTreeMap<&str, Logged<'_>>,
    stored: &BTreeMap<&str, &Entry>,
    found: &mut Vec<String>,
) {
    let marks: BTreeSet<(&str, &str)> =
        stored.iter().flat_map(|(key, entry)| entry.marks.iter().map(|mark| (*key, mark.as_str()))).collect();
    for (id, Logged { call, .. }) in calls {
        if !call.kind.marks() || call.keys.iter().any(|key| Use::of(key) == Use::Ticket) {
            continue;
        }
        let there = call.keys.iter().filter(|key| marks.contains(&(key.as_str(), *id))).count();
        if calls[id].is_applied() && there == 0 {
            found.push(format!("lost: {id} was applied to {:?}, and is not there", call.keys));
        } else if there > 0 && there < call.keys.len() {
            found.push(format!("torn: {id} changed {there} of {:?}", call.keys));
        }
    }
}

/// Versions rise, each is written once, and nobody sees an older state than was confirmed before the call.
fn check_versions(name: &str, life: &Life<'_>, found: &mut Vec<String>) {
    let mut written: BTreeMap<u64, &str> = BTreeMap::new();
    let mut marks: BTreeMap<u64, (usize, &str)> = BTreeMap::new();
    for Sighting { seen, by, wrote, .. } in life.sightings.iter().filter(|sighting| sighting.seen.exact) {
        let version = seen.version;
        if *wrote && let Some(other) = written.insert(version, by) {
            found.push(format!("version twice: {other} and {by} wrote version {version} of {name}"));
        }
        let (others, who) = *marks.entry(version).or_insert((seen.marks, by));
        if others != seen.marks {
            found.push(format!(
                "version twice: version {version} of {name} had {others} marks for {who}, {} for {by}",
                seen.marks
            ));
        }
    }
    for ((low, (fewer, _)), (high, (more, by))) in marks.iter().zip(marks.iter().skip(1)) {
        if fewer > more {
            found.push(format!(
                "lost: version {low} of {name} had {fewer} marks, version {high} {more} for {by}"
            ));
        }
    }
    let exact: Vec<&Sighting<'_>> = life.sightings.iter().filter(|sighting| sighting.seen.exact).collect();
    check_order(name, "version", &exact, |seen| seen.version, found);
    let all: Vec<&Sighting<'_>> = life.sightings.iter().collect();
    check_order(name, "marks", &all, |seen| seen.marks as u64, found);
}

/// What a call saw is no less than what was confirmed before it began.
fn check_order(
    name: &str,
    what: &str,
    sightings: &[&Sighting<'_>],
    number: impl Fn(&Seen) -> u64,
    found: &mut Vec<String>,
) {
    let mut confirmed: Vec<(usize, u64, &str)> =
        sightings.iter().map(|sighting| (sighting.ended, number(&sighting.seen), sighting.by)).collect();
    confirmed.sort_unstable();
    // From here on the greatest so far.
    for place in 1..confirmed.len() {
        if confirmed[place].1 < confirmed[place - 1].1 {
            (confirmed[place].1, confirmed[place].2) = (confirmed[place - 1].1, confirmed[place - 1].2);
        }
    }
    for Sighting { seen, begun, by, .. } in sightings {
        let before = confirmed.partition_point(|(ended, ..)| ended < begun);
        if let Some((_, most, who)) = before.checked_sub(1).map(|last| confirmed[last])
            && number(seen) < most
        {
            found.push(format!(
                "went back: {what} {} of {name} for {by}, after {most} for {who}",
                number(seen)
            ));
        }
    }
}

/// An item is deleted once, and not over what others wrote.
fn check_deletes(name: &str, life: &Life<'_>, found: &mut Vec<String>) {
    let sure: Vec<&&Logged<'_>> = life.deletes.iter().filter(|delete| delete.is_applied()).collect();
    if sure.len() > 1 {
        let by: Vec<&str> = sure.iter().map(|delete| &*delete.call.id).collect();
        found.push(format!("doubled: {name} was deleted by {by:?}"));
    }
    for held in sure.iter().filter_map(|delete| delete.call.held.as_ref()) {
        for Sighting { seen, by, .. } in &life.sightings {
            if (seen.exact && seen.version > held.version) || (held.exact && seen.marks > held.marks) {
                found.push(format!(
                    "lost: {name} was deleted at version {}, {by} saw version {}",
                    held.version, seen.version
                ));
            }
        }
    }
}

/// An item goes by a delete only, and what has gone does not come back.
fn check_ends(
    calls: &BTreeMap<&str, Logged<'_>>,
    lives: &Lives<'_>,
    stored: &BTreeMap<&str, &Entry>,
    found: &mut Vec<String>,
) {
    let mut by_key: BTreeMap<&str, Vec<Found<'_>>> = BTreeMap::new();
    for Logged { call, begun, ended, answer } in calls.values() {
        let is_gone = matches!(answer, Some(Answer::NoItem | Answer::Deleted));
        // Of two keys, nobody knows which has none.
        if let ([key], true) = (&call.keys[..], is_gone) {
            by_key.entry(key).or_default().push(Found { begun: *begun, ended: *ended, born: None });
        }
    }
    for ((key, born), life) in lives {
        let found = by_key.entry(key).or_default();
        found.extend(life.sightings.iter().map(|Sighting { begun, ended, .. }| Found {
            begun: *begun,
            ended: *ended,
            born: Some(born),
        }));
    }
    for ((key, born), life) in lives {
        let first = life.sightings.iter().map(|sighting| sighting.ended).min().unwrap_or(NEVER);
        let last = life.sightings.iter().map(|sighting| sighting.begun).max().unwrap_or_default();
        let deletable =
            life.deletes.iter().filter(|delete| delete.may_have_deleted()).map(|delete| delete.begun).min();
        for other in by_key[&**key].iter().filter(|other| other.born != Some(born)) {
            if other.begun > first && other.ended < last {
                found.push(format!(
                    "came back: {key} created by {born}, gone by line {}, seen again after it",
                    other.ended
                ));
                break;
            }
            if other.begun > first && deletable.is_none_or(|begun| begun > other.ended) {
                found.push(format!(
                    "vanished: {key} created by {born} was gone by line {} without a delete",
                    other.ended
                ));
                break;
            }
        }
        let is_stored = stored.get(&**key).is_some_and(|entry| entry.born() == born);
        if !is_stored && !life.sightings.is_empty() && deletable.is_none() {
            found.push(format!("vanished: {key} created by {born} is not there, and nobody deleted it"));
        }
        for delete in life.deletes.iter().filter(|delete| delete.is_applied()) {
            if last > delete.ended {
                found.push(format!(
                    "came back: {key} created by {born} was seen after {} deleted it",
                    delete.call.id
                ));
            }
        }
    }
}

/// A write is not refused because of the very state that it expects.
fn check_conflicts(calls: &BTreeMap<&str, Logged<'_>>, found: &mut Vec<String>) {
    for (id, Logged { call, answer, .. }) in calls {
        if let (Some(held), Some(Answer::Failed { stored: Some(stored), .. })) = (&call.held, answer)
            && (&held.born, held.version) == (&stored.born, stored.version)
        {
            found.push(format!("false conflict: {id} expected version {} and found it", held.version));
        }
    }
}

/// Money is moved, not made.
fn check_totals(
    calls: &BTreeMap<&str, Logged<'_>>,
    stored: &BTreeMap<&str, &Entry>,
    found: &mut Vec<String>,
) {
    let mut banks: BTreeMap<&str, i64> = BTreeMap::new();
    for (key, entry) in stored.iter().filter(|(key, _)| Use::of(key) == Use::Account) {
        *banks.entry(bank(key)).or_default() += entry.balance;
    }
    for (bank, total) in banks.into_iter().filter(|(_, total)| *total != MONEY) {
        found.push(format!("total: {bank} holds {total} in place of {MONEY}"));
    }
    for (id, Logged { answer, .. }) in calls {
        if let Some(Answer::Total(total)) = answer
            && *total != MONEY
        {
            found.push(format!("total: {id} saw {total} in place of {MONEY}"));
        }
    }
}
