//! An object as it stands at one moment, taken apart for writing: key, version, other attributes.

use std::borrow::Cow;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;

use crate::item::invalid::Invalid;
use crate::item::key::check_key_value;
use crate::item::schema::{Schema, Start};
use crate::item::{self, Attributes, Item, serialize};

/// The attributes of an object, with its key and its version set apart.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub(crate) schema: &'static Schema,
    pub(crate) key: Item,
    /// Everything but the key and the version, in the order in which serde gave it.
    pub(crate) attributes: Attributes,
    /// 0 if the object was never stored; `None` where the field holds a negative number.
    version: Option<u64>,
    /// The largest version that the field's type holds.
    max_version: u64,
}

impl Snapshot {
    /// Takes `object` apart.
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
                let value = std::mem::replace(value, AttributeValue::Bool(true));
                key.insert(name.to_string(), value);
                return false;
            }
            *name != schema.version
        });
        let is_alias = |name: &str| schema.aliases.iter().any(|(_, alias)| *alias == name);
        if let Some((name, _)) = attributes.iter().find(|(name, _)| is_alias(name)) {
            return Err(Invalid::item(name, "a flattened entry has a name that another field is read under"));
        }
        for attribute in schema.key_attributes() {
            let missing = || Invalid::item(attribute.name, "the key is missing from the serialized struct");
            check_key_value(schema, attribute, key.get(attribute.name).ok_or_else(missing)?)?;
        }
        Ok(Self { schema, key, attributes, version, max_version })
    }

    /// The names of the declared attributes that serde left out.
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

    /// The object as an item without a version, with room for one and for a stamp.
    pub(crate) fn into_item(self) -> Item {
        item::joined(self.key, self.attributes)
    }

    /// The version of a new item. `now` is in microseconds since 1970.
    pub(crate) fn first_version(&self, now: impl FnOnce() -> u64) -> Result<u64, Invalid> {
        match self.schema.start {
            Start::At(version) => self.checked(Some(version)),
            // A clock that stands at 0 must not make a version that means none.
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

    fn checked(&self, version: Option<u64>) -> Result<u64, Invalid> {
        version
            .filter(|&version| version <= self.max_version)
            .ok_or(Invalid::Overflow { attribute: self.schema.version, max: self.max_version })
    }
}
