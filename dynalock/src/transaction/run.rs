//! One run of a transaction: the items that it read, its writes, and the check that its reads were stored at one moment.

use std::collections::HashMap;
use std::fmt;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{Get, ItemResponse, TransactGetItem};

use crate::error::conflict::Conflict;
use crate::error::{Error, Result};
use crate::item::invalid::Invalid;
use crate::item::key::KeyId;
use crate::item::schema::Schema;
use crate::item::snapshot::Snapshot;
use crate::item::{Item, size};
use crate::send::budget::Budget;
use crate::send::sdk_call::{SdkCall, send_with};
use crate::send::store::{self, Store};
use crate::send::{Request, check_actions, check_bytes};
use crate::write::draft::{Draft, Kind};
use crate::write::expectation::Expectation;

/// The identity of an item: the name of its table, and its key.
pub(crate) type Id = (Box<str>, KeyId);

/// The reads and writes of one run, with one entry for each item, in the order in which the run touched them.
#[derive(Default)]
pub(crate) struct Run {
    entries: Vec<Entry>,
    /// The index of each item's entry.
    indices: HashMap<Id, usize>,
    carried: Carried,
    /// The table of a write that was invalid. The run is not committed, even if its closure ignored the error.
    invalid: Option<Box<str>>,
    /// A lower bound of the size of all items that were read.
    bytes: usize,
    has_failed_read: bool,
}

/// Items that are known from the refusal of the previous run. The next run does not read them.
#[derive(Default)]
pub(crate) struct Carried {
    items: HashMap<Id, Option<Item>>,
    /// Whether all of them were stored at one moment.
    pub(crate) is_one_state: bool,
}

/// A run whose result is dropped.
pub(crate) struct Refused {
    pub(crate) error: Error,
    /// The items with which the next run begins. `None` if another run would not help.
    pub(crate) carried: Option<Carried>,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error, carried: None }
    }
}

/// One item of a run.
struct Entry {
    store: Store,
    draft: Draft,
    origin: Origin,
}

/// How a run got its item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The run read the item.
    Read,
    /// The item was carried over from the previous run.
    Carried,
    /// The run wrote the item without reading it.
    Assumed,
}

/// Shows neither keys nor items.
impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("items", &self.entries.len()).finish_non_exhaustive()
    }
}

impl Run {
    pub(crate) fn with(carried: Carried) -> Self {
        Self { carried, ..Self::default() }
    }

    /// Whether the item is known, so that it is not read.
    pub(crate) fn knows(&self, id: &Id) -> bool {
        match self.indices.get(id) {
            Some(&index) => self.entries[index].draft.is_known(),
            None => self.carried.items.contains_key(id),
        }
    }

    /// Notes that a read failed. The closure got the error.
    pub(crate) fn read_failed(&mut self) {
        self.has_failed_read = true;
    }

    /// Returns the item as this transaction sees it. `found` is the result of a read, and is ignored if the item is known
    /// already.
    ///
    /// Refuses an item that exceeds the limits of one transaction, without adding it. The run can still be committed with the
    /// items before it.
    pub(crate) fn read(
        &mut self,
        id: Id,
        store: &Store,
        schema: &'static Schema,
        key: Item,
        found: Option<Item>,
    ) -> Result<Option<Item>> {
        if let Some(&index) = self.indices.get(&id) {
            return self.entries[index].read(found);
        }
        check_actions(self.entries.len() + 1)?;
        let carried = self.carried.items.get(&id);
        let origin = if carried.is_some() { Origin::Carried } else { Origin::Read };
        let attributes = carried.unwrap_or(&found).iter().flatten();
        let bytes = self.bytes + size::least_bytes(attributes.map(|(name, value)| (name.as_str(), value)));
        check_bytes(bytes)?;
        // A refused read leaves what was carried over.
        let found = self.carried.items.remove(&id).unwrap_or(found);
        let draft = Draft::read(schema, key, found).map_err(|invalid| invalid.in_table(&store.table))?;
        let item = draft.item();
        self.bytes = bytes;
        self.add(id, Entry { store: store.clone(), draft, origin });
        Ok(item)
    }

    fn add(&mut self, id: Id, entry: Entry) {
        self.indices.insert(id, self.entries.len());
        self.entries.push(entry);
    }

    /// Adds a write of `kind`, to be sent at the end of the transaction.
    pub(crate) fn write(
        &mut self,
        kind: Kind,
        store: &Store,
        object: Result<Snapshot, Invalid>,
    ) -> Result<()> {
        let written = match object {
            Ok(object) => self.write_object(kind, store, object),
            Err(invalid) => Err(invalid.in_table(&store.table)),
        };
        // These three errors follow from what the run read, and a closure may handle them. Any other one means that the object
        // cannot be written at all.
        if !matches!(written, Ok(()) | Err(Error::NotFound | Error::AlreadyExists(_) | Error::Conflict(_))) {
            self.invalid.get_or_insert_with(|| store.table.clone());
        }
        written
    }

