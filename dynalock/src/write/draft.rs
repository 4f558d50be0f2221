//! The draft of one item: its key, what is known of the stored item, and the changes that a call has yet to write.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::item::invalid::Invalid;
use crate::item::schema::Schema;
use crate::item::snapshot::Snapshot;
use crate::item::{Item, size};
use crate::write::changes::Changes;
use crate::write::condition::Condition;
use crate::write::expectation::Expectation;
use crate::write::intent::Intent;
use crate::write::placeholders::Placeholders;
use crate::write::stamp::Stamp;
use crate::write::{Action, ConditionalWrite};

/// One item of a call: what its write will expect of the stored item, and the changes that are not written yet.
pub(crate) struct Draft {
    schema: &'static Schema,
    key: Item,
    expectation: Expectation,
    stored: Stored,
    effect: Effect,
}

/// What is known of the stored item.
enum Stored {
    /// A read has found no item.
    Nothing,
    /// A read has found this item.
    Item(Item),
    /// Nothing beyond the expectation: the item was not read, or the caller has taken it.
    AsExpected,
}

/// What the write does to the item.
///
/// Several changes of one item become one write:
///
/// | change | from `Check` or `Delete` | from `Put` | from `Update` |
/// |---|---|---|---|
/// | create, replace | `Put` | `Put` of the new object | `Put` |
/// | save, [`merge`](Draft::merge) | `Update` | `Put`, with the changes in its item | `Update`, with the changes added |
/// | touch | `Update` without changes | as before | as before |
/// | delete | `Delete`, or `Check` if a read has found no item | the same | the same |
/// | check | as before | as before | as before |
enum Effect {
    /// Checks that the stored item is as expected, and writes nothing.
    Check,
    /// Stores `item`, which has neither version nor stamp yet.
    Put { item: Item, version: u64 },
    /// Sets and removes attributes of the stored item.
    Update { changes: Changes, version: u64 },
    /// Deletes the item.
    Delete,
}

/// What a call does to an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Stores a new item.
    Create,
    /// Sets every attribute of the struct, and removes those that serde omitted.
    Save,
    /// Stores the object, and removes the attributes that its struct doesn't know.
    Replace,
    /// Raises the version and changes nothing else.
    Touch,
    /// Removes the item.
    Delete,
    /// Changes nothing, but the transaction fails unless the item is as expected.
    Check,
}

impl Kind {
    /// The name of the call.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Save => "save",
            Self::Replace => "replace",
            Self::Touch => "touch",
            Self::Delete => "delete",
            Self::Check => "check",
        }
    }
}

impl Draft {
    /// A draft after a read of `key`. `found` is the item that was read, or `None` if there was none.
    pub(crate) fn read(schema: &'static Schema, key: Item, found: Option<Item>) -> Result<Self, Invalid> {
        let expectation = Expectation::from_read(found.as_ref(), schema)?;
        let stored = found.map_or(Stored::Nothing, Stored::Item);
        Ok(Self { schema, key, expectation, stored, effect: Effect::Check })
    }

    /// A draft of an item that was not read. A create expects that no item is stored; every other call expects the version of
    /// `object`.
    pub(crate) fn assumed(kind: Kind, object: &Snapshot) -> Result<Self, Invalid> {
        let expectation = match kind {
            Kind::Create => Expectation::Absent,
            _ => Expectation::version(object.version()?),
        };
        let key = object.key.clone();
        Ok(Self {
            schema: object.schema,
            key,
            expectation,
            stored: Stored::AsExpected,
            effect: Effect::Check,
        })
    }

    /// The conditional write of the call `kind` with an object that the caller holds.
    pub(crate) fn write_of(
        kind: Kind,
        object: Snapshot,
        condition: Option<&Condition>,
        now: impl FnOnce() -> u64,
    ) -> Result<ConditionalWrite, Invalid> {
        let mut draft = Self::assumed(kind, &object)?;
        draft.write(kind, object, now)?;
        draft.into_write(condition)
    }

