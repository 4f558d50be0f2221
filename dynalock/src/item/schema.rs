//! The schema of a struct, as the derive generates it: its keys, its version and its attributes.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::item::key_type::{self, KeyType};

/// The description of a struct that `#[derive(Versioned)]` generates, as constant data.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// The struct's name, for messages.
    pub name: &'static str,
    /// The attribute of the partition key.
    pub partition_key: KeyAttribute,
    /// The attribute of the sort key, if there is one.
    pub sort_key: Option<KeyAttribute>,
    /// The name of the version attribute.
    pub version: &'static str,
    /// The names of all attributes that serde may write for a declared field, in the order of the fields. The entries of a
    /// flattened field are not among them.
    pub attributes: &'static [&'static str],
    /// The attributes that serde also reads under another name: the name that it writes, then the other name.
    pub aliases: &'static [(&'static str, &'static str)],
    /// The first version of an item.
    pub start: Start,
    /// How much one write raises the version, at least 1.
    pub step: u64,
    /// How many write stamps an item keeps, 0 to 32.
    pub stamps: u8,
}

impl Schema {
    /// The key attributes, partition key first.
    pub(crate) fn key_attributes(&self) -> impl Iterator<Item = &KeyAttribute> {
        std::iter::once(&self.partition_key).chain(&self.sort_key)
    }

    pub(crate) fn is_key(&self, attribute: &str) -> bool {
        self.key_attributes().any(|key| key.name == attribute)
    }
}

/// The attribute names of the slots for write stamps. The `stamps` setting of a struct says how many of them its writes use. A
/// judgement reads all 32, so that applications with different settings find each other's stamps.
pub(crate) const STAMP_SLOTS: [&str; 32] = [
    "_stamp0", "_stamp1", "_stamp2", "_stamp3", "_stamp4", "_stamp5", "_stamp6", "_stamp7", "_stamp8",
    "_stamp9", "_stamp10", "_stamp11", "_stamp12", "_stamp13", "_stamp14", "_stamp15", "_stamp16",
    "_stamp17", "_stamp18", "_stamp19", "_stamp20", "_stamp21", "_stamp22", "_stamp23", "_stamp24",
    "_stamp25", "_stamp26", "_stamp27", "_stamp28", "_stamp29", "_stamp30", "_stamp31",
];

/// Whether `attribute` is one of the 32 names that are reserved for write stamps.
pub(crate) fn is_stamp_slot(attribute: &str) -> bool {
    // Most names do not begin so, and need no search.
    attribute.starts_with("_stamp") && STAMP_SLOTS.contains(&attribute)
}

/// One attribute of the primary key.
#[derive(Clone, Copy)]
pub struct KeyAttribute {
    /// The attribute's name in DynamoDB.
    pub name: &'static str,
    /// Returns the attribute's DynamoDB type, which follows from the Rust type of the field.
    pub scalar_type: fn() -> KeyType,
}

impl fmt::Debug for KeyAttribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The first version of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// A fixed number, at least 1.
    At(u64),
    /// The time of the first write in microseconds since 1970, so that an item that is deleted and created again never uses a
    /// version twice. This holds as long as no clock is behind the clock of the previous writer that created the key, and
    /// versions rise by less than a million a second.
    Clock,
}

/// The DynamoDB type of the values that serde makes of a `K`.
#[must_use]
pub fn scalar_type<K: DeserializeOwned>() -> KeyType {
    key_type::key_type_of::<K>()
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Schema {
        /// The schema of the unit tests: a key `id`, a version `version`, and the attributes `a`, `b` and `c`.
        pub(crate) const EXAMPLE: &'static Self = &Self {
            name: "Example",
            partition_key: KeyAttribute { name: "id", scalar_type: scalar_type::<String> },
            sort_key: None,
            version: "version",
            attributes: &["id", "a", "b", "c", "version"],
            aliases: &[],
            start: Start::At(1),
            step: 1,
            stamps: 0,
        };
    }
}
