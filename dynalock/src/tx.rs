//! One run of a transaction: what it read, and what it wants to write.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{Get, TransactGetItem};
use tokio::time::Instant;

use crate::commit::{check_actions, commit};
use crate::condition::Expect;
use crate::conflict::Conflict;
use crate::error::{Error, Result};
use crate::item::{Item, StoredVersion};
use crate::key::{IntoKey, KeyId};
use crate::retry::{Budget, Retry};
use crate::schema::Schema;
use crate::snapshot::Snapshot;
use crate::table::Table;
use crate::target::Target;
use crate::versioned::{Versioned, schema, snapshot};
use crate::write::{ConditionalWrite, Kind};

const READ: &str = "TransactGetItems";

/// The reads and writes of one run of [`transact`](crate::transact()). Reads go to DynamoDB and are remembered; writes wait for
/// the end of the closure.
pub struct Tx {
    log: Arc<Mutex<Log>>,
    retry: Retry,
    until: Instant,
}

/// What one run did, in the order in which it touched the items.
#[derive(Default)]
pub(crate) struct Log {
    entries: Vec<Entry>,
    places: HashMap<Id, usize>,
    /// A write was refused, whatever the closure made of that.
    has_failed: bool,
    /// The closure came to its end.
    is_over: bool,
}

/// A table's name and a key in it.
type Id = (Box<str>, KeyId);

/// One item.
struct Entry {
    target: Target,
    schema: &'static Schema,
    key: Item,
    /// What this transaction takes the store to hold.
    expect: Expect,
    is_read: bool,
    /// The item as this transaction sees it, its own writes included.
    item: Option<Item>,
    change: Option<Change>,
}

/// What is to become of an item.
enum Change {
    Store {
        object: Snapshot,
        /// Attributes that the struct doesn't know are dropped.
        is_whole: bool,
    },
    Remove,
}

// An object that is handed over can't be used again with a version that is no longer the stored one.
#[allow(clippy::needless_pass_by_value)]
impl Tx {
    /// A run under `budget`.
    pub(crate) fn start(budget: &Budget) -> Self {
        Self { log: Arc::default(), retry: *budget.retry(), until: budget.deadline() }
    }

    /// What this run will have done.
    pub(crate) fn record(&self) -> Record {
        Record(Arc::clone(&self.log))
    }

    /// Reads the item with this key, strongly consistent: `None` if there is none. What this transaction read or wrote before
    /// is seen again.
    ///
    /// Other items may have been written between two reads. Such a run is never committed, and what its closure returns is
    /// dropped, but until then it may see items that do not fit together.
    ///
    /// # Errors
    ///
    /// As [`Table::get`].
    pub async fn get<T: Versioned>(&self, table: &Table<T>, key: impl IntoKey<T::Key>) -> Result<Option<T>> {
        let key = table.key(key)?;
        let id = (table.name().into(), KeyId::of(schema::<T>(), &key));
        let known = self.log()?.find(&id).map(|entry| entry.item.clone());
        let item = match known {
            Some(item) => item,
            None => {
                let rest = self.until.saturating_duration_since(Instant::now());
                let target = table.target();
                let stored = target.read(&key, true, &mut self.retry.within(rest).start()).await?;
                let read = Entry::read(target, schema::<T>(), key, stored).map_err(table.named())?;
                self.log()?.enter(id, read).item.clone()
            }
        };
        item.map(|item| table.parse(item)).transpose()
    }

