//! The calls of `Table`

pub(crate) mod bulk;
pub(crate) mod create;
mod create_table;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod get_many;
mod options;
pub(crate) mod save;
pub(crate) mod update;

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;

use crate::error::{Error, Result};
use crate::item::invalid::Invalid;
use crate::item::key::IntoKey;
use crate::item::{Item, deserialize};
use crate::queue::Queues;
use crate::send::retry::Retry;
use crate::send::store::Store;
use crate::versioned::{Versioned, schema};

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A DynamoDB table that holds items of type `T`.
///
/// Calls must be awaited in a tokio runtime that has time enabled, as `#[tokio::main]` makes one.
///
/// A table is cheap to clone, and its clones share everything. Calls with options are builders: add options, then `.await`. Where
/// a future is required, as in `tokio::spawn` and `join_all`, call `.into_future()` on the builder (before edition 2024, with
/// `use std::future::IntoFuture`).
///
/// ```no_run
/// # use dynalock::{Table, Versioned};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize, Versioned)]
/// # struct Account {
/// #     #[dynalock(partition_key)]
/// #     id: String,
/// #     balance: i64,
/// #     #[dynalock(version)]
/// #     version: u64,
/// # }
/// # async fn example(client: aws_sdk_dynamodb::Client) -> dynalock::Result<()> {
/// let accounts = Table::<Account>::new(&client, "accounts");
/// let alice = accounts.update("alice", |alice| alice.balance += 5).await?;
/// # Ok(())
/// # }
/// ```
pub struct Table<T> {
    inner: Arc<Inner>,
    items: PhantomData<fn() -> T>,
}

/// The state that all clones of a table share.
#[derive(Clone)]
struct Inner {
    store: Store,
    retry: Retry,
    queues: Arc<Queues>,
}

impl<T> Table<T> {
    /// Returns the table `name`, which `client` reaches. Sends nothing.
    #[must_use]
    pub fn new(client: &Client, name: impl Into<String>) -> Self
    where
        T: Versioned,
    {
        let store = Store::new(client.clone(), name.into());
        let inner = Inner { store, retry: Retry::default(), queues: Arc::default() };
        Self { inner: Arc::new(inner), items: PhantomData }
    }

    /// Returns the same table with `retry` as the policy of all calls that do not set one themselves.
    #[must_use]
    pub fn with_retry(self, retry: Retry) -> Self {
        let inner = Arc::unwrap_or_clone(self.inner);
        Self { inner: Arc::new(Inner { retry, ..inner }), items: PhantomData }
    }

    /// Returns the same table with coalescing: [`update`](Self::update)s of one item that wait for each other share one write.
    ///
    /// While a write of the item is under way, further calls wait. When it is answered, their closures run one after the other,
    /// in the order of the calls, on one copy of the item. One write stores all their changes and raises the version once. Each
    /// caller gets its own answer, and the item as its own closure left it. A closure that refuses has no effect. In this way one
    /// item takes many thousands of updates a second, where DynamoDB takes some [1,000 writes][limits], and each update is
    /// applied exactly once, as without coalescing.
    ///
    /// Only the last caller of a write gets the item as it is stored. The items that the others return keep the version from
    /// before the write, so saving one of them conflicts. An update with a [condition](crate::call::Update::condition) is written
    /// alone. If DynamoDB rejects the shared write, its changes are sent again in halves, until only the call fails that caused
    /// the refusal.
    ///
    /// The guide describes when coalescing pays, and the alternatives: [`contention`](crate::guide::contention).
    ///
    /// Clones of the returned table share its queues. The table that it was made from, and the clones of that one, do not. Keep
    /// the returned table: calls of a table that is made for each request cannot share anything.
    ///
    /// [limits]: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
    #[must_use]
    pub fn coalescing(self) -> Self {
        let inner = Arc::unwrap_or_clone(self.inner);
        let queues = Arc::new(Queues::coalescing());
        Self { inner: Arc::new(Inner { queues, ..inner }), items: PhantomData }
    }

    /// Returns the table's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.store.table
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn queues(&self) -> &Queues {
        &self.inner.queues
    }

    pub(crate) fn retry(&self) -> Retry {
        self.inner.retry
    }

    /// The error of a call for this table whose arguments or data are invalid.
    pub(crate) fn invalid(&self, invalid: Invalid) -> Error {
        invalid.in_table(self.name())
    }
}

impl<T: Versioned> Table<T> {
    /// Converts an item that an SDK call such as `Query` or `Scan` returned into a struct that can be saved.
    ///
    /// The item must be complete. An attribute that a projection or an index omitted is taken for absent, even the version: a
    /// [`save`](Self::save) would then remove the attribute, or be refused. After such a query, use [`update`](Self::update) with
    /// the key.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidItem`] names the attribute that does not fit.
    pub fn parse(&self, item: Item) -> Result<T> {
        deserialize::from_item(item, schema::<T>()).map_err(|invalid| self.invalid(invalid))
    }

    /// The key attributes of `key`.
    pub(crate) fn key(&self, key: impl IntoKey<T::Key>) -> Result<Item> {
        key.into_key().and_then(|key| key.into_item(schema::<T>())).map_err(|invalid| self.invalid(invalid))
    }
}

impl<T> Clone for Table<T> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), items: PhantomData }
    }
}

/// Shows for how many items updates run or wait.
impl<T> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("name", &self.name())
            .field("busy_items", &self.queues().len())
            .finish_non_exhaustive()
    }
}
