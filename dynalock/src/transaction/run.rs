//! One run of a transaction: what it read, what it wants to write, and whether that may stand.

use std::collections::HashMap;
use std::fmt;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, Get, ItemResponse, TransactGetItem};

use crate::error::codes::Worth;
use crate::error::conflict::Conflict;
use crate::error::sdk_failure::SdkFailure;
use crate::error::{Error, Result};
use crate::item::invalid::Invalid;
use crate::item::key::KeyId;
use crate::item::schema::Schema;
use crate::item::size;
use crate::item::snapshot::Snapshot;
use crate::item::{Item, StoredVersion};
use crate::send::budget::Budget;
use crate::send::commit::{Commit, check_actions, check_bytes};
use crate::send::store::{Target, send_with};
use crate::write::changes::Changes;
use crate::write::condition::Terms;
use crate::write::expectation::Expect;
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
    /// The table of a write that was invalid, whatever the closure made of that.
    invalid: Option<Box<str>>,
    /// How large the items that were read are at least.
    bytes: usize,
    /// A read ended in an error, which the closure got.
    pub(crate) has_failed_read: bool,
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
        version: u64,
        changes: Changes,
        /// The changes are the whole item: attributes that the struct doesn't know are dropped.
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

    /// Whether the item need not be read.
    pub(crate) fn knows(&self, id: &Id) -> bool {
        self.places.contains_key(id) || self.known.items.contains_key(id)
    }

    /// The item as this transaction sees it. `stored` is what a read found, which does not count if it was not needed. Refuses an
    /// item that goes over what one transaction can hold: then what was read before can still be checked and committed.
    pub(crate) fn read(
        &mut self,
        id: Id,
        target: &Target,
        schema: &'static Schema,
        key: Item,
        stored: Option<Item>,
    ) -> Result<Option<Item>> {
        if let Some(&place) = self.places.get(&id) {
            return Ok(self.entries[place].item());
        }
        let (stored, origin) = match self.known.items.remove(&id) {
            Some(known) => (known, Origin::Known),
            None => (stored, Origin::Read),
        };
        check_actions(self.entries.len() + 1)?;
        let attributes = stored.iter().flatten().map(|(name, value)| (name.as_str(), value));
        let bytes = self.bytes + size::least_bytes(attributes);
        check_bytes(bytes)?;
        let entry = Entry::found(target, schema, key, stored, origin);
        let entry = entry.map_err(|invalid| invalid.in_table(&target.table))?;
        self.bytes = bytes;
        Ok(self.enter(id, entry).item())
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
    pub(crate) fn write(
        &mut self,
        kind: Kind,
        target: &Target,
        object: Result<Snapshot, Invalid>,
    ) -> Result<()> {
        let entered = object.and_then(|object| {
            let id = (target.table.clone(), KeyId::of(object.schema, &object.key));
            let fresh = Entry::unread(target, &object, kind)?;
            Ok((self.enter(id, fresh), object))
        });
        let written = match entered {
            Ok((entry, object)) => entry.write(kind, object),
            Err(invalid) => Err(invalid.in_table(&target.table)),
        };
        // Whether an item is there, and at which version, follows from what was read, and a closure may go another way.
        if !matches!(written, Ok(()) | Err(Error::NotFound | Error::AlreadyExists(_) | Error::Conflict(_))) {
            self.invalid.get_or_insert_with(|| target.table.clone());
        }
        written
    }

    /// Writes what the run wants to write, if everything that it read is still so.
    pub(crate) async fn commit(self, client: &Client, budget: &mut Budget) -> Result<(), Refused> {
        if let Some(table) = self.invalid {
            let problem = "a write of the transaction was invalid, but its closure went on";
            return Err(Invalid::request(problem).in_table(&table).into());
        }
        if self.entries.iter().all(|entry| entry.change.is_none()) {
            return self.stands(client, budget).await;
        }
        // One conditional write costs half as much. But after a lost reply it cannot be told whose delete it was, and a create
        // must not be sent again: both need the token of a transaction.
        let is_single = matches!(
            &self.entries[..],
            [Entry { change: Some(Change::Store { .. }), expect, .. }] if *expect != Expect::Absent
        );
        let (mut writes, mut sent) = (Vec::new(), Vec::new());
        for mut entry in self.entries {
            sent.push(Sent { id: entry.id(), origin: entry.origin, stored: entry.stored.take() });
            writes.push(entry.into_write()?);
        }
        let committed = match writes.pop() {
            Some((target, write)) if is_single => {
                let (intent, key) = (write.intent(), write.key());
                match target.write(write, budget).await {
                    // It was there when it was read.
                    Err(Error::NotFound) => {
                        let conflict = Conflict::new(&target.table, intent.schema, intent.expect, key, None);
                        Err(budget.refused(Error::Conflict(Box::new(conflict))))
                    }
                    written => written.map(drop),
                }
            }
            last => {
                writes.extend(last);
                let target = Target::of_all(client, writes.iter().map(|(target, _)| target));
                let commit = Commit::of(&target, writes)?;
                target.commit(commit, budget).await
            }
        };
        committed.map_err(|error| Refused { known: known_after(&error, sent), error })
    }

    /// Refuses an error of the closure unless all that it rests on was stored at one moment.
    pub(crate) async fn refusal_stands(&self, client: &Client, budget: &mut Budget) -> Result<(), Refused> {
        match self.stands(client, budget).await {
            // The closure's error tells why the read failed, and not what the items were.
            Err(Refused { known: None, .. }) if self.has_failed_read => Ok(()),
            stands => stands,
        }
    }

    /// Refuses what was read if it was not all stored at one moment. A single item always was.
    async fn stands(&self, client: &Client, budget: &mut Budget) -> Result<(), Refused> {
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
        Err(Refused { error: budget.refused(Error::Conflict(Box::new(conflict))), known })
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
    let send = |config| send_with!(config, request.clone());
    let output = target.ask(budget, READ, send).await?;
    let responses = output.responses.unwrap_or_default();
    // They come by position, and one that is missing is no item that is missing.
    if responses.len() != entries.len() {
        let cause = "the answer does not fit what was asked: there is not one response for each item";
        return Err(Error::Sdk(SdkFailure::new(READ, &target.table, cause, Worth::One).into()));
    }
    Ok(responses.into_iter().map(|ItemResponse { item, .. }| item).collect())
}

/// What is left of an entry whose write was sent.
struct Sent {
    id: Id,
    origin: Origin,
    stored: Option<Item>,
}

/// What is known of the items of a commit that was refused: what the refusal told of those that stood in its way, and that
/// the others are as they were read. `None` if what stood in the way was never read.
fn known_after(error: &Error, sent: Vec<Sent>) -> Option<Known> {
    let (Error::Conflict(first) | Error::AlreadyExists(first)) = error else { return None };
    let others = first.others().iter().filter_map(Error::conflict);
    let mut refused: HashMap<usize, &Conflict> = std::iter::once(&**first)
        .chain(others)
        .map(|conflict| (conflict.action().unwrap_or_default(), conflict))
        .collect();
    let was_read =
        |(place, sent): (usize, &Sent)| sent.origin != Origin::Unread && refused.contains_key(&place);
    if !sent.iter().enumerate().any(was_read) {
        return None;
    }
    let mut items = HashMap::with_capacity(sent.len());
    for (place, Sent { id, origin, stored }) in sent.into_iter().enumerate() {
        match refused.remove(&place).map(Conflict::item) {
            Some(Some(told)) => drop(items.insert(id, Some(told.clone()))),
            // Gone, or not told.
            Some(None) => {}
            None if origin == Origin::Unread => {}
            None => drop(items.insert(id, stored)),
        }
    }
    Some(Known { items, is_one_state: false })
}

/// What a transaction takes the store to hold after it read this.
fn expected(stored: Option<&Item>, schema: &Schema) -> Result<Expect, Invalid> {
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
    ) -> Result<Self, Invalid> {
        let expect = expected(stored.as_ref(), schema)?;
        Ok(Self { target: target.clone(), schema, key, expect, origin, stored, change: None })
    }

    /// An item that was not read, and is taken to be as the object has it.
    fn unread(target: &Target, object: &Snapshot, kind: Kind) -> Result<Self, Invalid> {
        let (expect, stored) = match kind {
            Kind::Create => (Expect::Absent, None),
            _ => (Expect::version(object.version()?), Some(Item::new())),
        };
        let (target, schema, key) = (target.clone(), object.schema, object.key.clone());
        Ok(Self { target, schema, key, expect, origin: Origin::Unread, stored, change: None })
    }

    fn id(&self) -> Id {
        (self.target.table.clone(), KeyId::of(self.schema, &self.key))
    }

    /// Whether there is an item, as this transaction sees it.
    fn is_there(&self) -> bool {
        match &self.change {
            None => self.stored.is_some(),
            Some(change) => matches!(change, Change::Store { .. }),
        }
    }

    /// The item as this transaction sees it, at the version that it found.
    fn item(&self) -> Option<Item> {
        match &self.change {
            None => self.stored.clone(),
            Some(Change::Store { changes, is_whole, .. }) => {
                let mut item = self.stored.as_ref().filter(|_| !is_whole).cloned().unwrap_or_default();
                item.extend(self.key.clone());
                changes.apply(&mut item);
                let number = AttributeValue::N(self.expect.number().to_string());
                item.insert(self.schema.version.to_owned(), number);
                Some(item)
            }
            Some(Change::Remove) => None,
        }
    }

    fn write(&mut self, kind: Kind, object: Snapshot) -> Result<()> {
        match (kind, self.is_there()) {
            (Kind::Create, true) => {
                let (table, schema) = (&self.target.table, self.schema);
                let conflict = Conflict::new(table, schema, Expect::Absent, object.key, self.item());
                return Err(Error::AlreadyExists(Box::new(conflict)));
            }
            (Kind::Create, false) => {}
            (_, true) => self.check_age(&object)?,
            (_, false) => return Err(Error::NotFound),
        }
        if kind == Kind::Delete {
            // What was assumed and not read is still to be checked.
            let is_known_absent = self.expect == Expect::Absent && self.origin != Origin::Unread;
            self.change = (!is_known_absent).then_some(Change::Remove);
            return Ok(());
        }
        let object = object.at_version(self.expect.number());
        let version = object.next_version(|| self.target.now());
        let version = version.map_err(|invalid| invalid.in_table(&self.target.table))?;
        let (changes, is_whole) = (Changes::all(object), kind != Kind::Save);
        self.change = Some(match self.change.take() {
            Some(Change::Store { changes: mut all, is_whole, .. }) if kind == Kind::Save => {
                all.then(changes);
                Change::Store { version, changes: all, is_whole }
            }
            _ => Change::Store { version, changes, is_whole },
        });
        Ok(())
    }

    /// Refuses an object of an earlier state of the item, which would undo what others wrote since. Versions only rise, so 0 and
    /// one above the item's are what the closure itself made of the version: they do not count.
    fn check_age(&self, object: &Snapshot) -> Result<()> {
        match object.version() {
            Ok(held) if 0 < held && held < self.expect.number() => {
                let stored = self.item().filter(|_| self.origin != Origin::Unread);
                let (table, schema, key) = (&self.target.table, self.schema, object.key.clone());
                let conflict = Conflict::new(table, schema, Expect::version(held), key, stored);
                Err(Error::Conflict(Box::new(conflict)))
            }
            _ => Ok(()),
        }
    }

    /// What a commit does to the item; nothing but a check if this transaction only read it.
    fn into_write(self) -> Result<(Target, ConditionalWrite)> {
        let Self { target, schema, key, expect, change, .. } = self;
        let terms = Terms { schema, expect, extra: None };
        let write = match change {
            Some(Change::Store { version, changes, is_whole: false, .. }) if expect != Expect::Absent => {
                ConditionalWrite::change(terms, key, changes, version)
            }
            Some(Change::Store { version, changes, .. }) => {
                ConditionalWrite::put(terms, changes.into_item(key), version)
            }
            Some(Change::Remove) if expect != Expect::Absent => ConditionalWrite::delete(terms, key),
            Some(Change::Remove) | None => ConditionalWrite::check(terms, key),
        };
        let write = write.map_err(|invalid| invalid.in_table(&target.table))?;
        Ok((target, write))
    }
}
