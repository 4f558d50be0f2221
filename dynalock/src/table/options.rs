//! What a caller may add to a write: conditions, and another retry policy than the table's.

use crate::error::Result;
use crate::send::Applied;
use crate::send::budget::Budget;
use crate::send::commit::{Commit, LONGEST};
use crate::send::retry::Retry;
use crate::send::trace::{Ended, observed};
use crate::table::Table;
use crate::versioned::{Versioned, snapshot};
use crate::write::condition::Condition;
use crate::write::{ConditionalWrite, Kind};

/// The table that a write goes to, and what the caller added.
pub(crate) struct Options<T> {
    pub(crate) table: Table<T>,
    pub(crate) condition: Option<Condition>,
    pub(crate) retry: Retry,
}

impl<T> Options<T> {
    pub(crate) fn of(table: &Table<T>) -> Self {
        Self { table: table.clone(), condition: None, retry: table.retry() }
    }

    /// The write that does `kind` with `object`.
    pub(crate) fn write(&self, kind: Kind, object: &T) -> Result<ConditionalWrite>
    where
        T: Versioned,
    {
        let now = || self.table.target().now();
        snapshot(object)
            .and_then(|object| ConditionalWrite::of(kind, object, self.condition.as_ref(), now))
            .map_err(self.table.named())
    }

    /// Sends a write that does `kind` with the caller's object. Returns what it did, and the version that it stored.
    pub(crate) async fn send(
        &self,
        kind: Kind,
        write: Result<ConditionalWrite>,
        retry: Retry,
    ) -> Result<(Applied, Option<u64>)> {
        let mut budget = Budget::start(retry);
        observed(kind.name(), self.table.name(), async {
            let write = match write {
                Ok(write) => write,
                Err(error) => return Ended::unsent(error),
            };
            let version = write.next_version();
            let sent = self.table.target().write(write, &mut budget).await;
            Ended::of(sent.map(|applied| (applied, version)), *budget.tally())
        })
        .await
    }

    /// The same as a transaction of this one write. Returns the version that it stored.
    pub(crate) async fn commit(&self, kind: Kind, write: Result<ConditionalWrite>) -> Result<Option<u64>> {
        let mut budget = Budget::start(self.retry.within(LONGEST));
        observed(kind.name(), self.table.name(), async {
            let target = self.table.target();
            let commit = write.and_then(|write| Ok((write.next_version(), Commit::alone(target, write)?)));
            let (version, commit) = match commit {
                Ok(commit) => commit,
                Err(error) => return Ended::unsent(error),
            };
            let sent = target.commit(commit, &mut budget).await;
            Ended::of(sent.map(|()| version), *budget.tally())
        })
        .await
    }
}

/// `Debug` for a builder: these of its fields, and nothing of the items or closures that it holds.
macro_rules! shows {
    ([$($parameter:ident),*] $type:ident<$($argument:tt),*> { $($field:ident $(in $within:ident)?),* }) => {
        impl<$($parameter),*> std::fmt::Debug for $type<$($argument),*> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($type))
                    $(.field(stringify!($field), &self.$($within.)?$field))*
                    .finish_non_exhaustive()
            }
        }
    };
}

shows! { [T] Options<T> { table, condition, retry } }

/// A method of a builder that holds its `Options` in the named field, or in a field of that.
macro_rules! option_methods {
    (condition, $($options:ident).+) => {
        /// Writes only if this holds as well. May be given more than once: all must hold.
        pub fn condition(mut self, condition: $crate::Condition) -> Self {
            $crate::Condition::join(&mut self.$($options).+.condition, condition);
            self
        }
    };
    (retry, $($options:ident).+) => {
        /// Retries this call so, whatever the table says.
        pub fn retry(mut self, retry: $crate::Retry) -> Self {
            self.$($options).+.retry = retry;
            self
        }
    };
}

pub(crate) use {option_methods, shows};
