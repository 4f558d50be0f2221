//! Writes of an object that the caller holds: `save`, `replace` and `touch`.

use std::fmt;
use std::future::IntoFuture;

use crate::error::Result;
use crate::table::options::{Options, option_methods};
use crate::table::{BoxFuture, Table};
use crate::versioned::{Versioned, set_version};
use crate::write::draft::Kind;

impl<T: Versioned> Table<T> {
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

    fn write<'a>(&self, kind: Kind, item: &'a mut T) -> Write<'a, T> {
        Write { kind, item, options: Options::new(self) }
    }
}

/// A save, replace or touch that waits to be sent; see [`Table::save`].
#[must_use = "nothing is written until the call is awaited"]
pub struct Write<'a, T> {
    kind: Kind,
    item: &'a mut T,
    options: Options<T>,
}

impl<T> fmt::Debug for Write<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write")
            .field("kind", &self.kind)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

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
            set_version(item, version);
            Ok(())
        })
    }
}
