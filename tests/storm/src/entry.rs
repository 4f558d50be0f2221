//! The items that a storm writes: each keeps the ids of the calls that changed it.

use dynalock::Versioned;
use serde::{Deserialize, Serialize};

/// The table of a storm.
pub(crate) const TABLE: &str = "storm";

/// An item. Each call that changes it appends its own id to `marks`, so that the item itself says whose changes were applied, how
/// often, and on top of which others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
pub(crate) struct Entry {
    #[dynalock(partition_key)]
    pub(crate) key: String,
    pub(crate) marks: Vec<String>,
    pub(crate) balance: i64,
    /// Tickets are deleted and created again.
    #[dynalock(version, start = "clock")]
    pub(crate) version: u64,
}

impl Entry {
    /// A new item, made by the call `id`.
    pub(crate) fn new(key: &str, id: &str, balance: i64) -> Self {
        Self { key: key.to_owned(), marks: vec![id.to_owned()], balance, version: 0 }
    }

    /// Which of the items that had this key it is: the call that created it.
    pub(crate) fn born(&self) -> &str {
        self.marks.first().map_or("nobody", String::as_str)
    }
}

/// What a key is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// Updated by all; never deleted. There is a new one every few seconds, so that none gets large.
    Tally,
    /// The same, with a balance that transactions move to and fro; created before the storm.
    Account,
    /// Created and deleted again and again.
    Ticket,
}

const TALLIES: usize = 4;
const ACCOUNTS: usize = 4;
const TICKETS: usize = 3;

/// What all accounts of a generation hold together.
pub(crate) const MONEY: i64 = 400;

/// How long a generation of tallies and accounts is in use.
const GENERATION_SECONDS: u64 = 3;

/// The generation in use when a storm is so old.
pub(crate) fn generation(seconds: u64) -> u64 {
    seconds / GENERATION_SECONDS
}

impl Use {
    /// The keys of a generation.
    pub(crate) fn keys(self, generation: u64) -> Vec<String> {
        match self {
            Self::Tally => (0..TALLIES).map(|place| format!("tally-{generation}-{place}")).collect(),
            Self::Account => (0..ACCOUNTS).map(|place| format!("account-{generation}-{place}")).collect(),
            Self::Ticket => (0..TICKETS).map(|place| format!("ticket-{place}")).collect(),
        }
    }

    /// What `key` is used for.
    pub(crate) fn of(key: &str) -> Self {
        match key.split('-').next() {
            Some("account") => Self::Account,
            Some("ticket") => Self::Ticket,
            _ => Self::Tally,
        }
    }
}

/// The generation of an account, as its key begins.
pub(crate) fn bank(key: &str) -> &str {
    key.rsplit_once('-').map_or(key, |(bank, _)| bank)
}