    fn write_object(&mut self, kind: Kind, store: &Store, object: Snapshot) -> Result<()> {
        let id = (store.table.clone(), KeyId::new(object.schema, &object.key));
        if let Some(&index) = self.indices.get(&id) {
            return self.entries[index].write(kind, object);
        }
        let draft = Draft::assumed(kind, &object).map_err(|invalid| invalid.in_table(&store.table))?;
        let mut entry = Entry { store: store.clone(), draft, origin: Origin::Assumed };
        entry.write(kind, object)?;
        self.add(id, entry);
        Ok(())
    }

    /// Sends the writes of the run, if no item that it read has changed.
    pub(crate) async fn commit(self, client: &Client, budget: &mut Budget) -> Result<(), Refused> {
        if let Some(table) = self.invalid {
            let problem = "a write of the transaction was invalid, but its closure went on";
            return Err(Invalid::request(problem).in_table(&table).into());
        }
        if !self.entries.iter().any(|entry| entry.draft.is_changed()) {
            return self.verify_reads(client, budget).await;
        }
        // A single conditional write costs half as much as a transaction. Deletes and creates need the token of a transaction:
        // after a lost reply, nothing shows which delete removed the item, and a create must not be sent again.
        // <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-capacity-handling>
        let is_single = matches!(
            &self.entries[..],
            [Entry { draft, .. }] if draft.stores() && draft.expectation() != Expectation::Absent
        );
        let tables = store::names(self.entries.iter().map(|entry| &entry.store));
        let mut writes = Vec::new();
        let mut sent = Vec::new();
        for mut entry in self.entries {
            sent.push(Sent { id: entry.id(), origin: entry.origin, stored: entry.draft.take_stored() });
            let write = entry.draft.into_write(None);
            let write = write.map_err(|invalid| invalid.in_table(&entry.store.table))?;
            writes.push((entry.store, write));
        }
        let mut request = match writes.pop() {
            Some((store, write)) if is_single => Request::single(&store, write),
            last => {
                writes.extend(last);
                Request::transaction(client, &tables, writes)?
            }
        };
        let settled = request.settle(budget).await;
        settled.map(drop).map_err(|error| {
            let error = match (error, request.gone()) {
                // The run read or assumed an item, so a missing one is a conflict: another writer deleted it.
                (Error::NotFound, Some(gone)) => budget.refused(Error::Conflict(gone.into())),
                (error, _) => error,
            };
            Refused { carried: carried_after(&error, sent), error }
        })
    }

    /// Checks that an error of the closure may be returned: the items that the run read must have been stored at one moment.
    pub(crate) async fn verify_refusal(&self, client: &Client, budget: &mut Budget) -> Result<(), Refused> {
        match self.verify_reads(client, budget).await {
            // The check itself failed, for the same reason as the read, perhaps. The closure's error is about that read, and does
            // not depend on items.
            Err(Refused { carried: None, .. }) if self.has_failed_read => Ok(()),
            verified => verified,
        }
    }

    /// Checks that all items that the run read were stored at one moment. A single item always was.
    async fn verify_reads(&self, client: &Client, budget: &mut Budget) -> Result<(), Refused> {
        let reads: Vec<&Entry> =
            self.entries.iter().filter(|entry| entry.origin != Origin::Assumed).collect();
        let is_verified =
            self.carried.is_one_state && reads.iter().all(|entry| entry.origin == Origin::Carried);
        if is_verified || reads.len() < 2 {
            return Ok(());
        }
        let stored = read_at_once(client, &reads, budget).await?;
        // A version stands for the contents: an item at the version that was read is the item that was read.
        let differs = |(entry, item): &(&&Entry, &Option<Item>)| {
            let found = Expectation::from_read(item.as_ref(), entry.draft.schema());
            found.ok() != Some(entry.draft.expectation())
        };
        let Some((entry, item)) = reads.iter().zip(&stored).find(differs) else { return Ok(()) };
        let conflict = entry.conflict(entry.draft.expectation(), item.clone());
        // The next run begins with these items. It needs no other check, unless it reads more.
        let items = reads.iter().map(|entry| entry.id()).zip(stored).collect();
        let carried = Some(Carried { items, is_one_state: true });
        Err(Refused { error: budget.refused(Error::Conflict(conflict.into())), carried })
    }
}

