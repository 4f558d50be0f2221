//! Writes of an object that the caller holds: `create`, `save`, `replace`, `touch` and `delete`.

use std::future::IntoFuture;

use crate::error::Result;
use crate::item::version::VersionNumber;
use crate::send::Applied;
use crate::table::options::{Options, option_methods, shows};
use crate::table::{BoxFuture, Table};
use crate::versioned::Versioned;
use crate::write::Kind;

impl<T: Versioned> Table<T> {
    /// Stores a new item, if none has its key. On `Ok` the object has its first version; the version it had before does
    /// not matter.
    ///
    /// Throttling and failed connections are retried with the identical request, up to the first time that its reply is lost or
    /// late. From then on the create is **never sent again**, whatever the client's own retry settings say: others may have changed
    /// and deleted what it stored, and a second copy would bring that back. One strongly consistent read decides instead: if
    /// the item is there with this create's [stamp](crate::guide::what_ok_means), the answer is `Ok`. If there is no item, the
    /// request may never have arrived, may still be under way, or others have deleted the item since. Nobody can tell, and the
    /// answer is `OutcomeUnknown`.
    ///
    /// [`in_transaction`](Create::in_transaction) is exact whatever is lost, for twice the write units.
    ///
    /// # Errors
    ///
    /// - [`AlreadyExists`](crate::Error::AlreadyExists) with the item that is there. Nothing was written.
    /// - [`ConditionFailed`](crate::Error::ConditionFailed): there is no item, and a [`condition`](Create::condition) does not hold
    ///   for that. Nothing was written.
    /// - [`OutcomeUnknown`](crate::Error::OutcomeUnknown): a reply was lost or late, and the read found no item, an item without
    ///   this create's stamp that does not rule it out, or failed. Connections that
    ///   the server closed while they were idle hardly add to that: the request has to cross the close on its way. See
    ///   [how often that is](crate::guide::what_ok_means#creates).
    /// - [`Conflict`](crate::Error::Conflict): an item is there, but neither DynamoDB's answer nor a read showed it. Nothing was
    ///   written.
    /// - [`VersionOverflow`](crate::Error::VersionOverflow), [`InvalidItem`](crate::Error::InvalidItem),
    ///   [`InvalidRequest`](crate::Error::InvalidRequest): nothing was sent.
    /// - [`Sdk`](crate::Error::Sdk): DynamoDB refused, or could not be reached. Nothing was written.
    pub fn create<'a>(&self, item: &'a mut T) -> Create<'a, T> {
        Create { item, options: Options::of(self), in_transaction: false }
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
    /// An item that is not there is no error. [`Deleted`] says whether this call deleted the item, and where that cannot be known.
    ///
    /// Lost replies, timeouts, throttling and failed connections are retried with the identical request.
    ///
    /// # Errors
    ///
    /// As [`save`](Self::save), but never [`NotFound`](crate::Error::NotFound).
    pub fn delete<'a>(&self, item: &'a T) -> Delete<'a, T> {
        Delete { item, options: Options::of(self) }
    }

    fn write<'a>(&self, kind: Kind, item: &'a mut T) -> Write<'a, T> {
        Write { kind, item, options: Options::of(self) }
    }
}

/// A create that waits to be sent; see [`Table::create`].
#[must_use = "nothing is written until the call is awaited"]
pub struct Create<'a, T> {
    item: &'a mut T,
    options: Options<T>,
    in_transaction: bool,
}

shows! { [T] Create<'_, T> { options, in_transaction } }

impl<T> Create<'_, T> {
    option_methods!(condition, options);
    option_methods!(retry, options);

    /// Sends the create as a `TransactWriteItems` of one action, under a [client token][token] by which DynamoDB recognizes each
    /// copy of the request. So it is sent again after a lost reply, and its answer is exact whatever others did to the item in
    /// the meantime: for those who cannot live with an [`OutcomeUnknown`](crate::Error::OutcomeUnknown), which remains only where no
    /// answer comes before the retries end. At most 5 minutes of a [deadline](crate::Retry::deadline) count, since DynamoDB
    /// recognizes a token for no longer than 10.
    ///
    /// It costs [two write units][units] for each 1 KB of the item, where a create alone costs one, and needs the same permission,
    /// `dynamodb:PutItem`.
    ///
    /// ```no_run
    /// # use dynalock::{Table, Versioned};
    /// # #[derive(serde::Serialize, serde::Deserialize, Versioned)]
    /// # struct Order { #[dynalock(partition_key)] id: String, #[dynalock(version)] version: u64 }
    /// # async fn example(orders: Table<Order>, mut order: Order) -> dynalock::Result<()> {
    /// orders.create(&mut order).in_transaction().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Table::create`]. A table with multi-Region strong consistency [has no transactions][mrsc]: DynamoDB refuses the
    /// request, and the answer is [`Sdk`](crate::Error::Sdk).
    ///
    /// [mrsc]: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_HowItWorks.html
    /// [token]: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
    /// [units]: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-capacity-handling
    pub fn in_transaction(mut self) -> Self {
        self.in_transaction = true;
        self
    }
}

impl<'a, T: Versioned> IntoFuture for Create<'a, T> {
    type Output = Result<()>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { item, options, in_transaction } = self;
        Box::pin(async move {
            let write = options.write(Kind::Create, item);
            let version = if in_transaction {
                options.commit(Kind::Create, write).await?
            } else {
                options.send(Kind::Create, write, options.retry).await?.1
            };
            raise(item, version);
            Ok(())
        })
    }
}

/// A save, replace or touch that waits to be sent; see [`Table::save`].
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
    pub(crate) fn of(applied: Applied) -> Self {
        match applied {
            Applied::Now => Self::Now,
            Applied::AlreadyGone => Self::AlreadyGone,
            Applied::NowOrBefore => Self::NowOrBefore,
        }
    }
}
