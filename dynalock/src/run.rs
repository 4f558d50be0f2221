//! One run of a transaction: what it read, what it wants to write, and whether that may stand.

use std::collections::HashMap;
use std::fmt;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, Get, ItemResponse, TransactGetItem};

use crate::commit::{check_actions, commit};
use crate::condition::Expect;
use crate::conflict::Conflict;
use crate::error::{Error, Result};
use crate::expression::Changes;
use crate::item::{Item, StoredVersion};
use crate::key::KeyId;
use crate::retry::Budget;
use crate::schema::Schema;
use crate::snapshot::Snapshot;
use crate::target::Target;
use crate::write::{ConditionalWrite, Kind};

const READ: &str = "TransactGetItems";

/// A table's name and a key in it.
type Id = (Box<str>, KeyId);

/// What one run did, in the order in which it touched the items.
#[derive(Default)]
pub(crate) struct Run {
    entries: Vec<Entry>,
    places: HashMap<Id, usize>,
    known: Known,
    /// A write was refused, whatever the closure made of that.
    has_failed: bool,
    is_over: bool,
}

/// Items as the refusal of the run before found them.
#[derive(Default)]
pub(crate) struct Known {
    items: HashMap<Id, Option<Item>>,
    /// All of them were stored so at one moment.
    pub(crate) is_one_state: bool,
}

/// A run that must not stand.
pub(crate) struct Refused {
    pub(crate) error: Error,
    /// What is known now; `None` if another run would fare no better.
    pub(crate) known: Option<Known>,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error, known: None }
    }
}

/// One item.
struct Entry {
    target: Target,
    schema: &'static Schema,
    key: Item,
    /// What this transaction takes the store to hold.
    expect: Expect,
    origin: Origin,
    /// What the store holds, where it was read.
    stored: Option<Item>,
    /// The item as this transaction sees it after its own writes.
    own: Option<Option<Item>>,
    change: Option<Change>,
}

/// How a run came to its item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Read,
    Known,
    /// It was written without having been read.
    Unread,
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

/// Shows neither keys nor items.
impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("items", &self.entries.len()).finish_non_exhaustive()
    }
}

impl Run {
    pub(crate) fn knowing(known: Known) -> Self {
        Self { known, ..Self::default() }
    }

