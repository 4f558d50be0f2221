//! The options of a write: a condition, and a retry policy other than the table's.

use std::fmt;

use crate::error::Result;
use crate::send::budget::Budget;
use crate::send::retry::Retry;
use crate::send::trace::{Finished, traced};
use crate::send::{Applied, MAX_TRANSACTION_TIME, Request};
use crate::table::Table;
use crate::versioned::{Versioned, snapshot};
use crate::write::ConditionalWrite;
use crate::write::condition::Condition;
use crate::write::draft::{Draft, Kind};

/// The table of a write, and the options that the caller added.
pub(crate) struct Options<T> {
    pub(crate) table: Table<T>,
    pub(crate) condition: Option<Condition>,
    pub(crate) retry: Retry,
}

impl<T> Options<T> {
    pub(crate) fn new(table: &Table<T>) -> Self {
        Self { table: table.clone(), condition: None, retry: table.retry() }
    }

    /// The write that does `kind` with `object`.
    pub(crate) fn write(&self, kind: Kind, object: &T) -> Result<ConditionalWrite>
    where
        T: Versioned,
    {
        let now = || self.table.store().now();
        snapshot(object)
            .and_then(|object| Draft::write_of(kind, object, self.condition.as_ref(), now))
            .map_err(|invalid| self.table.invalid(invalid))
    }

    /// Sends a write of `kind` by itself. Returns how it succeeded, and the version that it stored.
    pub(crate) async fn send(
        &self,
        kind: Kind,
        write: Result<ConditionalWrite>,
        retry: Retry,
    ) -> Result<(Applied, Option<u64>)> {
        let request = |write| Ok(Request::single(self.table.store(), write));
        self.settle(kind, write, retry, request).await
    }

    /// Sends a write of `kind` as a transaction of one action. Returns the version that it stored.
    pub(crate) async fn commit(&self, kind: Kind, write: Result<ConditionalWrite>) -> Result<Option<u64>> {
        let request = |write| Request::single_in_transaction(self.table.store(), write);
        let retry = self.retry.at_most(MAX_TRANSACTION_TIME);
        self.settle(kind, write, retry, request).await.map(|(_, version)| version)
    }

    async fn settle(
        &self,
        kind: Kind,
        write: Result<ConditionalWrite>,
        retry: Retry,
        request: impl FnOnce(ConditionalWrite) -> Result<Request>,
    ) -> Result<(Applied, Option<u64>)> {
        let mut budget = Budget::start(retry);
        // An invalid write gets its span as well, so the error is kept until here.
        traced(kind.name(), self.table.name(), async {
            let request = write.and_then(|write| Ok((write.next_version(), request(write)?)));
            let (version, mut request) = match request {
                Ok(request) => request,
                Err(error) => return Finished::unsent(error),
            };
            let settled = request.settle(&mut budget).await;
            Finished::with(settled.map(|applied| (applied, version)), budget.stats())
        })
        .await
    }
}

impl<T> fmt::Debug for Options<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("table", &self.table)
            .field("condition", &self.condition)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

/// An option method of a builder. The second argument is the path to the `Options` in the builder.
macro_rules! option_methods {
    (condition, $($options:ident).+) => {
        /// Writes only if this condition holds as well. May be called more than once: all conditions must hold.
        pub fn condition(mut self, condition: $crate::Condition) -> Self {
            $crate::Condition::join(&mut self.$($options).+.condition, condition);
            self
        }
    };
    (retry, $($options:ident).+) => {
        /// Overrides the table's retry policy for this call.
        pub fn retry(mut self, retry: $crate::Retry) -> Self {
            self.$($options).+.retry = retry;
            self
        }
    };
}

pub(crate) use option_methods;
