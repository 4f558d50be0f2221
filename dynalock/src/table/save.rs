//! Writes of an object that the caller holds: `save`, `replace` and `touch`.

use std::fmt;
use std::future::IntoFuture;

use crate::error::Result;
use crate::table::options::{Options, option_methods};
use crate::table::{BoxFuture, Table};
use crate::versioned::{Versioned, set_version};
use crate::write::draft::Kind;

impl<T: Versioned> Table<T> {
    /// Sets every attribute of the struct, if the stored version is still the one in the object. On `Ok` the object has the next
    /// version. On any error the object is unchanged.
    ///
    /// Attributes that the struct doesn't know stay, such as those of a newer application. Attributes of declared fields that
    /// serde omits, as with `skip_serializing_if`, are removed. The attribute of a field's `#[serde(alias)]` is removed, since
    /// its value is now stored under the field's name. (Aliases within a flattened struct are not known.) Entries that were
    /// removed from a flattened map stay in the item, since the object does not show that they are missing. To remove them, use
    /// [`replace`](Self::replace), or [`update`](Self::update), which compares the object before and after the change.
    ///
    /// An object at version 0 adopts an item that was written before it had a version. It never creates one.
    ///
    /// Lost replies, timeouts, throttling and failed connections are retried with the identical request.
    ///
    /// # Errors
    ///
    /// - [`Conflict`](crate::Error::Conflict): another writer changed the item first. Nothing was written.
    /// - [`NotFound`](crate::Error::NotFound): there is no such item. Nothing was written.
    /// - [`ConditionFailed`](crate::Error::ConditionFailed): the version is right, but a
    ///   [`condition`](Write::condition) does not hold. Nothing was written.
    /// - [`OutcomeUnknown`](crate::Error::OutcomeUnknown): a reply was lost, and whether the write was applied could not
    ///   be found out.
    /// - [`VersionOverflow`](crate::Error::VersionOverflow), [`InvalidItem`](crate::Error::InvalidItem),
    ///   [`InvalidRequest`](crate::Error::InvalidRequest): nothing was sent.
    /// - [`Sdk`](crate::Error::Sdk): DynamoDB refused the request, or could not be reached. Nothing was written.
    pub fn save<'a>(&self, item: &'a mut T) -> Write<'a, T> {
        self.write(Kind::Save, item)
    }

    /// Stores the object in place of the item, if the stored version is still the one in the object. Attributes that the struct
    /// doesn't know are removed. The stamps of earlier writes are among them, so a writer whose reply was lost just before may
    /// get [`OutcomeUnknown`](crate::Error::OutcomeUnknown).
    ///
    /// The same failures are retried as for [`save`](Self::save).
    ///
    /// # Errors
    ///
    /// The same as those of [`save`](Self::save).
    pub fn replace<'a>(&self, item: &'a mut T) -> Write<'a, T> {
        self.write(Kind::Replace, item)
    }

    /// Raises the version and changes nothing else, if the stored version is still the one in the object. Every other writer that
    /// has read the item then gets a conflict.
    ///
    /// The same failures are retried as for [`save`](Self::save).
    ///
    /// # Errors
    ///
    /// The same as those of [`save`](Self::save).
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
            // Only now: on an error, the object must be as it was.
            set_version(item, version);
            Ok(())
        })
    }
}
