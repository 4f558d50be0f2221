//! A struct as an item, and back

pub(crate) mod deserialize;
pub(crate) mod invalid;
pub(crate) mod key;
pub(crate) mod key_type;
pub(crate) mod schema;
pub(crate) mod serialize;
pub(crate) mod size;
pub(crate) mod snapshot;
pub(crate) mod version;

use std::borrow::Cow;
use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::item::invalid::Invalid;
use crate::item::schema::Schema;

/// An item in the SDK's form: attribute names and values.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// The attributes of an item, in the order in which serde wrote them.
pub(crate) type Attributes = Vec<(Cow<'static, str>, AttributeValue)>;

/// The version attribute of a stored item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoredVersion {
    /// The item has no version attribute.
    Absent,
    /// The version attribute is NULL: a writer that stores missing values as NULL wrote the item.
    Null,
    /// The version attribute is a number; 0 means that the item has no version yet.
    Number(u64),
}

impl StoredVersion {
    /// Reads the version of `item`, and refuses an attribute that is not a version.
    pub(crate) fn read(item: &Item, schema: &Schema) -> Result<Self, Invalid> {
        let problem = match item.get(schema.version) {
            None => return Ok(Self::Absent),
            Some(AttributeValue::Null(_)) => return Ok(Self::Null),
            Some(AttributeValue::N(digits)) => match digits.parse() {
                Ok(number) => return Ok(Self::Number(number)),
                Err(_) => "found a number that is not a version",
            },
            Some(other) => &format!("found {}", type_name(other)),
        };
        let expected = "a version is a whole number from 0 to 18446744073709551615";
        Err(Invalid::item(schema.version, format!("{problem}; {expected}")))
    }

    /// The version as a number; 0 if the item has none.
    pub(crate) fn number(self) -> u64 {
        match self {
            Self::Absent | Self::Null => 0,
            Self::Number(number) => number,
        }
    }
}

/// The type of an attribute value for messages, which must not show the value itself.
pub(crate) fn type_name(value: &AttributeValue) -> &'static str {
    match value {
        AttributeValue::S(_) => "a string",
        AttributeValue::N(_) => "a number",
        AttributeValue::B(_) => "bytes",
        AttributeValue::Bool(_) => "a boolean",
        AttributeValue::Null(_) => "NULL",
        AttributeValue::L(_) => "a list",
        AttributeValue::M(_) => "a map",
        AttributeValue::Ss(_) => "a set of strings",
        AttributeValue::Ns(_) => "a set of numbers",
        AttributeValue::Bs(_) => "a set of bytes",
        _ => "a value of a type that this version of the SDK does not know",
    }
}

/// The item with this key and these attributes, and with capacity for a version and a stamp.
pub(crate) fn joined(key: Item, attributes: Attributes) -> Item {
    let mut item = key;
    item.reserve(attributes.len() + 2);
    item.extend(attributes.into_iter().map(|(name, value)| (name.into_owned(), value)));
    item
}

#[cfg(test)]
mod tests;
