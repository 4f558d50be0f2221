//! Writes of an object that the caller holds: `create`, `save`, `replace`, `touch` and `delete`.

use std::future::IntoFuture;

use crate::error::Result;
use crate::options::{Options, option_methods, shows};
use crate::schema::VersionNumber;
use crate::send::Applied;
use crate::table::{BoxFuture, Table};
use crate::versioned::Versioned;
use crate::write::Kind;

impl<T: Versioned> Table<T> {
    /// Stores a new item, if none has its key. On `Ok` the object has its first version; the version it had before does
    /// not matter.
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](crate::Error::AlreadyExists) with the item that is there. For the other errors, and for what is
    /// retried, see [`save`](Self::save).
    pub fn create<'a>(&self, item: &'a mut T) -> Write<'a, T> {
        self.write(Kind::Create, item)
    }

    /// Sets every attribute of the struct, if the stored version is still the one in the object. On `Ok` the object has
    /// the next version; on any error it is as it was.
    ///
    /// Attributes that the struct doesn't know, as a newer application may have added them, stay. Attributes of declared
    /// fields that serde leaves out, as with `skip_serializing_if`, are removed. Entries that were taken out of a
    /// flattened map are not seen to be missing: use [`replace`](Self::replace), or [`update`](Self::update), which
    /// compares before and after. The attribute of a field's `#[serde(alias)]` is removed: its value is now stored under the field's
    /// name. (Aliases within a flattened struct are not known.)
    ///
    /// An object at version 0 adopts an item that was written before it had a version; it never creates one.
    ///
    /// Lost replies, timeouts, throttling and failed connections are retried with the identical request.
    ///
    /// # Errors
    ///
    /// - [`Conflict`](crate::Error::Conflict): another writer was faster. Nothing was written.
    /// - [`NotFound`](crate::Error::NotFound): there is no such item. Nothing was written.
    /// - [`ConditionFailed`](crate::Error::ConditionFailed): the version is right, but a
    ///   [`condition`](Write::condition) does not hold. Nothing was written.
    /// - [`OutcomeUnknown`](crate::Error::OutcomeUnknown): a reply was lost, and whether the write was applied could not
    ///   be found out.
    /// - [`VersionOverflow`](crate::Error::VersionOverflow), [`InvalidItem`](crate::Error::InvalidItem),
    ///   [`InvalidRequest`](crate::Error::InvalidRequest): nothing was sent.
    /// - [`Sdk`](crate::Error::Sdk): DynamoDB refused, or could not be reached. Nothing was written.
    pub fn save<'a>(&self, item: &'a mut T) -> Write<'a, T> {
        self.write(Kind::Save, item)
    }

    /// Stores the object in place of the item, if the stored version is still the one in the object. Attributes that the
    /// struct doesn't know are dropped, the stamps of earlier writes among them: a writer whose reply was lost just before may
    /// then get [`OutcomeUnknown`](crate::Error::OutcomeUnknown).
    ///
    /// # Errors
    ///
    /// As [`save`](Self::save), and what is retried as well.
    pub fn replace<'a>(&self, item: &'a mut T) -> Write<'a, T> {
        self.write(Kind::Replace, item)
    }

    /// Raises the version and changes nothing else, if the stored version is still the one in the object: every other
    /// writer that has read the item then conflicts.
    ///
    /// # Errors
    ///
    /// As [`save`](Self::save), and what is retried as well.
    pub fn touch<'a>(&self, item: &'a mut T) -> Write<'a, T> {
        self.write(Kind::Touch, item)
    }

    /// Deletes the item, if the stored version is still the one in the object.
    ///
    /// With `start = 1`, a new item under the same key begins at the same versions, and a delete that is still under way
    /// can remove it. Use `start = "clock"` where items are deleted.
    ///
    /// Lost replies, timeouts, throttling and failed connections are retried with the identical request.
    ///
    /// # Errors
    ///
    /// As [`save`](Self::save), but an item that is not there is no error: [`Deleted::AlreadyGone`].
    pub fn delete<'a>(&self, item: &'a T) -> Delete<'a, T> {
        Delete { item, options: Options::of(self) }
    }

    fn write<'a>(&self, kind: Kind, item: &'a mut T) -> Write<'a, T> {
        Write { kind, item, options: Options::of(self) }
    }
}

/// A create, save, replace or touch that waits to be sent; see [`Table::save`].
#[must_use = "nothing is written until the call is awaited"]
pub struct Write<'a, T> {
    kind: Kind,
    item: &'a mut T,
    options: Options<T>,
}

shows! { [T] Write<'_, T> { kind, options } }

impl<T> Write<'_, T> {
    option_methods!(condition, options);
    option_methods!(retry, options);
}

impl<'a, T: Versioned> IntoFuture for Write<'a, T> {
    type Output = Result<()>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { kind, item, options } = self;
        Box::pin(async move {
            let (_, version) = options.send(kind, options.write(kind, item), options.retry).await?;
            raise(item, version);
            Ok(())
        })
    }
}

/// Gives an object the version that a write of it has stored.
pub(crate) fn raise<T: Versioned>(item: &mut T, version: Option<u64>) {
    // A write is only built with a version that the type can hold.
    if let Some(version) = version.and_then(T::Version::from_u64) {
        item.__set_version(version);
    }
}

/// A delete that waits to be sent; see [`Table::delete`].
#[must_use = "nothing is deleted until the call is awaited"]
pub struct Delete<'a, T> {
    item: &'a T,
    options: Options<T>,
}

shows! { [T] Delete<'_, T> { options } }

impl<T> Delete<'_, T> {
    option_methods!(condition, options);
    option_methods!(retry, options);
}

impl<'a, T: Versioned> IntoFuture for Delete<'a, T> {
    type Output = Result<Deleted>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { item, options } = self;
        Box::pin(async move {
            let write = options.write(Kind::Delete, item);
            options.send(Kind::Delete, write, options.retry).await.map(|(applied, _)| Deleted::of(applied))
        })
    }
}

/// How a delete ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// This call deleted the item.
    Now,
    /// There was no item. After a lost reply that may be because this call deleted it.
    AlreadyGone,
}

impl Deleted {
    pub(crate) fn of(applied: Applied) -> Self {
        match applied {
            Applied::Now => Self::Now,
            Applied::AlreadyGone => Self::AlreadyGone,
        }
    }
}
