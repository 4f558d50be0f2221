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
/// Cheap to clone; clones share everything. Calls with options are builders: add options, then `.await`. Where a future is
/// asked for, as in `tokio::spawn` and `join_all`, call `.into_future()` on them (before the edition of 2024, with
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

/// What the clones of a table share.
#[derive(Clone)]
struct Inner {
    store: Store,
    retry: Retry,
    queues: Arc<Queues>,
}

impl<T> Table<T> {
    /// The table `name`, reached with `client`. Sends nothing.
    #[must_use]
    pub fn new(client: &Client, name: impl Into<String>) -> Self
    where
        T: Versioned,
    {
        let store = Store::new(client.clone(), name.into());
        let inner = Inner { store, retry: Retry::default(), queues: Arc::default() };
        Self { inner: Arc::new(inner), items: PhantomData }
    }

    /// The same table, whose calls are retried like this unless they say otherwise.
    #[must_use]
    pub fn with_retry(self, retry: Retry) -> Self {
        let inner = Arc::unwrap_or_clone(self.inner);
        Self { inner: Arc::new(Inner { retry, ..inner }), items: PhantomData }
    }

    /// The same table, where [`update`](Self::update)s of one item that wait for each other share one write.
    ///
    /// When a write of the item is through, the closures of those who came meanwhile run one after the other, in the order of
    /// their calls, on one copy of the item, and go out as one write that raises the version once. Each caller gets its own answer,
    /// and the item as its own closure left it; a closure that refuses leaves no trace. So one item takes many thousands of
    /// updates a second, where DynamoDB takes some [1,000 writes][limits], and each of them as exactly once as alone.
    ///
    /// Only the last of them holds what is stored afterwards. The items that the others return keep the version from before,
    /// so that saving one conflicts. An update with a [condition](crate::call::Update::condition) is written alone. If DynamoDB
    /// rejects the common write, it goes out again in halves, until only the call fails that is to blame.
    ///
    /// When it pays, and what else there is, is in the guide: [`contention`](crate::guide::contention).
    ///
    /// Clones of the returned table share its queues; the table that it was made from and its clones do not. Keep it: a table that
    /// is made for each request has nobody to share with.
    ///
    /// [limits]: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
    #[must_use]
    pub fn coalescing(self) -> Self {
        let (inner, queues) = (Arc::unwrap_or_clone(self.inner), Arc::new(Queues::coalescing()));
        Self { inner: Arc::new(Inner { queues, ..inner }), items: PhantomData }
    }

    /// The table's name.
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

    /// The error of a call for this table that is invalid, or whose data is.
    pub(crate) fn invalid(&self, invalid: Invalid) -> Error {
        invalid.in_table(self.name())
    }
}

impl<T: Versioned> Table<T> {
    /// The item that an SDK call such as `Query` or `Scan` returned, as a struct that can be saved.
    ///
    /// It must be a whole item. What a projection or an index left out is taken for absent, also the version: a
    /// [`save`](Self::save) would then remove it, or be refused. After such a query, use [`update`](Self::update) with the key.
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
