//! The call `delete`, and the answer that says how it ended.

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
    /// With `start = 1`, a new item under the same key begins at the same versions, and a delete that is still under way can
    /// remove it. Use `start = "clock"` where items are deleted.
    ///
    /// A missing item is no error. [`Deleted`] says whether this call deleted the item, or that this cannot be known.
    ///
    /// Lost replies, timeouts, throttling and failed connections are retried with the identical request.
    ///
    /// # Errors
    ///
    /// The same as those of [`save`](Self::save), without [`NotFound`](crate::Error::NotFound).
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

/// How a delete succeeded. In every case, there is no item now.
///
/// A delete may redeem something that is valid once, such as a token or an invitation. The caller that gets `Now` has redeemed
/// it, and a caller that gets `AlreadyGone` must be refused. `NowOrBefore` does not decide: if you refuse it, a user whose reply
/// was lost is locked out; if you accept it, two users may have redeemed the same token.
///
/// Do not let such a decision depend on a delete. Redeem with [`try_update`](crate::Table::try_update) instead: its closure
/// stores who redeems, and refuses if somebody else already did. That answer is exact even after a lost reply, and the same user
/// can safely ask again. Delete the item afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// This call deleted the item.
    Now,
    /// There was no item, and this call deleted nothing. This holds as long as nothing between the client and DynamoDB delivers a
    /// request twice and returns only the second reply.
    AlreadyGone,
    /// There is no item, but an earlier reply of this call was lost. Either this call deleted the item, or it was gone before.
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
