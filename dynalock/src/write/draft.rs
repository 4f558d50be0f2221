//! One item that a call reads or assumes, and what is to be written of it.

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

/// One item, what the write of it will expect of the stored one, and the changes that are not written yet.
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
    Item(Item),
    /// Only that it is as expected: it was not read, or the caller has taken the item that was.
    AsExpected,
}

/// What the write does to the item.
enum Effect {
    /// Nothing: it only checks that the item is as expected.
    Check,
    /// Stores `item`, which has neither version nor stamp yet.
    Put {
        item: Item,
        version: u64,
    },
    Update {
        changes: Changes,
        version: u64,
    },
    Delete,
}

/// What a call does to an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Stores a new item.
    Create,
    /// Sets every attribute that the struct knows, and removes those that serde left out.
    Save,
    /// Stores the object, and drops attributes that its struct doesn't know.
    Replace,
    /// Raises the version and changes nothing else.
    Touch,
    /// Removes the item.
    Delete,
    /// Changes nothing, but lets a transaction fail if the item is no longer as it was read.
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
    /// A draft of the item that a read has found under `key`, or of none.
    pub(crate) fn read(schema: &'static Schema, key: Item, found: Option<Item>) -> Result<Self, Invalid> {
        let expectation = Expectation::from_read(found.as_ref(), schema)?;
        let stored = found.map_or(Stored::Nothing, Stored::Item);
        Ok(Self { schema, key, expectation, stored, effect: Effect::Check })
    }

    /// A draft of an item that was not read: a create expects that there is none, everything else expects the object's version.
    pub(crate) fn assumed(kind: Kind, object: &Snapshot) -> Result<Self, Invalid> {
        let expectation = match kind {
            Kind::Create => Expectation::Absent,
            _ => Expectation::version(object.version()?),
        };
        let (schema, key) = (object.schema, object.key.clone());
        Ok(Self { schema, key, expectation, stored: Stored::AsExpected, effect: Effect::Check })
    }

    /// The write that does `kind` with an object that the caller holds.
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

    /// Whether there is something to write.
    pub(crate) fn is_changed(&self) -> bool {
        !matches!(self.effect, Effect::Check)
    }

    /// Whether the write stores the item, whole or in part.
    pub(crate) fn stores(&self) -> bool {
        matches!(self.effect, Effect::Put { .. } | Effect::Update { .. })
    }

    /// Whether there is an item, with the changes in it.
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

    /// The item with the changes in it, at the version that is stored; `None` if there is none, or nothing is known of it.
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
        if !is_stored {
            self.set_version(&mut item, self.expectation.number());
        }
        Some(item)
    }

    /// As [`item`](Self::item), for a caller that alone uses the draft: takes the stored item away, which is then not copied.
    pub(crate) fn take_item(&mut self) -> Option<Item> {
        if self.is_changed() { self.item() } else { self.take_stored() }
    }

    /// Takes the stored item away; `None` if there is none, or nothing is known of it.
    pub(crate) fn take_stored(&mut self) -> Option<Item> {
        match std::mem::replace(&mut self.stored, Stored::AsExpected) {
            Stored::Item(item) => Some(item),
            Stored::Nothing => {
                self.stored = Stored::Nothing;
                None
            }
            Stored::AsExpected => None,
        }
    }

    /// How many bytes the item takes at least, with the changes in it.
    pub(crate) fn least_bytes(&self) -> usize {
        let no_changes = Changes::default();
        let (item, changes) = match (&self.effect, &self.stored) {
            (Effect::Update { changes, .. }, Stored::Item(item)) => (item, changes),
            (Effect::Put { item, .. }, _) | (_, Stored::Item(item)) => (item, &no_changes),
            _ => return 0,
        };
        let kept = item.iter().filter(|(name, _)| !changes.has(name));
        let kept = kept.map(|(name, value)| (name.as_str(), value));
        size::least_bytes(kept.chain(changes.attributes()))
    }

    /// Does `kind` with `object`, on top of earlier changes. The version follows from the expected one, and not from the object.
    pub(crate) fn write(
        &mut self,
        kind: Kind,
        object: Snapshot,
        now: impl FnOnce() -> u64,
    ) -> Result<(), Invalid> {
        match kind {
            Kind::Check => return Ok(()),
            Kind::Delete => {
                // What was assumed absent, and not read, is still to be checked.
                let is_gone = matches!(self.stored, Stored::Nothing);
                self.effect = if is_gone { Effect::Check } else { Effect::Delete };
                return Ok(());
            }
            Kind::Create | Kind::Save | Kind::Replace | Kind::Touch => {}
        }
        let object = object.at_version(self.expectation.number());
        let version = match self.effect {
            // One write raises the version once.
            Effect::Put { version, .. } | Effect::Update { version, .. } => version,
            Effect::Check | Effect::Delete => object.next_version(now)?,
        };
        match (kind, &mut self.effect) {
            (Kind::Create | Kind::Replace, _) => {
                self.effect = Effect::Put { item: object.into_item(), version };
            }
            (Kind::Touch, Effect::Put { .. } | Effect::Update { .. }) => {}
            (Kind::Touch, _) => self.effect = Effect::Update { changes: Changes::default(), version },
            (_, Effect::Put { item, .. }) => Changes::all(object).apply(item),
            (_, Effect::Update { changes, .. }) => changes.merge(Changes::all(object)),
            (_, Effect::Check | Effect::Delete) => {
                self.effect = Effect::Update { changes: Changes::all(object), version };
            }
        }
        Ok(())
    }

    /// Makes `object` the item, where there is none. It must have the key of the draft.
    pub(crate) fn create(&mut self, object: Snapshot, now: impl FnOnce() -> u64) -> Result<(), Invalid> {
        let differs = |(name, value): &(&String, &AttributeValue)| object.key.get(*name) != Some(*value);
        if let Some((name, _)) = self.key.iter().find(differs) {
            return Err(Invalid::item(name, "the fresh item has another key than the one asked for"));
        }
        self.write(Kind::Create, object, now)
    }

    /// Adds what differs between two states of the object that the item was read as; `false` if nothing does.
    pub(crate) fn merge(
        &mut self,
        before: &Snapshot,
        after: Snapshot,
        now: impl FnOnce() -> u64,
    ) -> Result<bool, Invalid> {
        let mut keys = self.schema.key_attributes();
        if let Some(key) = keys.find(|key| before.key.get(key.name) != after.key.get(key.name)) {
            return Err(Invalid::item(key.name, "the closure changed the key, and keys never change"));
        }
        let changes = Changes::between(before, after);
        if changes.is_empty() {
            return Ok(false);
        }
        match &mut self.effect {
            Effect::Put { item, .. } => changes.apply(item),
            Effect::Update { changes: earlier, .. } => earlier.merge(changes),
            Effect::Check | Effect::Delete => {
                self.effect = Effect::Update { version: before.next_version(now)?, changes };
            }
        }
        Ok(true)
    }

    /// The item as it is stored once the write is applied, but for its stamp; `None` if that is not known.
    pub(crate) fn written(&self) -> Option<Item> {
        let version = match (&self.effect, &self.stored) {
            (Effect::Put { version, .. }, _) | (Effect::Update { version, .. }, Stored::Item(_)) => *version,
            _ => return None,
        };
        let mut item = self.item()?;
        self.set_version(&mut item, version);
        Some(item)
    }

    fn set_version(&self, item: &mut Item, version: u64) {
        item.insert(self.schema.version.to_owned(), AttributeValue::N(version.to_string()));
    }

    /// The write that makes the changes, if the stored item is as expected and `condition` holds; a check if there are none.
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
            Effect::Delete if expectation != Expectation::Absent => (Action::Delete { key }, None, None),
            Effect::Delete | Effect::Check => (Action::Check { key }, None, None),
        };
        let mut expression = expectation.render(schema, &mut placeholders);
        if let Some(condition) = condition {
            condition.add_to(&mut expression, &mut placeholders)?;
        }
        let (operation, is_conditional) = (action.operation(), condition.is_some());
        let intent =
            Intent { schema, operation, expectation, next_version, stamp, is_conditional, has_token: false };
        Ok(ConditionalWrite { intent, action, condition: expression, placeholders })
    }
}

/// A fresh stamp for a write that makes `version`; `None` where the struct keeps none.
fn draw_stamp(schema: &Schema, version: u64) -> Result<Option<Stamp>, Invalid> {
    (schema.stamps > 0).then(|| Stamp::draw(version)).transpose()
}

#[cfg(test)]
mod tests;
