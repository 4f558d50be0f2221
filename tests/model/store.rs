//! What a model is given: the store, its writers, the protocol that they follow, and how often things go wrong.

use std::sync::atomic::AtomicBool;

use dynalock_model::protocol::{Act, Protocol, ROWS, Write};

pub(crate) const WRITERS: usize = 3;

/// How far the clock goes on between two readings, where writers create: further than versions go up meanwhile.
pub(crate) const ROOM: u8 = 10;

/// What a writer does about a create whose outcome is in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// Sends the identical request again, as for every other write.
    Again,
    /// Reads once, and answers by the table; the request is never sent again.
    Read,
    /// Sends the transaction again, by whose token the store knows it.
    Token,
}

/// How an item that was deleted comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// At a version above all that were used, as by the clock.
    Clock,
    /// At any version that was not used, also one between two that were. No version is used twice (A3).
    Gap,
    /// At 1, as if there had been no item before.
    One,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Kind {
    pub(crate) stamps: u8,
    pub(crate) replaces: bool,
    pub(crate) conditional: bool,
}

/// How often things may happen in one history. Requests and replies may be lost at every attempt, and copies of every
/// request that was ever sent may arrive at any time, as often as they like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Bounds {
    /// Logical writes of all dynalock writers together.
    pub(crate) writes: u8,
    /// A foreign `PutItem`, which raises the version by 1 and drops the slots.
    pub(crate) puts: u8,
    /// A foreign `UpdateItem`, which raises the version by 1 or 2 and keeps the slots.
    pub(crate) updates: u8,
    pub(crate) deletes: u8,
    /// Creates of all dynalock writers together, and deletes.
    pub(crate) creates: u8,
    pub(crate) removes: u8,
    /// A foreign client that puts back an old copy, slots included, at a higher version.
    pub(crate) restores: u8,
    /// A foreign writer that changes the item and leaves the version: against A2.
    pub(crate) unversioned: u8,
}

#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) protocol: Protocol,
    pub(crate) kinds: [Kind; WRITERS],
    pub(crate) attempts: u8,
    pub(crate) step: u8,
    /// The version that the item begins with; `None` if there is none yet.
    pub(crate) first: Option<u8>,
    pub(crate) doubt: Doubt,
    /// Whether copies of a create may come behind a delete of the item that they have found or made: against what a create rests
    /// on. Else a create comes as often as it was sent.
    pub(crate) outlived: bool,
    pub(crate) start: Start,
    pub(crate) bounds: Bounds,
    /// Keeps the writers apart, for traces to be read.
    pub(crate) in_order: bool,
    /// The rows of the table that gave a verdict: clean, and after ambiguity.
    pub(crate) rows: [[AtomicBool; 2]; ROWS],
}

impl Store {
    /// Whether copies of a request may come, of which so many are late. A create comes once for each time that it was sent: it has
    /// no version to fence off a copy.
    pub(crate) fn may_come(&self, write: Write, late: u8) -> bool {
        write.act != Act::Create || self.outlived || late > 0
    }
}