    /// Stores a new item at the end of the transaction, if none has its key by then.
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](Error::AlreadyExists) if this transaction read or wrote such an item;
    /// [`InvalidItem`](Error::InvalidItem).
    pub fn create<T: Versioned>(&self, table: &Table<T>, item: T) -> Result<()> {
        self.write(Kind::Create, table, &item)
    }

    /// Sets every attribute of the struct at the end of the transaction, if nobody has written the item since this
    /// transaction read it. Of an item that it did not read, the stored version must be the one in the object.
    ///
    /// # Errors
    ///
    /// [`NotFound`](Error::NotFound) if this transaction found no such item, or deleted it;
    /// [`InvalidItem`](Error::InvalidItem).
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
        let mut log = self.log()?;
        let written = snapshot(item).and_then(|object| log.write(kind, table.target(), object));
        log.has_failed |= written.is_err();
        written.map_err(table.named())
    }

    fn log(&self) -> Result<MutexGuard<'_, Log>> {
        let log = lock(&self.log);
        if log.is_over {
            return Err(Error::request("the transaction has ended, and with it its `Tx`"));
        }
        Ok(log)
    }
}

/// Shows neither keys nor items.
impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").field("items", &lock(&self.log).entries.len()).finish_non_exhaustive()
    }
}

fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    // A closure that panics ends its transaction; nobody goes on with a log that is half done.
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where to find what a run did, once its closure has come to its end.
pub(crate) struct Record(Arc<Mutex<Log>>);

impl Record {
    pub(crate) fn close(self) -> Log {
        let over = Log { is_over: true, ..Log::default() };
        std::mem::replace(&mut *lock(&self.0), over)
    }
}

impl Log {
    fn find(&mut self, id: &Id) -> Option<&mut Entry> {
        self.entries.get_mut(*self.places.get(id)?)
    }

    /// The entry of an item; `fresh` if it has none yet.
    fn enter(&mut self, id: Id, fresh: Entry) -> &mut Entry {
        let place = *self.places.entry(id).or_insert(self.entries.len());
        if place == self.entries.len() {
            self.entries.push(fresh);
        }
        &mut self.entries[place]
    }

    fn write(&mut self, kind: Kind, target: &Target, object: Snapshot) -> Result<()> {
        let id = (target.table.clone(), KeyId::of(object.schema, &object.key));
        let entry = self.enter(id, Entry::unread(target, &object, kind)?);
        match (kind, &entry.item) {
            (Kind::Create, Some(item)) => {
                let found = Some(item.clone());
                let conflict = Conflict::new(&target.table, entry.schema, Expect::Absent, object.key, found);
                return Err(Error::AlreadyExists(Box::new(conflict)));
            }
            (Kind::Create, None) | (_, Some(_)) => {}
            (_, None) => return Err(Error::NotFound),
        }
        entry.change(kind, object);
        Ok(())
    }

    /// Writes what the run wants to write, if everything that it read is still so.
    pub(crate) async fn commit(self, client: &Client, budget: &mut Budget) -> Result<()> {
        if self.has_failed {
            return Err(Error::request("a write of the transaction was refused, but its closure went on"));
        }
        if self.entries.iter().all(|entry| entry.change.is_none()) {
            return self.is_one_state(client, budget).await;
        }
        // One conditional write costs half as much. But whose delete it was cannot be told after a lost reply.
        let is_single = matches!(&self.entries[..], [Entry { change: Some(Change::Store { .. }), .. }]);
        let mut writes = self.entries.into_iter().map(Entry::into_write).collect::<Result<Vec<_>>>()?;
        match writes.pop() {
            Some((target, write)) if is_single => {
                let (intent, key) = (write.intent(), write.key());
                match target.write(write, budget).await {
                    // It was there when it was read.
                    Err(Error::NotFound) => {
                        let conflict = Conflict::new(&target.table, intent.schema, intent.expect, key, None);
                        Err(Error::Conflict(Box::new(conflict)))
                    }
                    written => written.map(drop),
                }
            }
            last => {
                writes.extend(last);
                commit(client, writes, budget).await
            }
        }
    }

