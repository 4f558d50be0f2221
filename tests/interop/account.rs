//! The item that all write, as dynalock's struct.

use dynalock::Versioned;
use serde::{Deserialize, Serialize};

use crate::ledger::Seen;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
pub(crate) struct Account {
    #[dynalock(partition_key)]
    pub(crate) id: String,
    /// How often it was written: whoever writes adds 1 to what it read.
    pub(crate) count: u64,
    /// Who wrote it last.
    pub(crate) last: String,
    #[dynalock(version)]
    pub(crate) version: u64,
}

impl Account {
    pub(crate) fn new(id: &str, writer: &str) -> Self {
        Self { id: id.to_owned(), count: 1, last: writer.to_owned(), version: 0 }
    }

    /// What every write does.
    pub(crate) fn written_by(&mut self, writer: &str) {
        self.count += 1;
        writer.clone_into(&mut self.last);
    }

    pub(crate) fn seen(&self) -> Seen {
        Seen { id: self.id.clone(), version: self.version, count: self.count, last: self.last.clone() }
    }
}