    pub(crate) fn over() -> Self {
        Self { is_over: true, ..Self::default() }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// The item, if it need not be read.
    pub(crate) fn find(
        &mut self,
        id: &Id,
        target: &Target,
        schema: &'static Schema,
        key: &Item,
    ) -> Result<Option<Option<Item>>> {
        if let Some(&place) = self.places.get(id) {
            return Ok(Some(self.entries[place].item().cloned()));
        }
        let Some(stored) = self.known.items.remove(id) else { return Ok(None) };
        let entry = Entry::found(target, schema, key.clone(), stored, Origin::Known)?;
        Ok(Some(self.enter(id.clone(), entry).item().cloned()))
    }

    /// Remembers what a read found, unless another read was faster; the item as this transaction sees it.
    pub(crate) fn read(
        &mut self,
        id: Id,
        target: &Target,
        schema: &'static Schema,
        key: Item,
        stored: Option<Item>,
    ) -> Result<Option<Item>> {
        let entry = Entry::found(target, schema, key, stored, Origin::Read)?;
        Ok(self.enter(id, entry).item().cloned())
    }

    /// The entry of an item; `fresh` if it has none yet.
    fn enter(&mut self, id: Id, fresh: Entry) -> &mut Entry {
        let place = *self.places.entry(id).or_insert(self.entries.len());
        if place == self.entries.len() {
            self.entries.push(fresh);
        }
        &mut self.entries[place]
    }

    /// Does `kind` to an item at the end of the transaction.
    pub(crate) fn write(&mut self, kind: Kind, target: &Target, object: Result<Snapshot>) -> Result<()> {
        let written = object.and_then(|object| {
            let id = (target.table.clone(), KeyId::of(object.schema, &object.key));
            let fresh = Entry::unread(target, &object, kind)?;
            self.enter(id, fresh).write(kind, object)
        });
        self.has_failed |= written.is_err();
        written
    }

    /// Writes what the run wants to write, if everything that it read is still so.
    pub(crate) async fn commit(self, client: &Client, budget: &mut Budget) -> Result<(), Refused> {
        if self.has_failed {
            let problem = "a write of the transaction was refused, but its closure went on";
            return Err(Error::request(problem).into());
        }
        if self.entries.iter().all(|entry| entry.change.is_none()) {
            return self.stands(client, budget).await;
        }
        // One conditional write costs half as much. But whose delete it was cannot be told after a lost reply.
        let is_single = matches!(&self.entries[..], [Entry { change: Some(Change::Store { .. }), .. }]);
        let (mut writes, mut reads) = (Vec::new(), Vec::new());
        for mut entry in self.entries {
            let stored = (entry.origin != Origin::Unread).then(|| entry.stored.take());
            reads.push((entry.id(), stored));
            writes.push(entry.into_write()?);
        }
        let committed = match writes.pop() {
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
        };
        committed.map_err(|error| Refused { known: known_after(&error, reads), error })
    }

    /// Refuses what was read if it was not all stored at one moment. A single item always was.
    pub(crate) async fn stands(&self, client: &Client, budget: &mut Budget) -> Result<(), Refused> {
        let reads: Vec<&Entry> = self.entries.iter().filter(|entry| entry.origin != Origin::Unread).collect();
        let is_known = self.known.is_one_state && reads.iter().all(|entry| entry.origin == Origin::Known);
        if is_known || reads.len() < 2 {
            return Ok(());
        }
        let stored = read_at_once(client, &reads, budget).await?;
        let differs = |(entry, item): &(&&Entry, &Option<Item>)| {
            expected(item.as_ref(), entry.schema).ok() != Some(entry.expect)
        };
        let Some((entry, item)) = reads.iter().zip(&stored).find(differs) else { return Ok(()) };
        let Entry { target, schema, expect, key, .. } = entry;
        let conflict = Conflict::new(&target.table, schema, *expect, key.clone(), item.clone());
        let items = reads.iter().map(|entry| entry.id()).zip(stored).collect();
        let known = Some(Known { items, is_one_state: true });
        Err(Refused { error: Error::Conflict(Box::new(conflict)), known })
    }
}

/// Reads the items of `entries` as they are stored at one moment.
async fn read_at_once(client: &Client, entries: &[&Entry], budget: &mut Budget) -> Result<Vec<Option<Item>>> {
    check_actions(entries.len())?;
    let gets = entries.iter().map(|entry| {
        let get = Get::builder().table_name(&*entry.target.table).set_key(Some(entry.key.clone()));
        // Every required member is set, so no build fails.
        TransactGetItem::builder().set_get(get.build().ok()).build()
    });
    let request = client.transact_get_items().set_transact_items(Some(gets.collect()));
    let target = Target::of_all(client, entries.iter().map(|entry| &entry.target));
    loop {
        match target.within(budget.answer_by(), budget, READ, Box::pin(request.clone().send())).await {
            Ok(output) => {
                let mut items: Vec<_> = output
                    .responses
                    .unwrap_or_default()
                    .into_iter()
                    .map(|ItemResponse { item, .. }| item)
                    .collect();
                items.resize(entries.len(), None);
                return Ok(items);
            }
            Err(reason) => reason.after_wait(budget).await?,
        }
    }
}

/// What is known of the items of a commit that was refused: what the refusal told of those that stood in its way, and that
/// the others are as they were read. `None` if what stood in the way was never read.
fn known_after(error: &Error, reads: Vec<(Id, Option<Option<Item>>)>) -> Option<Known> {
    let (Error::Conflict(first) | Error::AlreadyExists(first)) = error else { return None };
    let others = first.others().iter().filter_map(Error::conflict);
    let mut refused: HashMap<usize, Option<Item>> = std::iter::once(&**first)
        .chain(others)
        .map(|conflict| (conflict.action().unwrap_or_default(), conflict.item().cloned()))
        .collect();
    reads.iter().enumerate().any(|(place, (_, read))| read.is_some() && refused.contains_key(&place)).then(
        || {
            let items = reads.into_iter().enumerate().filter_map(|(place, (id, read))| {
                match refused.remove(&place) {
                    Some(told) => Some((id, Some(told?))),
                    None => Some((id, read?)),
                }
            });
            Known { items: items.collect(), is_one_state: false }
        },
    )
}

/// What a transaction takes the store to hold after it read this.
fn expected(stored: Option<&Item>, schema: &Schema) -> Result<Expect> {
    match stored {
        Some(item) => StoredVersion::of(item, schema).map(Expect::read),
        None => Ok(Expect::Absent),
    }
}

impl Entry {
    fn found(
        target: &Target,
        schema: &'static Schema,
        key: Item,
        stored: Option<Item>,
        origin: Origin,
    ) -> Result<Self> {
        let expect = expected(stored.as_ref(), schema)?;
        Ok(Self { target: target.clone(), schema, key, expect, origin, stored, own: None, change: None })
    }

    /// An item that was not read, and is taken to be as the object has it.
    fn unread(target: &Target, object: &Snapshot, kind: Kind) -> Result<Self> {
        let (expect, stored) = match kind {
            Kind::Create => (Expect::Absent, None),
            _ => (Expect::version(object.version()?), Some(Item::new())),
        };
        let (target, schema, key) = (target.clone(), object.schema, object.key.clone());
        Ok(Self { target, schema, key, expect, origin: Origin::Unread, stored, own: None, change: None })
    }

    fn id(&self) -> Id {
        (self.target.table.clone(), KeyId::of(self.schema, &self.key))
    }

    /// The item as this transaction sees it.
    fn item(&self) -> Option<&Item> {
        self.own.as_ref().unwrap_or(&self.stored).as_ref()
    }

    fn write(&mut self, kind: Kind, object: Snapshot) -> Result<()> {
        match (kind, self.item()) {
            (Kind::Create, Some(item)) => {
                let (schema, found) = (self.schema, Some(item.clone()));
                let conflict = Conflict::new(&self.target.table, schema, Expect::Absent, object.key, found);
                return Err(Error::AlreadyExists(Box::new(conflict)));
            }
            (Kind::Create, None) | (_, Some(_)) => {}
            (_, None) => return Err(Error::NotFound),
        }
        if kind == Kind::Delete {
            self.own = Some(None);
            self.change = (self.expect != Expect::Absent).then_some(Change::Remove);
            return Ok(());
        }
        let version = self.expect.number();
        let was_whole = matches!(self.change, Some(Change::Store { is_whole: true, .. }));
        let is_whole = kind != Kind::Save || was_whole;
        let object = object.at_version(version);
        let mut item = self.item().filter(|_| !is_whole).cloned().unwrap_or_default();
        item.extend(object.key.clone());
        Changes::all(object.clone()).apply(&mut item);
        item.insert(self.schema.version.to_owned(), AttributeValue::N(version.to_string()));
        self.own = Some(Some(item));
        self.change = Some(Change::Store { object, is_whole });
        Ok(())
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