/// Reads the items of `entries` in one `TransactGetItems`, which returns them as they are stored at one moment.
async fn read_at_once(client: &Client, entries: &[&Entry], budget: &mut Budget) -> Result<Vec<Option<Item>>> {
    check_actions(entries.len())?;
    let gets = entries.iter().map(|entry| {
        let get = Get::builder().table_name(&*entry.store.table).set_key(Some(entry.draft.key().clone()));
        // Every required member is set, so no build fails.
        TransactGetItem::builder().set_get(get.build().ok()).build()
    });
    let request = client.transact_get_items().set_transact_items(Some(gets.collect()));
    let tables = store::names(entries.iter().map(|entry| &entry.store));
    let call = SdkCall { client, operation: "TransactGetItems", tables: &tables };
    let output = call.ask(budget, |config| send_with!(config, request.clone())).await?;
    let responses = output.responses.unwrap_or_default();
    // A response belongs to the key at its position. A missing response does not mean a missing item.
    if responses.len() != entries.len() {
        return Err(call.unusable("there is not one response for each item"));
    }
    Ok(responses.into_iter().map(|ItemResponse { item, .. }| item).collect())
}

/// The rest of an entry whose write was sent.
struct Sent {
    id: Id,
    origin: Origin,
    stored: Option<Item>,
}

/// The items with which a run begins after a commit was refused: those that the refusal returned, and all others as they were
/// read.
///
/// Returns `None` if no refused item was read. The next run would write the same again, since its closure would see nothing new.
fn carried_after(error: &Error, sent: Vec<Sent>) -> Option<Carried> {
    let (Error::Conflict(first) | Error::AlreadyExists(first)) = error else { return None };
    let others = first.other_refusals().iter().filter_map(Error::conflict);
    let mut refused: HashMap<usize, &Conflict> = std::iter::once(&**first)
        .chain(others)
        .map(|conflict| (conflict.action_index().unwrap_or_default(), conflict))
        .collect();
    let was_read =
        |(index, sent): (usize, &Sent)| sent.origin != Origin::Assumed && refused.contains_key(&index);
    if !sent.iter().enumerate().any(was_read) {
        return None;
    }
    let mut items = HashMap::with_capacity(sent.len());
    for (index, Sent { id, origin, stored }) in sent.into_iter().enumerate() {
        match refused.remove(&index).map(Conflict::item) {
            Some(Some(returned)) => {
                items.insert(id, Some(returned.clone()));
            }
            // The item is gone, or was not returned. The next run reads it again.
            Some(None) => {}
            None if origin == Origin::Assumed => {}
            None => {
                items.insert(id, stored);
            }
        }
    }
    Some(Carried { items, is_one_state: false })
}

impl Entry {
    fn id(&self) -> Id {
        (self.store.table.clone(), KeyId::new(self.draft.schema(), self.draft.key()))
    }

    fn conflict(&self, expectation: Expectation, item: Option<Item>) -> Conflict {
        Conflict::new(&self.store.table, self.draft.schema(), expectation, self.draft.key().clone(), item)
    }

    /// Adds a write to the draft, if it fits the item as this transaction sees it.
    /// The item with this run's changes in it. Where an unread item was saved, only what the object holds is known: then `found`,
    /// the result of a read, is needed, and must be as the object said.
    fn read(&mut self, found: Option<Item>) -> Result<Option<Item>> {
        if !self.draft.is_known() {
            let is_expected = self.draft.add_stored(found.clone());
            if !is_expected.map_err(|invalid| invalid.in_table(&self.store.table))? {
                return Err(Error::Conflict(self.conflict(self.draft.expectation(), found).into()));
            }
            self.origin = Origin::Read;
        }
        Ok(self.draft.item())
    }

    fn write(&mut self, kind: Kind, object: Snapshot) -> Result<()> {
        match (kind, self.draft.exists()) {
            (Kind::Create, true) => {
                let item = self.draft.item().filter(|_| self.draft.is_known());
                let conflict = self.conflict(Expectation::Absent, item);
                return Err(Error::AlreadyExists(conflict.into()));
            }
            (Kind::Create, false) => {}
            (_, true) => self.check_age(&object)?,
            (_, false) => return Err(Error::NotFound),
        }
        let now = || self.store.now();
        self.draft.write(kind, object, now).map_err(|invalid| invalid.in_table(&self.store.table))
    }

    /// Refuses an object from an earlier state of the item, since it would undo what others have written since. A version of 0,
    /// or one above the item's, cannot be an earlier state: the closure itself has set it, and it is ignored.
    fn check_age(&self, object: &Snapshot) -> Result<()> {
        match object.version() {
            Ok(held) if 0 < held && held < self.draft.expectation().number() => {
                let stored = if self.origin == Origin::Assumed { None } else { self.draft.item() };
                Err(Error::Conflict(self.conflict(Expectation::version(held), stored).into()))
            }
            _ => Ok(()),
        }
    }
}