    /// Refuses what was read if it was never stored at one moment. A single item always was.
    pub(crate) async fn is_one_state(&self, client: &Client, budget: &mut Budget) -> Result<()> {
        let reads: Vec<&Entry> = self.entries.iter().filter(|entry| entry.is_read).collect();
        if reads.len() < 2 {
            return Ok(());
        }
        check_actions(reads.len())?;
        let gets = reads.iter().map(|entry| {
            let get = Get::builder().table_name(&*entry.target.table).set_key(Some(entry.key.clone()));
            // Every required member is set, so no build fails.
            TransactGetItem::builder().set_get(get.build().ok()).build()
        });
        let request = client.transact_get_items().set_transact_items(Some(gets.collect()));
        let target = Target::of_all(client, reads.iter().map(|entry| &entry.target));
        let stored = loop {
            let call = Box::pin(request.clone().send());
            match target.within(budget.answer_by(), budget, READ, call).await {
                Ok(output) => break output.responses.unwrap_or_default(),
                Err(reason) => reason.after_wait(budget).await?,
            }
        };
        let mut stored = stored.into_iter();
        for Entry { target, schema, expect, key, .. } in reads {
            let response = stored.next();
            let item = response.as_ref().map(|response| response.item.as_ref());
            if item.and_then(|item| expected(item, schema).ok()) != Some(*expect) {
                let item = response.and_then(|response| response.item);
                let conflict = Conflict::new(&target.table, schema, *expect, key.clone(), item);
                return Err(Error::Conflict(Box::new(conflict)));
            }
        }
        Ok(())
    }
}

/// What a transaction takes the store to hold after it read this.
fn expected(stored: Option<&Item>, schema: &Schema) -> Result<Expect> {
    match stored {
        Some(item) => StoredVersion::of(item, schema).map(Expect::read),
        None => Ok(Expect::Absent),
    }
}

impl Entry {
    fn read(target: &Target, schema: &'static Schema, key: Item, item: Option<Item>) -> Result<Self> {
        let expect = expected(item.as_ref(), schema)?;
        Ok(Self { target: target.clone(), schema, key, expect, is_read: true, item, change: None })
    }

    /// An item that was not read, and is taken to be as the object has it.
    fn unread(target: &Target, object: &Snapshot, kind: Kind) -> Result<Self> {
        let (expect, item) = match kind {
            Kind::Create => (Expect::Absent, None),
            _ => (Expect::version(object.version()?), Some(Item::new())),
        };
        let (target, key) = (target.clone(), object.key.clone());
        Ok(Self { target, schema: object.schema, key, expect, is_read: false, item, change: None })
    }

    fn change(&mut self, kind: Kind, object: Snapshot) {
        let version = self.expect.number();
        let object = object.at_version(version);
        let was_whole = matches!(self.change, Some(Change::Store { is_whole: true, .. }));
        let is_whole = kind != Kind::Save || was_whole;
        let mut item = self.item.take().filter(|_| !is_whole).unwrap_or_default();
        object.left_out().for_each(|name| drop(item.remove(&*name)));
        item.extend(object.clone().into_item(version));
        (self.item, self.change) = match kind {
            Kind::Delete if self.expect == Expect::Absent => (None, None),
            Kind::Delete => (None, Some(Change::Remove)),
            _ => (Some(item), Some(Change::Store { object, is_whole })),
        };
    }

    /// What a commit does to the item; nothing but a check if this transaction only read it.
    fn into_write(self) -> Result<(Target, ConditionalWrite)> {
        let Self { target, schema, key, expect, change, .. } = self;
        let write = match change {
            None => ConditionalWrite::check(schema, key, expect, None),
            Some(Change::Remove) => ConditionalWrite::delete(schema, key, expect, None),
            Some(Change::Store { object, is_whole }) => {
                let kind = match expect {
                    Expect::Absent => Kind::Create,
                    _ if is_whole => Kind::Replace,
                    _ => Kind::Save,
                };
                ConditionalWrite::expecting(expect, kind, object, None, || target.now())
            }
        };
        let write = write.map_err(|error| error.in_table(&target.table))?;
        Ok((target, write))
    }
}
