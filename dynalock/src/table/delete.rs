//! `delete`, and how a delete ended.

use std::fmt;
use std::future::IntoFuture;

use crate::error::Result;
use crate::send::Applied;
use crate::table::options::{Options, option_methods};
use crate::table::{BoxFuture, Table};
use crate::versioned::Versioned;
use crate::write::draft::Kind;

impl<T: Versioned> Table<T> {
    /// Deletes the item, if the stored version is still the one in the object.
    ///
    /// With `start = 1`, a new item under the same key begins at the same versions, and a delete that is still under way
    /// can remove it. Use `start = "clock"` where items are deleted.
    ///
    /// An item that is not there is no error. [`Deleted`] says whether this call deleted the item, and where that cannot be known.
    ///
    /// Lost replies, timeouts, throttling and failed connections are retried with the identical request.
    ///
    /// # Errors
    ///
    /// As [`save`](Self::save), but never [`NotFound`](crate::Error::NotFound).
    pub fn delete<'a>(&self, item: &'a T) -> Delete<'a, T> {
        Delete { item, options: Options::new(self) }
    }
}

/// A delete that waits to be sent; see [`Table::delete`].
#[must_use = "nothing is deleted until the call is awaited"]
pub struct Delete<'a, T> {
    item: &'a T,
    options: Options<T>,
}

impl<T> fmt::Debug for Delete<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delete").field("options", &self.options).finish_non_exhaustive()
    }
}

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
            options
                .send(Kind::Delete, write, options.retry)
                .await
                .map(|(applied, _)| Deleted::from_applied(applied))
        })
    }
}

/// How a delete ended. Whatever it says, there is no item now.
///
/// Where a delete redeems something that counts once, such as a token or an invitation, the one who gets `Now` has redeemed it,
/// and `AlreadyGone` is to be refused. `NowOrBefore` decides nothing: refuse it, and whoever redeemed the token when a reply
/// was lost is locked out; accept it, and two may have redeemed it. So let nothing depend on it: redeem with
/// [`try_update`](crate::Table::try_update), whose closure stores who redeems and refuses if somebody else did. That answer is exact
/// after a lost reply too, and asking again as the same person does no harm. The item can be deleted afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// This call deleted the item.
    Now,
    /// There was no item. This call deleted nothing, as far as it can know: it holds as long as nothing on the way delivers a
    /// request twice and returns the second reply only.
    AlreadyGone,
    /// There is no item. A reply of this call was lost before that was found, so either this call deleted the item, or it was gone
    /// already.
    NowOrBefore,
}

impl Deleted {
    pub(crate) fn from_applied(applied: Applied) -> Self {
        match applied {
            Applied::Now => Self::Now,
            Applied::AlreadyGone => Self::AlreadyGone,
            Applied::NowOrBefore => Self::NowOrBefore,
        }
    }
}
