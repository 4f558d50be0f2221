//! The call `get`, which reads one item.

use std::fmt;
use std::future::IntoFuture;

use crate::error::Result;
use crate::item::Item;
use crate::item::key::IntoKey;
use crate::send::budget::Budget;
use crate::send::retry::Retry;
use crate::send::trace::{Finished, traced};
use crate::table::{BoxFuture, Table};
use crate::versioned::Versioned;

impl<T: Versioned> Table<T> {
    /// Reads the item with this key, and returns `None` if there is none. The read is strongly consistent, unless
    /// [`eventually_consistent`](Get::eventually_consistent) is set.
    ///
    /// Throttling, timeouts and failed connections are retried.
    ///
    /// # Errors
    ///
    /// - [`InvalidItem`](crate::Error::InvalidItem): the item does not fit `T`; or the key is empty, too long, or no string,
    ///   integer or bytes, such as a newtype around an `f64`.
    /// - [`InvalidRequest`](crate::Error::InvalidRequest): DynamoDB has no type for the key.
    /// - [`Sdk`](crate::Error::Sdk): DynamoDB refused the request, or could not be reached.
    pub fn get(&self, key: impl IntoKey<T::Key>) -> Get<T> {
        Get { table: self.clone(), key: self.key(key), consistent: true, retry: self.retry() }
    }
}

/// A read that waits to be sent; see [`Table::get`].
#[must_use = "nothing is read until the call is awaited"]
pub struct Get<T> {
    table: Table<T>,
    key: Result<Item>,
    consistent: bool,
    retry: Retry,
}

impl<T> Get<T> {
    /// Reads at half the cost, and possibly not the latest item. A write of a stale item fails with a
    /// [`Conflict`](crate::Error::Conflict), so it costs time but loses nothing.
    pub fn eventually_consistent(mut self) -> Self {
        self.consistent = false;
        self
    }

    /// Overrides the table's retry policy for this call.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }
}

impl<T: Versioned> IntoFuture for Get<T> {
    type Output = Result<Option<T>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { table, key, consistent, retry } = self;
            let mut budget = Budget::start(retry);
            traced("get", table.name(), async {
                let key = match key {
                    Ok(key) => key,
                    Err(error) => return Finished::unsent(error),
                };
                let read = table.store().read(&key, consistent, &mut budget).await;
                let item = read.and_then(|item| item.map(|item| table.parse(item)).transpose());
                Finished::with(item, budget.stats())
            })
            .await
        })
    }
}

impl<T> fmt::Debug for Get<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Get")
            .field("table", &self.table)
            .field("consistent", &self.consistent)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}
