//! What each writer saw and did, and whether that fits together.

use std::collections::BTreeMap;

use serde::Deserialize;

/// An item as somebody read it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Seen {
    pub(crate) id: String,
    pub(crate) version: u64,
    pub(crate) count: u64,
    pub(crate) last: String,
}

/// A version of an item, and who wrote it or tried to.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Write {
    pub(crate) id: String,
    pub(crate) version: u64,
    pub(crate) writer: String,
}

/// Everything that some writers did.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Ledger {
    pub(crate) read: Vec<Seen>,
    pub(crate) wrote: Vec<Write>,
    /// The versions that they would have written.
    pub(crate) refused: Vec<Write>,
}

impl Ledger {
    pub(crate) fn append(&mut self, mut other: Self) {
        self.read.append(&mut other.read);
        self.wrote.append(&mut other.wrote);
        self.refused.append(&mut other.refused);
    }
}

/// What is wrong, counted. No write is without an answer, so all of it must be 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Verdict {
    /// Versions that several writes were given.
    pub(crate) reused: usize,
    /// Versions below the last one that no write was given.
    pub(crate) skipped: usize,
    /// Writes that were answered with success, and that the stored item does not count.
    pub(crate) lost: u64,
    /// Items that were read with another content than the write of their version gave them.
    pub(crate) misread: usize,
    /// Refusals though nobody else had written that version.
    pub(crate) unfounded: usize,
}

/// A version of an item.
type Place = (String, u64);

/// Compares what everybody did with what is `stored` in the end.
pub(crate) fn judge(ledger: &Ledger, stored: &[Seen]) -> Verdict {
    let mut verdict = Verdict::default();
    let mut writers: BTreeMap<Place, Vec<&str>> = BTreeMap::new();
    for write in &ledger.wrote {
        writers.entry((write.id.clone(), write.version)).or_default().push(&write.writer);
    }
    verdict.reused = writers.values().filter(|writers| writers.len() > 1).count();
    for item in stored {
        let versions = ledger.wrote.iter().filter(|write| write.id == item.id).map(|write| write.version);
        let last = versions.clone().max().unwrap_or(0).max(item.version);
        let missing = (1..=last).filter(|version| !writers.contains_key(&(item.id.clone(), *version)));
        verdict.skipped += missing.count();
        verdict.lost += (versions.count() as u64).abs_diff(item.count);
    }
    verdict.misread = ledger.read.iter().chain(stored).filter(|seen| !is_as_written(seen, &writers)).count();
    let founded = |refused: &Write| {
        let winners = writers.get(&(refused.id.clone(), refused.version));
        winners.is_some_and(|winners| winners.iter().any(|winner| **winner != *refused.writer))
    };
    verdict.unfounded = ledger.refused.iter().filter(|refused| !founded(refused)).count();
    verdict
}

/// The write of version n is the nth, and leaves its name.
fn is_as_written(seen: &Seen, writers: &BTreeMap<Place, Vec<&str>>) -> bool {
    let writers = writers.get(&(seen.id.clone(), seen.version));
    seen.count == seen.version && writers.is_some_and(|writers| writers[..] == [&*seen.last])
}

/// How many refusals of `side` there were, and how many of these since one of the others was faster.
pub(crate) fn refusals(ledger: &Ledger, side: impl Fn(&str) -> bool) -> (usize, usize) {
    let winners: BTreeMap<(&str, u64), &str> =
        ledger.wrote.iter().map(|write| ((&*write.id, write.version), &*write.writer)).collect();
    let ours = ledger.refused.iter().filter(|refused| side(&refused.writer));
    let by_others = ours
        .clone()
        .filter(|refused| winners.get(&(&*refused.id, refused.version)).is_some_and(|winner| !side(winner)));
    (ours.count(), by_others.count())
}