    pub(crate) fn schema(&self) -> &'static Schema {
        self.schema
    }

    pub(crate) fn key(&self) -> &Item {
        &self.key
    }

    pub(crate) fn expectation(&self) -> Expectation {
        self.expectation
    }

    /// Whether the draft has changes to write.
    pub(crate) fn is_changed(&self) -> bool {
        !matches!(self.effect, Effect::Check)
    }

    /// Whether the write stores the item, as a whole or in part, rather than deleting or checking it.
    pub(crate) fn stores(&self) -> bool {
        matches!(self.effect, Effect::Put { .. } | Effect::Update { .. })
    }

    /// Whether the item with the changes in it is known as a whole. It is not after an update of an item that was not read.
    pub(crate) fn is_known(&self) -> bool {
        !matches!((&self.effect, &self.stored), (Effect::Update { .. }, Stored::AsExpected))
    }

    /// Adds the stored item, which a read has found after the item was assumed. Returns `false`, and adds nothing, if it is not as
    /// expected.
    pub(crate) fn add_stored(&mut self, found: Option<Item>) -> Result<bool, Invalid> {
        let read = Expectation::from_read(found.as_ref(), self.schema)?;
        let Some(item) = found.filter(|_| read.number() == self.expectation.number()) else {
            return Ok(false);
        };
        self.expectation = read;
        self.stored = Stored::Item(item);
        Ok(true)
    }

    /// Whether the item exists once the changes are written.
    pub(crate) fn exists(&self) -> bool {
        match (&self.effect, &self.stored) {
            (Effect::Put { .. } | Effect::Update { .. }, _) => true,
            (Effect::Delete, _) => false,
            (Effect::Check, stored) => match stored {
                Stored::Nothing => false,
                Stored::Item(_) => true,
                Stored::AsExpected => self.expectation != Expectation::Absent,
            },
        }
    }

    /// The item with the changes applied, at its stored version; `None` if it does not exist, or nothing is known of it.
    pub(crate) fn item(&self) -> Option<Item> {
        let (mut item, is_stored) = match (&self.effect, &self.stored) {
            (Effect::Check | Effect::Update { .. }, Stored::Item(item)) => (item.clone(), true),
            (Effect::Update { .. }, _) => (self.key.clone(), false),
            (Effect::Put { item, .. }, _) => (item.clone(), false),
            (Effect::Check | Effect::Delete, _) => return None,
        };
        if let Effect::Update { changes, .. } = &self.effect {
            changes.apply(&mut item);
        }
        // A stored item has its version already, possibly absent or NULL. Any other gets the version that the write expects: the
        // next one is set only once the write is applied.
        if !is_stored {
            self.set_version(&mut item, self.expectation.number());
        }
        Some(item)
    }

    /// As [`item`](Self::item), but moves an unchanged item out of the draft instead of copying it. Use it only where nobody else
    /// reads the draft.
    pub(crate) fn take_item(&mut self) -> Option<Item> {
        if self.is_changed() { self.item() } else { self.take_stored() }
    }

    /// Moves the stored item out of the draft; `None` if no item is stored, or nothing is known of it.
    pub(crate) fn take_stored(&mut self) -> Option<Item> {
        match std::mem::replace(&mut self.stored, Stored::AsExpected) {
            Stored::Item(item) => Some(item),
            Stored::Nothing => {
                // Nothing was moved out, so the draft keeps what the read has found.
                self.stored = Stored::Nothing;
                None
            }
            Stored::AsExpected => None,
        }
    }

    /// A lower bound for the size of the item with the changes in it, in bytes; 0 if the item is not known.
    pub(crate) fn least_bytes(&self) -> usize {
        let item = match (&self.effect, &self.stored) {
            (Effect::Put { item, .. }, _) | (_, Stored::Item(item)) => Some(item),
            _ => None,
        };
        let changes = if let Effect::Update { changes, .. } = &self.effect { Some(changes) } else { None };
        let is_replaced = |name: &str| changes.is_some_and(|changes| changes.has(name));
        let kept = item.into_iter().flatten().filter(|(name, _)| !is_replaced(name));
        let kept = kept.map(|(name, value)| (name.as_str(), value));
        size::least_bytes(kept.chain(changes.into_iter().flat_map(Changes::attributes)))
    }

    /// Applies the call `kind` with `object` on top of the earlier changes. The new version follows from the expected version,
    /// not from the version that `object` has.
    pub(crate) fn write(
        &mut self,
        kind: Kind,
        object: Snapshot,
        now: impl FnOnce() -> u64,
    ) -> Result<(), Invalid> {
        match kind {
            Kind::Check => return Ok(()),
            Kind::Delete => {
                // A read that found no item leaves nothing to delete. An item that was only assumed to be absent stays a change:
                // `into_write` turns its delete into a check that the caller still sends.
                let is_gone = matches!(self.stored, Stored::Nothing);
                self.effect = if is_gone { Effect::Check } else { Effect::Delete };
                return Ok(());
            }
            Kind::Create | Kind::Save | Kind::Replace | Kind::Touch => {}
        }
        let object = object.at_version(self.expectation.number());
        let version = self.next_version(&object, now)?;
        match kind {
            Kind::Create | Kind::Replace => self.effect = Effect::Put { item: object.into_item(), version },
            Kind::Touch => self.add(Changes::default(), version),
            // A check and a delete have returned by now.
            Kind::Save | Kind::Check | Kind::Delete => self.add(Changes::all(object), version),
        }
        Ok(())
    }

    /// The version that the write makes of an item that is read as `object`. Several changes are one write, which raises the
    /// version once: the first of them has set it.
    fn next_version(&self, object: &Snapshot, now: impl FnOnce() -> u64) -> Result<u64, Invalid> {
        match self.effect {
            Effect::Put { version, .. } | Effect::Update { version, .. } => Ok(version),
            Effect::Check | Effect::Delete => object.next_version(now),
        }
    }

    /// Adds changes to those that the draft has already.
    fn add(&mut self, changes: Changes, version: u64) {
        match &mut self.effect {
            Effect::Put { item, .. } => changes.apply(item),
            Effect::Update { changes: earlier, .. } => earlier.merge(changes),
            Effect::Check | Effect::Delete => self.effect = Effect::Update { changes, version },
        }
    }

    /// Stores `object` as a new item. It must have the key of the draft.
    pub(crate) fn create(&mut self, object: Snapshot, now: impl FnOnce() -> u64) -> Result<(), Invalid> {
        let differs = |(name, value): &(&String, &AttributeValue)| object.key.get(*name) != Some(*value);
        if let Some((name, _)) = self.key.iter().find(differs) {
            return Err(Invalid::item(name, "the key of the new item is not the key of the call"));
        }
        self.write(Kind::Create, object, now)
    }

    /// Adds what a closure changed: the differences between the object that it got, `before`, and the object that it left,
    /// `after`. Returns `false` if there are none.
    pub(crate) fn merge(
        &mut self,
        before: &Snapshot,
        after: Snapshot,
        now: impl FnOnce() -> u64,
    ) -> Result<bool, Invalid> {
        let mut keys = self.schema.key_attributes();
        if let Some(key) = keys.find(|key| before.key.get(key.name) != after.key.get(key.name)) {
            return Err(Invalid::item(key.name, "the closure changed the key, which never changes"));
        }
        let changes = Changes::between(before, after);
        if changes.is_empty() {
            return Ok(false);
        }
        let version = self.next_version(before, now)?;
        self.add(changes, version);
        Ok(true)
    }

    /// The item as it is stored once the write is applied, except for its stamp; `None` if that is not known.
    pub(crate) fn written(&self) -> Option<Item> {
        let version = match (&self.effect, &self.stored) {
            (Effect::Put { version, .. }, _) | (Effect::Update { version, .. }, Stored::Item(_)) => *version,
            _ => return None,
        };
        let mut item = self.item()?;
        self.set_version(&mut item, version);
        Some(item)
    }

    /// Sets the version attribute of `item`.
    fn set_version(&self, item: &mut Item, version: u64) {
        item.insert(self.schema.version.to_owned(), AttributeValue::N(version.to_string()));
    }

    /// The write of the changes, which DynamoDB applies if the stored item is as expected and `condition` holds. A draft without
    /// changes becomes a check.
    pub(crate) fn into_write(self, condition: Option<&Condition>) -> Result<ConditionalWrite, Invalid> {
        let Self { schema, key, expectation, effect, .. } = self;
        let mut placeholders = Placeholders::default();
        let (action, next_version, stamp) = match effect {
            Effect::Put { mut item, version } => {
                let stamp = draw_stamp(schema, version)?;
                item.insert(schema.version.to_owned(), AttributeValue::N(version.to_string()));
                item.extend(stamp.map(|stamp| (stamp.slot_in(schema).to_owned(), stamp.value())));
                size::check_size(item.iter().map(|(name, value)| (name.as_str(), value)))?;
                (Action::Put { item }, Some(version), stamp)
            }
            Effect::Update { changes, version } => {
                size::check_size(changes.attributes())?;
                let stamp = draw_stamp(schema, version)?;
                let slot = stamp.map(|stamp| (stamp.slot_in(schema), stamp.value()));
                let expression = changes.render((schema.version, version), slot, &mut placeholders)?;
                (Action::Update { key, expression }, Some(version), stamp)
            }
            // A delete that expects no item has nothing to delete: it becomes a check that there is none.
            Effect::Delete if expectation != Expectation::Absent => (Action::Delete { key }, None, None),
            Effect::Delete | Effect::Check => (Action::Check { key }, None, None),
        };
        // The version check comes first: the caller's condition is appended to it with AND.
        let mut expression = expectation.render(schema, &mut placeholders);
        if let Some(condition) = condition {
            condition.add_to(&mut expression, &mut placeholders)?;
        }
        let intent = Intent {
            schema,
            operation: action.operation(),
            expectation,
            next_version,
            stamp,
            is_conditional: condition.is_some(),
            // Set by a request that is sent as a transaction, which has a token.
            has_token: false,
        };
        Ok(ConditionalWrite { intent, action, condition: expression, placeholders })
    }
}

/// A fresh stamp for a write that makes `version`; `None` if the struct keeps no stamps.
fn draw_stamp(schema: &Schema, version: u64) -> Result<Option<Stamp>, Invalid> {
    (schema.stamps > 0).then(|| Stamp::draw(version)).transpose()
}

#[cfg(test)]
mod tests;
