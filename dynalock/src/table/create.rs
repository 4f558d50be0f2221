//! The call `create`, which stores a new item if none has its key.

use std::fmt;
use std::future::IntoFuture;

use crate::error::Result;
use crate::table::options::{Options, option_methods};
use crate::table::{BoxFuture, Table};
use crate::versioned::{Versioned, set_version};
use crate::write::draft::Kind;

impl<T: Versioned> Table<T> {
    /// Stores a new item, if none has its key. On `Ok` the object has its first version. The version that it had before does not
    /// matter.
    ///
    /// Throttling, refused connections and all other failures that certainly changed nothing are retried with the identical
    /// request. After a broken connection, a 500 or an attempt without an answer, the create is **never sent again**, even if the
    /// client's own retry settings ask for it. Others may have changed and deleted the item that it stored, and a second copy
    /// would bring that item back.
    ///
    /// Instead, one strongly consistent read decides. If the item is there with this create's
    /// [stamp](crate::guide::what_ok_means), the call returns `Ok`. If there is no item, the request may never have arrived, may
    /// still be under way, or others may have deleted the item since. Nothing distinguishes these cases, so the call returns
    /// `OutcomeUnknown`.
    ///
    /// A create [`in_transaction`](Create::in_transaction) is sent again after a lost reply, for twice the write units.
    /// Otherwise, the first attempt without an answer is the last one, and so gets most of the deadline: see
    /// [how long](crate::guide::contention#creates).
    ///
    /// # Errors
    ///
    /// - [`AlreadyExists`](crate::Error::AlreadyExists): an item has the key, and the error holds it. Nothing was written. After
    ///   a lost or late reply, an earlier copy of the request can still store the new item if others delete the stored one
    ///   [within minutes](crate::guide::what_ok_means#a-late-copy-of-a-create).
    /// - [`ConditionFailed`](crate::Error::ConditionFailed): there is no item, and a [`condition`](Create::condition) does not
    ///   hold without one. Nothing was written.
    /// - [`OutcomeUnknown`](crate::Error::OutcomeUnknown): a reply was lost or late. The read failed, or found no item, or found
    ///   an item without this create's stamp that does not rule out the create. Connections that the server closed while they
    ///   were idle rarely cause this: the request and the close have to cross each other. See
    ///   [how often that is](crate::guide::what_ok_means#creates).
    /// - [`Conflict`](crate::Error::Conflict): an item has the key, but neither DynamoDB's answer nor a read returned it. Nothing
    ///   was written.
    /// - [`VersionOverflow`](crate::Error::VersionOverflow), [`InvalidItem`](crate::Error::InvalidItem),
    ///   [`InvalidRequest`](crate::Error::InvalidRequest): nothing was sent.
    /// - [`Sdk`](crate::Error::Sdk): DynamoDB refused the request, or could not be reached. Nothing was written.
    pub fn create<'a>(&self, item: &'a mut T) -> Create<'a, T> {
        Create { item, options: Options::new(self), in_transaction: false }
    }
}

/// A create that waits to be sent; see [`Table::create`].
#[must_use = "nothing is written until the call is awaited"]
pub struct Create<'a, T> {
    item: &'a mut T,
    options: Options<T>,
    in_transaction: bool,
}

impl<T> fmt::Debug for Create<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Create")
            .field("options", &self.options)
            .field("in_transaction", &self.in_transaction)
            .finish_non_exhaustive()
    }
}

impl<T> Create<'_, T> {
    option_methods!(condition, options);
    option_methods!(retry, options);

    /// Sends the create as a `TransactWriteItems` of one action. DynamoDB recognizes copies of a transaction that it has applied
    /// by their [client token][token], so the create can be sent again after a lost reply.
    ///
    /// The call still returns [`OutcomeUnknown`](crate::Error::OutcomeUnknown) if no answer comes before the retries end, or if a
    /// refusal after a lost reply shows no item. The token does not stop a copy that was not applied yet, so
    /// [`AlreadyExists`](crate::Error::AlreadyExists) has the same meaning as for [`create`](Table::create). At most 5 minutes of
    /// a [deadline](crate::Retry::deadline) count, since DynamoDB recognizes a token for 10 minutes.
    ///
    /// The create costs [two write units][units] for each 1 KB of the item, and one unit without this option. It needs the same
    /// permission, `dynamodb:PutItem`.
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
    /// The same as those of [`Table::create`]. A table with multi-Region strong consistency [has no transactions][mrsc]: DynamoDB
    /// refuses the request, and the call returns [`Sdk`](crate::Error::Sdk).
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
            set_version(item, version);
            Ok(())
        })
    }
}
