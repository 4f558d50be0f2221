//! What a failed check found: the version that was expected, and the item that stands there instead.

use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::item::{self, Item, StoredVersion};
use crate::schema::Schema;

/// A write that was refused because the stored item is not as it was expected.
///
/// `Display` and `Debug` show the table and the versions, never what the item holds.
pub struct Conflict {
    pub(crate) table: Box<str>,
    pub(crate) schema: &'static Schema,
    pub(crate) expected: u64,
    pub(crate) item: Option<Item>,
}

impl Conflict {
    /// The table that was written to.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The version that the write expected; 0 if it expected an item without a version, or no item.
    #[must_use]
    pub fn expected(&self) -> u64 {
        self.expected
    }

    /// The version that is stored; 0 if the stored item has none. `None` if the store did not say, or what it holds is no
    /// version.
    #[must_use]
    pub fn actual(&self) -> Option<u64> {
        StoredVersion::of(self.item.as_ref()?, self.schema).ok().map(StoredVersion::number)
    }

    /// The stored item that the check failed on.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidItem`] if the item does not fit `T`, or if the store refused the write without telling the item
    /// and a read for it failed.
    pub fn current<T: DeserializeOwned>(&self) -> Result<T> {
        match self.item.clone() {
            Some(item) => item::from_item(item, self.schema),
            None => Err(Error::item("", "the store refused the write without telling the item")),
        }
        .map_err(|error| error.in_table(&self.table))
    }

    /// The stored item as the SDK gave it, every attribute included; `None` if the store did not tell it.
    #[must_use]
    pub fn item(&self) -> Option<&std::collections::HashMap<String, AttributeValue>> {
        self.item.as_ref()
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, expected, .. } = self;
        match (expected, self.actual()) {
            (0, Some(actual)) if actual > 0 => {
                write!(
                    f,
                    "the item in table \"{table}\" has version {actual}, but the object has none: read before writing"
                )
            }
            (_, Some(actual)) => {
                write!(
                    f,
                    "the item in table \"{table}\" was changed by another writer: expected version {expected}, found {actual}"
                )
            }
            (_, None) => write!(f, "the item in table \"{table}\" is not at version {expected} as expected"),
        }
    }
}

impl fmt::Debug for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conflict")
            .field("table", &self.table)
            .field("expected", &self.expected)
            .field("actual", &self.actual())
            .finish_non_exhaustive()
    }
}
