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

/// A struct with a partition key and a version. `#[derive(Versioned)]` implements it; do not implement it by hand.
///
/// The `.._write()` methods build what [`Table`](crate::Table) sends for the call of the same name, as plain data for requests
/// that you send yourself. See [`ConditionalWrite`] for what dynalock then does not do. They fail with
/// [`InvalidItem`](crate::Error::InvalidItem), [`InvalidRequest`](crate::Error::InvalidRequest) or
/// [`VersionOverflow`](crate::Error::VersionOverflow) if the object cannot be written in this way.
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

    /// A write that stores this object if no item has its key. It ignores the version of the object.
    fn create_write(&self) -> Result<ConditionalWrite> {
        build_write(Kind::Create, self)
    }

    /// A write that sets every attribute of the struct if the stored version is that of the object.
    fn save_write(&self) -> Result<ConditionalWrite> {
        build_write(Kind::Save, self)
    }

    /// As [`save_write`](Self::save_write), but removes attributes that the struct doesn't know.
    fn replace_write(&self) -> Result<ConditionalWrite> {
        build_write(Kind::Replace, self)
    }

    /// A write that raises the version, and changes nothing else, if the stored version is that of the object.
    fn touch_write(&self) -> Result<ConditionalWrite> {
        build_write(Kind::Touch, self)
    }

    /// A write that deletes the item if the stored version is that of the object.
    fn delete_write(&self) -> Result<ConditionalWrite> {
        build_write(Kind::Delete, self)
    }

    /// A check that changes nothing, but lets its transaction fail unless the stored version is that of the object.
    fn check_write(&self) -> Result<ConditionalWrite> {
        build_write(Kind::Check, self)
    }
}

/// Holds a `'static` reference to the schema of `T`. A generic function cannot declare a `static` for each `T`.
struct SchemaOf<T>(std::marker::PhantomData<T>);

impl<T: Versioned> SchemaOf<T> {
    const SCHEMA: &'static Schema = &T::SCHEMA;
}

/// The schema of `T`, which the derive has generated.
pub(crate) fn schema<T: Versioned>() -> &'static Schema {
    SchemaOf::<T>::SCHEMA
}

/// A snapshot of `object` for a write.
pub(crate) fn snapshot<T: Versioned>(object: &T) -> Result<Snapshot, Invalid> {
    Snapshot::new(object, schema::<T>(), object.__version().to_u64(), T::Version::MAX)
}

/// Builds the write of a `.._write()` method.
fn build_write<T: Versioned>(kind: Kind, object: &T) -> Result<ConditionalWrite> {
    let now = || microseconds(SystemTime::now());
    let write = snapshot(object).and_then(|object| Draft::write_of(kind, object, None, now));
    // The caller decides later which table to write to.
    write.map_err(|invalid| invalid.in_table(""))
}

/// Sets the version of an object to the one that a write of it has stored.
pub(crate) fn set_version<T: Versioned>(item: &mut T, version: Option<u64>) {
    // The conversion always succeeds: a write is built only with a version that the type can hold.
    if let Some(version) = version.and_then(T::Version::from_u64) {
        item.__set_version(version);
    }
}
