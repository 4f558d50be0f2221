//! The trait that the derive implements.

use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Result;
use crate::item::invalid::Invalid;
use crate::item::schema::Schema;
use crate::item::snapshot::Snapshot;
use crate::item::version::VersionNumber;
use crate::support::clock::microseconds;
use crate::write::ConditionalWrite;
use crate::write::draft::{Draft, Kind};

/// A struct with a partition key and a version. Implemented by `#[derive(Versioned)]`, never by hand.
///
/// The `.._write()` methods build what [`Table`](crate::Table) sends for the call of the same name, as plain data for
/// requests that you send yourself; see [`ConditionalWrite`] for what is then yours to do.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not versioned",
    label = "no version field is known for this type",
    note = "add `#[derive(dynalock::Versioned)]`, and mark its key with `#[dynalock(partition_key)]` and its version with `#[dynalock(version)]`"
)]
pub trait Versioned: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The type of the partition key, or [`PartitionAndSort`](crate::PartitionAndSort) of both key types.
    type Key: 'static;

    /// The type of the version field.
    type Version: VersionNumber;

    #[doc(hidden)]
    const SCHEMA: Schema;

    #[doc(hidden)]
    fn __version(&self) -> Self::Version;

    #[doc(hidden)]
    fn __set_version(&mut self, version: Self::Version);

    /// Stores this object if no item has its key. The version in the object is ignored.
    fn create_write(&self) -> Result<ConditionalWrite> {
        unsent(Kind::Create, self)
    }

    /// Sets every attribute of the struct if the version is still the same.
    fn save_write(&self) -> Result<ConditionalWrite> {
        unsent(Kind::Save, self)
    }

    /// As `save_write`, but drops attributes that the struct doesn't know.
    fn replace_write(&self) -> Result<ConditionalWrite> {
        unsent(Kind::Replace, self)
    }

    /// Raises the version, and changes nothing else, if it is still the same.
    fn touch_write(&self) -> Result<ConditionalWrite> {
        unsent(Kind::Touch, self)
    }

    /// Deletes the item if the version is still the same.
    fn delete_write(&self) -> Result<ConditionalWrite> {
        unsent(Kind::Delete, self)
    }

    /// Changes nothing, but fails the transaction it is part of unless the version is still the same.
    fn check_write(&self) -> Result<ConditionalWrite> {
        unsent(Kind::Check, self)
    }
}

/// Where a schema has its fixed address.
struct Of<T>(std::marker::PhantomData<T>);

impl<T: Versioned> Of<T> {
    const SCHEMA: &'static Schema = &T::SCHEMA;
}

/// What the derive knows about `T`.
pub(crate) fn schema<T: Versioned>() -> &'static Schema {
    Of::<T>::SCHEMA
}

/// Takes an object apart for writing.
pub(crate) fn snapshot<T: Versioned>(object: &T) -> Result<Snapshot, Invalid> {
    Snapshot::new(object, schema::<T>(), object.__version().to_u64(), T::Version::MAX)
}

/// A write for a table that is not known here.
fn unsent<T: Versioned>(kind: Kind, object: &T) -> Result<ConditionalWrite> {
    let now = || microseconds(SystemTime::now());
    let write = snapshot(object).and_then(|object| Draft::write_of(kind, object, None, now));
    write.map_err(|invalid| invalid.in_table(""))
}

/// Gives an object the version that a write of it has stored.
pub(crate) fn set_version<T: Versioned>(item: &mut T, version: Option<u64>) {
    // A write is only built with a version that the type can hold.
    if let Some(version) = version.and_then(T::Version::from_u64) {
        item.__set_version(version);
    }
}
