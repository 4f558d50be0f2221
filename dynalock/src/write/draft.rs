//! An item as it is known, with the changes that wait to be written.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::item::invalid::Invalid;
use crate::item::schema::Schema;
use crate::item::size;
use crate::item::snapshot::Snapshot;
use crate::item::{Item, StoredVersion};
use crate::write::ConditionalWrite;
use crate::write::changes::Changes;
use crate::write::condition::{Condition, Terms};
use crate::write::expectation::Expect;

/// One item, and what is to become of it.
pub(crate) struct Draft {
    /// With the changes made in it, but at the version that is stored; `None` where there is none.
    item: Option<Item>,
    /// Whether the item is of use to others after it was changed.
    pub(crate) is_shared: bool,
    pending: Option<Pending>,
}

/// What one write does to the item.
struct Pending {
    expect: Expect,
    version: u64,
    changes: Changes,
}

impl Draft {
    /// What the store was seen to hold.
    pub(crate) fn of(item: Option<Item>) -> Self {
        Self { item, is_shared: false, pending: None }
    }

    /// Whether there is something to write.
    pub(crate) fn is_changed(&self) -> bool {
        self.pending.is_some()
    }

    /// How many bytes the item takes at least.
    pub(crate) fn least_bytes(&self) -> usize {
        let attributes = self.item.iter().flatten();
        size::least_bytes(attributes.map(|(name, value)| (name.as_str(), value)))
    }

    /// The item, to be read and changed.
    pub(crate) fn item(&mut self) -> Option<Item> {
        if self.is_shared { self.item.clone() } else { self.item.take() }
    }

    /// Adds what differs between two states of the object that the item was read as; `false` if nothing does.
    pub(crate) fn change(
        &mut self,
        before: &Snapshot,
        after: Snapshot,
        read: StoredVersion,
        now: impl FnOnce() -> u64,
    ) -> Result<bool, Invalid> {
        let mut keys = before.schema.key_attributes();
        if let Some(key) = keys.find(|key| before.key.get(key.name) != after.key.get(key.name)) {
            return Err(Invalid::item(key.name, "the closure changed the key, and keys never change"));
        }
        let changes = Changes::between(before, after);
        if changes.is_empty() {
            return Ok(false);
        }
        let version = match &self.pending {
            Some(earlier) => earlier.version,
            None => before.next_version(now)?,
        };
        if let Some(item) = &mut self.item {
            changes.apply(item);
        }
        match &mut self.pending {
            Some(earlier) => earlier.changes.then(changes),
            None => self.pending = Some(Pending { expect: Expect::read(read), version, changes }),
        }
        Ok(true)
    }

    /// Makes `object` the item, where there is none.
    pub(crate) fn create(
        &mut self,
        key: &Item,
        object: Snapshot,
        now: impl FnOnce() -> u64,
    ) -> Result<(), Invalid> {
        if let Some((name, _)) = key.iter().find(|(name, value)| object.key.get(*name) != Some(value)) {
            return Err(Invalid::item(name, "the fresh item has another key than the one asked for"));
        }
        let version = object.first_version(now)?;
        self.item = Some(object.into_item());
        self.pending = Some(Pending { expect: Expect::Absent, version, changes: Changes::default() });
        Ok(())
    }

    /// The write, and the item as it is once that went through, if it is shared; `None` if there is nothing to write.
    pub(crate) fn into_write(
        self,
        schema: &'static Schema,
        key: &Item,
        extra: Option<&Condition>,
    ) -> Result<Option<(ConditionalWrite, Option<Item>)>, Invalid> {
        let Some(Pending { expect, version, changes }) = self.pending else { return Ok(None) };
        let terms = Terms { schema, expect, extra };
        let (item, written) = if self.is_shared { (self.item.clone(), self.item) } else { (self.item, None) };
        let write = match (expect, item) {
            (Expect::Absent, Some(item)) => ConditionalWrite::put(terms, item, version)?,
            _ => ConditionalWrite::change(terms, key.clone(), changes, version)?,
        };
        let written = written.map(|mut item| {
            item.insert(schema.version.to_owned(), AttributeValue::N(version.to_string()));
            item
        });
        Ok(Some((write, written)))
    }
}
