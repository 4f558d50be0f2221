//! The snapshot of an object for a write: its key, its version and its other attributes, serialized.

use std::borrow::Cow;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;

use crate::item::invalid::Invalid;
use crate::item::key::check_key_value;
use crate::item::schema::{Schema, Start};
use crate::item::{self, Attributes, Item, serialize};

/// The attributes of an object, separated into its key, its version and the others.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub(crate) schema: &'static Schema,
    pub(crate) key: Item,
    /// Every attribute except the key and the version, in the order in which serde wrote them.
    pub(crate) attributes: Attributes,
    /// 0 if the object was never stored; `None` if the field holds a negative number.
    version: Option<u64>,
    /// The largest version that the field's type can hold.
    max_version: u64,
}

impl Snapshot {
    /// Serializes `object`, and checks its key and its attribute names.
    pub(crate) fn new<T: Serialize>(
        object: &T,
        schema: &'static Schema,
        version: Option<u64>,
        max_version: u64,
    ) -> Result<Self, Invalid> {
        let mut key = Item::with_capacity(2);
        let mut attributes = serialize::to_attributes(object)?;
        attributes.retain_mut(|(name, value)| {
            if schema.is_key(name) {
                // The value moves to the key. Any value may replace it here, since the attribute is removed next.
                let value = std::mem::replace(value, AttributeValue::Bool(true));
                key.insert(name.to_string(), value);
                return false;
            }
            *name != schema.version
        });
        // The macro checks the fields of the struct. Only a flattened entry can still have the name of an alias.
        let is_alias = |name: &str| schema.aliases.iter().any(|(_, alias)| *alias == name);
        if let Some((name, _)) = attributes.iter().find(|(name, _)| is_alias(name)) {
            return Err(Invalid::item(name, "a flattened entry has the name of another field's alias"));
        }
        for attribute in schema.key_attributes() {
            let missing = || Invalid::item(attribute.name, "the key is missing from the serialized struct");
            check_key_value(schema, attribute, key.get(attribute.name).ok_or_else(missing)?)?;
        }
        Ok(Self { schema, key, attributes, version, max_version })
    }

    /// The names of the declared attributes that serde omitted.
    pub(crate) fn omitted(&self) -> impl Iterator<Item = Cow<'static, str>> {
        self.schema
            .attributes
            .iter()
            .filter(|&&name| name != self.schema.version && !self.schema.is_key(name))
            .filter(|&&name| !self.attributes.iter().any(|(written, _)| *written == name))
            .map(|&name| Cow::Borrowed(name))
    }

    /// The version of the object; 0 if it was never stored.
    pub(crate) fn version(&self) -> Result<u64, Invalid> {
        self.version.ok_or_else(|| Invalid::item(self.schema.version, "a version must not be negative"))
    }

    /// The same object, at another version.
    pub(crate) fn at_version(self, version: u64) -> Self {
        Self { version: Some(version), ..self }
    }

    /// The object as an item without a version, but with capacity for one and for a stamp.
    pub(crate) fn into_item(self) -> Item {
        item::joined(self.key, self.attributes)
    }

    /// The version of a new item. `now` is in microseconds since 1970.
    pub(crate) fn first_version(&self, now: impl FnOnce() -> u64) -> Result<u64, Invalid> {
        match self.schema.start {
            Start::At(version) => self.checked(Some(version)),
            // A clock at 0 must not make version 0, which means that the item has no version.
            Start::Clock => self.checked(Some(now().max(1))),
        }
    }

    /// The version after this one.
    pub(crate) fn next_version(&self, now: impl FnOnce() -> u64) -> Result<u64, Invalid> {
        match self.version()? {
            0 => self.first_version(now),
            version => self.checked(version.checked_add(self.schema.step)),
        }
    }

    /// Returns `version`, or an overflow if it is `None` or beyond the field's type.
    fn checked(&self, version: Option<u64>) -> Result<u64, Invalid> {
        version
            .filter(|&version| version <= self.max_version)
            .ok_or(Invalid::Overflow { attribute: self.schema.version, max: self.max_version })
    }
}
