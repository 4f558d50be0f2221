//! What the closure of a transaction reads and writes with.

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

/// The reads and writes of one run of [`transact`](crate::transact()). Reads go to DynamoDB and are remembered; writes wait for
/// the end of the closure.
///
/// Each item is seen as the run read it, with the run's own writes on top, at the version that was read. A write that does not fit
/// is refused at once and leaves no trace; `NotFound`, `AlreadyExists` and `Conflict` may be answered by another write. After any
/// other error of a write the run cannot be committed.
pub struct Tx {
    /// `None` once the run has ended.
    run: Arc<Mutex<Option<Run>>>,
    retry: Retry,
    until: Instant,
}

// An object that is handed over can't be used again with a version that is no longer the stored one.
#[allow(clippy::needless_pass_by_value)]
impl Tx {
    /// A run under `budget`, which need not read what is carried over.
    pub(crate) fn start(budget: &Budget, carried: Carried) -> Self {
        let run = Arc::new(Mutex::new(Some(Run::with(carried))));
        Self { run, retry: budget.retry(), until: budget.deadline() }
    }

    /// Where this run will be found at its end.
    pub(crate) fn record(&self) -> Record {
        Record(Arc::clone(&self.run))
    }

    /// Reads the item with this key, strongly consistent: `None` if there is none. What this transaction read or wrote before
    /// is seen again.
    ///
    /// Other items may have been written between two reads. Such a run is never committed, and what its closure returns is
    /// dropped, but until then it may see items that do not fit together.
    ///
    /// # Errors
    ///
    /// As [`Table::get`], and [`InvalidRequest`](crate::Error::InvalidRequest) for the item that goes over what one transaction can
    /// hold: 100 items, or 4 MB of items that were read. The run goes on without that item, or ends in an error of its own.
    pub async fn get<T: Versioned>(&self, table: &Table<T>, key: impl IntoKey<T::Key>) -> Result<Option<T>> {
        let read = self.read(table, key).await;
        if read.is_err() {
            // Once the run has ended, nothing rests on its reads any more.
            let _ = self.run(Run::read_failed);
        }
        read
    }

    async fn read<T: Versioned>(&self, table: &Table<T>, key: impl IntoKey<T::Key>) -> Result<Option<T>> {
        let key = table.key(key)?;
        let id = (table.name().into(), KeyId::new(schema::<T>(), &key));
        let (store, schema) = (table.store(), schema::<T>());
        let stored = if self.run(|run| run.knows(&id))? {
            None
        } else {
            let rest = self.until.saturating_duration_since(Instant::now());
            store.read(&key, true, &mut Budget::start(self.retry.at_most(rest))).await?
        };
        let item = self.run(|run| run.read(id, store, schema, key, stored))??;
        item.map(|item| table.parse(item)).transpose()
    }

    /// Stores a new item at the end of the transaction, if none has its key by then. If there may be one, read first: an item
    /// in the way that was not read ends the transaction with [`AlreadyExists`](crate::Error::AlreadyExists).
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](crate::Error::AlreadyExists) if this transaction read or wrote such an item;
    /// [`InvalidItem`](crate::Error::InvalidItem).
    pub fn create<T: Versioned>(&self, table: &Table<T>, item: T) -> Result<()> {
        self.write(Kind::Create, table, &item)
    }

    /// Sets every attribute of the struct at the end of the transaction, if nobody has written the item since this
    /// transaction read it. Of an item that it did not read, the stored version must be the one in the object.
    ///
    /// The object is to rest on what this transaction read. One from elsewhere with an older version is a conflict, since it would
    /// undo what others wrote in between. A version of 0, or one above the version that was read, is ignored.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::Error::NotFound) if this transaction found no such item, or deleted it;
    /// [`Conflict`](crate::Error::Conflict) if the version in the object is above 0 and below the one that this transaction read:
    /// [`current`](crate::Conflict::current) is then the item as this transaction sees it;
    /// [`InvalidItem`](crate::Error::InvalidItem).
    pub fn save<T: Versioned>(&self, table: &Table<T>, item: T) -> Result<()> {
        self.write(Kind::Save, table, &item)
    }

    /// As [`save`](Self::save), but drops attributes that the struct doesn't know.
    ///
    /// # Errors
    ///
    /// As [`save`](Self::save).
    pub fn replace<T: Versioned>(&self, table: &Table<T>, item: T) -> Result<()> {
        self.write(Kind::Replace, table, &item)
    }

    /// Deletes the item at the end of the transaction, under the condition of [`save`](Self::save).
    ///
    /// # Errors
    ///
    /// As [`save`](Self::save).
    pub fn delete<T: Versioned>(&self, table: &Table<T>, item: T) -> Result<()> {
        self.write(Kind::Delete, table, &item)
    }

    fn write<T: Versioned>(&self, kind: Kind, table: &Table<T>, item: &T) -> Result<()> {
        let object = snapshot(item);
        self.run(|run| run.write(kind, table.store(), object))?
    }

    fn run<R>(&self, act: impl FnOnce(&mut Run) -> R) -> Result<R> {
        let over = || Invalid::request("the transaction has ended, and with it its `Tx`").in_table("");
        lock(&self.run).as_mut().map(act).ok_or_else(over)
    }
}

/// Shows neither keys nor items.
impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").field("run", &*lock(&self.run)).finish_non_exhaustive()
    }
}

/// Where a run is found once its closure has come to its end.
pub(crate) struct Record(Arc<Mutex<Option<Run>>>);

impl Record {
    pub(crate) fn close(self) -> Run {
        lock(&self.0).take().unwrap_or_default()
    }
}
