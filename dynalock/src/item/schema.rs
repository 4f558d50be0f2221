//! What the derive knows about a struct: its keys, its version, its attributes.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::item::key_type::{self, KeyType};

/// What `#[derive(Versioned)]` found out about a struct, as constant data.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// The struct's name, for messages.
    pub name: &'static str,
    /// The attribute of the partition key.
    pub partition_key: KeyAttribute,
    /// The attribute of the sort key, where there is one.
    pub sort_key: Option<KeyAttribute>,
    /// The name of the version attribute.
    pub version: &'static str,
    /// The names of every attribute that serde may write for a declared field, in the order of the fields. Entries of a
    /// flattened field are not known here.
    pub attributes: &'static [&'static str],
    /// The attributes that serde also reads under another name: the name that it writes, then the other.
    pub aliases: &'static [(&'static str, &'static str)],
    /// What the first version is.
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

/// The slots of write stamps that any application may use. How many are in use is the `stamps` setting of its struct; applications with
/// different settings read each other's stamps.
pub(crate) const STAMP_SLOTS: [&str; 32] = [
    "_stamp0", "_stamp1", "_stamp2", "_stamp3", "_stamp4", "_stamp5", "_stamp6", "_stamp7", "_stamp8",
    "_stamp9", "_stamp10", "_stamp11", "_stamp12", "_stamp13", "_stamp14", "_stamp15", "_stamp16",
    "_stamp17", "_stamp18", "_stamp19", "_stamp20", "_stamp21", "_stamp22", "_stamp23", "_stamp24",
    "_stamp25", "_stamp26", "_stamp27", "_stamp28", "_stamp29", "_stamp30", "_stamp31",
];

/// Whether `attribute` is one of the 32 names that are kept for write stamps.
pub(crate) fn is_stamp_slot(attribute: &str) -> bool {
    attribute.starts_with("_stamp") && STAMP_SLOTS.contains(&attribute)
}

/// One attribute of the primary key.
#[derive(Clone, Copy)]
pub struct KeyAttribute {
    /// The attribute's name in DynamoDB.
    pub name: &'static str,
    /// Finds the attribute's DynamoDB type from the Rust type of the field.
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
    /// The time of the first write in microseconds since 1970, so that an item that is deleted and created again never
    /// uses a version twice. That holds while no clock lags behind the clock of whoever created the key before, and
    /// versions are raised by fewer than a million a second.
    Clock,
}

/// The DynamoDB type that serde gives to values of `K`.
#[must_use]
pub fn scalar_type<K: DeserializeOwned>() -> KeyType {
    key_type::key_type_of::<K>()
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Schema {
        /// What the unit tests write: a key `id`, a version `version`, and the attributes `a`, `b` and `c`.
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
