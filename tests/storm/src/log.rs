//! The log of a storm: what each call was to do and how it ended, in the order in which that happened.
//!
//! All processes append to one file. The system appends whole lines one after the other, so a line above another was
//! written before it, whichever processes wrote them, and no clock is needed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::entry::Entry;

/// How many of an item's last marks are noted.
const TAIL: usize = 8;

/// A line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Record {
    /// A call begins: nothing was sent yet.
    Begin(Call),
    /// The call `id` has ended.
    End { id: String, answer: Answer },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) keys: Vec<String>,
    /// What the caller holds and wants to write.
    pub(crate) held: Option<Seen>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Get,
    Create,
    /// `update`, `try_update` and `update_or_create`.
    Update,
    /// `save` and `replace`.
    Save,
    Touch,
    Delete,
    /// `transact` and `Transaction`: moves money between two accounts.
    Transfer,
    /// A `transact` that reads all accounts of a generation.
    Audit,
}

impl Kind {
    /// Whether it leaves its mark in the items.
    pub(crate) fn marks(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Save | Self::Transfer)
    }

    pub(crate) fn writes(self) -> bool {
        self.marks() || matches!(self, Self::Touch | Self::Delete)
    }
}

/// How a call ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// `Ok`, with the items as they were written or read.
    Ok(Vec<Seen>),
    /// `Ok` of an audit: the sum.
    Total(i64),
    /// `Ok` of a delete that deleted the item.
    Deleted,
    /// There is no item: an `Ok` of a read or of a delete, or an error that says that nothing was written.
    NoItem,
    /// An error that says that nothing was written, and what was stored instead.
    Failed { error: String, stored: Option<Seen> },
    /// Nobody knows, but a later look at the item may have shown it.
    Unknown { applied: Option<bool> },
}

/// An item as a call saw it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) key: String,
    /// Which of the items that had this key.
    pub(crate) born: String,
    pub(crate) version: u64,
    /// How many marks it has.
    pub(crate) marks: usize,
    /// The last of them.
    pub(crate) tail: Vec<String>,
    /// Whether that version was stored like this. Updates that share a write return what their own change made of the item, and
    /// transactions do not say at which version they wrote.
    pub(crate) exact: bool,
}

impl Seen {
    pub(crate) fn of(entry: &Entry) -> Self {
        Self {
            key: entry.key.clone(),
            born: entry.born().to_owned(),
            version: entry.version,
            marks: entry.marks.len(),
            tail: entry.marks[entry.marks.len().saturating_sub(TAIL)..].to_vec(),
            exact: true,
        }
    }

    pub(crate) fn inexact(entry: &Entry) -> Self {
        Self { exact: false, ..Self::of(entry) }
    }
}

/// The file, to append to.
#[derive(Debug)]
pub(crate) struct Log(File);

impl Log {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(File::options().append(true).create(true).open(path)?))
    }

    /// Appends a line by one call of the system's. The process may be killed within it: so the line end comes first, and what is
    /// left of a broken line does not spoil the next process's.
    pub(crate) fn write(&self, record: &Record) -> io::Result<()> {
        let mut line = vec![b'\n'];
        serde_json::to_writer(&mut line, record)?;
        (&self.0).write_all(&line)
    }
}

/// Reads a log. Broken lines are left out: then nothing was sent, or the answer did not reach its caller.
pub(crate) fn read(path: &Path) -> io::Result<Vec<Record>> {
    let text = fs::read(path)?;
    Ok(text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_broken_off_does_not_spoil_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let end = |id: &str| Record::End { id: id.to_owned(), answer: Answer::Total(1) };
        let (killed, other) = (Log::open(&path).unwrap(), Log::open(&path).unwrap());
        killed.write(&end("a")).unwrap();
        (&killed.0).write_all(b"\n{\"End\":{\"id\":\"b\",\"ans").unwrap();
        other.write(&end("c")).unwrap();
        assert_eq!(format!("{:?}", read(&path).unwrap()), format!("{:?}", [end("a"), end("c")]));
    }
}
