//! The `Tx`, with which the closure of a transaction reads and writes.

use std::fmt;
use std::sync::{Arc, Mutex};

use tokio::time::Instant;

use crate::error::Result;
use crate::item::invalid::Invalid;
use crate::item::key::{IntoKey, KeyId};
use crate::send::budget::Budget;
use crate::send::retry::Retry;
use crate::support::lock::lock;
use crate::table::Table;
use crate::transaction::run::{Carried, Run};
use crate::versioned::{Versioned, schema, snapshot};
use crate::write::draft::Kind;

/// The reads and writes of one run of [`transact`](crate::transact()). Reads go to DynamoDB and are remembered. Writes are sent
/// at the end of the closure.
///
/// The run sees each item as it first read it, with its own writes applied, at the version that was read. A write that does not
/// fit the item is refused at once and has no effect. After `NotFound`, `AlreadyExists` or `Conflict` the closure may go on, for
/// instance with another write. After any other error of a write the run cannot be committed.
pub struct Tx {
    /// `None` once the run has ended.
    run: Arc<Mutex<Option<Run>>>,
    retry: Retry,
    deadline: Instant,
}

// The writes take their objects by value, since the versions in these are out of date once the transaction is committed.
#[allow(clippy::needless_pass_by_value)]
impl Tx {
    /// Starts a run within `budget`. It does not read the items that are carried over from the run before.
    pub(crate) fn start(budget: &Budget, carried: Carried) -> Self {
        let run = Arc::new(Mutex::new(Some(Run::with(carried))));
        Self { run, retry: budget.retry(), deadline: budget.deadline() }
    }

    /// The record from which the run is taken when the closure has ended.
    pub(crate) fn record(&self) -> Record {
        Record(Arc::clone(&self.run))
    }

    /// Reads the item with this key, strongly consistent, and returns `None` if there is none. An item that this transaction read,
    /// created, replaced or deleted before is not read again. One that it saved without reading it is read once, for the attributes
    /// that the saved object does not have.
    ///
    /// Others may write items between two reads, so a run may see items that were never stored together. Such a run is never
    /// committed, and the result of its closure is dropped.
    ///
    /// # Errors
    ///
    /// The same as those of [`Table::get`], and [`InvalidRequest`](crate::Error::InvalidRequest) for an item that exceeds the
    /// limits of one transaction: 100 items, or 4 MB of items that were read. The closure may go on without that item, or return
    /// an error. [`Conflict`](crate::Error::Conflict) if this transaction has saved the item without reading it, and the item is not
    /// at the version of the saved object.
    pub async fn get<T: Versioned>(&self, table: &Table<T>, key: impl IntoKey<T::Key>) -> Result<Option<T>> {
        let read = self.read(table, key).await;
        if read.is_err() {
            // This fails only if the run has ended. Then its reads no longer matter.
            let _ = self.run(Run::read_failed);
        }
        read
    }

    async fn read<T: Versioned>(&self, table: &Table<T>, key: impl IntoKey<T::Key>) -> Result<Option<T>> {
        let key = table.key(key)?;
        let id = (table.name().into(), KeyId::new(schema::<T>(), &key));
        let store = table.store();
        let schema = schema::<T>();
        let stored = if self.run(|run| run.knows(&id))? {
            None
        } else {
            // Reads of one run may run concurrently, so each has a budget of its own, within the deadline of the transaction.
            let time_left = self.deadline.saturating_duration_since(Instant::now());
            store.read(&key, true, &mut Budget::start(self.retry.at_most(time_left))).await?
        };
        let item = self.run(|run| run.read(id, store, schema, key, stored))??;
        item.map(|item| table.parse(item)).transpose()
    }

    /// Stores a new item at the end of the transaction, if none has its key by then. If there may be one, read it first: an
    /// existing item that was not read ends the transaction with [`AlreadyExists`](crate::Error::AlreadyExists).
    ///
    /// # Errors
    ///
    /// - [`AlreadyExists`](crate::Error::AlreadyExists): this transaction read or wrote an item with this key.
    /// - [`InvalidItem`](crate::Error::InvalidItem): the object cannot be stored.
    pub fn create<T: Versioned>(&self, table: &Table<T>, item: T) -> Result<()> {
        self.write(Kind::Create, table, &item)
    }

    /// Sets every attribute of the struct at the end of the transaction, if nobody has written the item since this transaction
    /// read it. If this transaction did not read the item, the stored version must be the one in the object.
    ///
    /// The object should be the one that this transaction read. An object from elsewhere with an older version is a conflict,
    /// since it would undo what others have written since. A version of 0, or one above the version that was read, is ignored.
    ///
    /// # Errors
    ///
    /// - [`NotFound`](crate::Error::NotFound): this transaction found no such item, or deleted it.
    /// - [`Conflict`](crate::Error::Conflict): the version in the object is above 0 and below the one that this transaction read.
    ///   [`current`](crate::Conflict::current) is the item as this transaction sees it.
    /// - [`InvalidItem`](crate::Error::InvalidItem): the object cannot be stored.
    pub fn save<T: Versioned>(&self, table: &Table<T>, item: T) -> Result<()> {
        self.write(Kind::Save, table, &item)
    }

    /// Stores the object in place of the item at the end of the transaction, under the same condition as [`save`](Self::save).
    /// Attributes that the struct doesn't know are removed.
    ///
    /// # Errors
    ///
    /// The same as those of [`save`](Self::save).
    pub fn replace<T: Versioned>(&self, table: &Table<T>, item: T) -> Result<()> {
        self.write(Kind::Replace, table, &item)
    }

    /// Deletes the item at the end of the transaction, under the same condition as [`save`](Self::save).
    ///
    /// # Errors
    ///
    /// The same as those of [`save`](Self::save).
    pub fn delete<T: Versioned>(&self, table: &Table<T>, item: T) -> Result<()> {
        self.write(Kind::Delete, table, &item)
    }

    fn write<T: Versioned>(&self, kind: Kind, table: &Table<T>, item: &T) -> Result<()> {
        let object = snapshot(item);
        self.run(|run| run.write(kind, table.store(), object))?
    }

    /// Calls `act` with the run, or fails if the run has ended: a closure may have kept the `Tx`.
    fn run<R>(&self, act: impl FnOnce(&mut Run) -> R) -> Result<R> {
        let ended = || Invalid::request("the transaction has ended, and with it its `Tx`").in_table("");
        lock(&self.run).as_mut().map(act).ok_or_else(ended)
    }
}

/// Shows neither keys nor items.
impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").field("run", &*lock(&self.run)).finish_non_exhaustive()
    }
}

/// Access to a run that outlives its [`Tx`], which the closure owns.
pub(crate) struct Record(Arc<Mutex<Option<Run>>>);

impl Record {
    /// Ends the run and returns it. A `Tx` that the closure has kept can no longer add to it.
    pub(crate) fn close(self) -> Run {
        lock(&self.0).take().unwrap_or_default()
    }
}
