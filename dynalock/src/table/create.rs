//! `create`: a new item, if none has its key.

use std::fmt;
use std::future::IntoFuture;

use crate::error::Result;
use crate::table::options::{Options, option_methods};
use crate::table::{BoxFuture, Table};
use crate::versioned::{Versioned, set_version};
use crate::write::draft::Kind;

impl<T: Versioned> Table<T> {
    /// Stores a new item, if none has its key. On `Ok` the object has its first version; the version it had before does
    /// not matter.
    ///
    /// Throttling, refused connections and whatever else has changed nothing for certain are retried with the identical request.
    /// After a connection that breaks, a 500 or an attempt without an answer, the create is **never sent again**, whatever the client's own retry settings say: others may have changed
    /// and deleted what it stored, and a second copy would bring that back. One strongly consistent read decides instead: if
    /// the item is there with this create's [stamp](crate::guide::what_ok_means), the answer is `Ok`. If there is no item, the
    /// request may never have arrived, may still be under way, or others have deleted the item since. Nobody can tell, and the
    /// answer is `OutcomeUnknown`.
    ///
    /// [`in_transaction`](Create::in_transaction) is sent again after a lost reply, for twice the write units. The first attempt
    /// without an answer is the last one otherwise, and so gets most of the deadline: see
    /// [how long](crate::guide::contention#creates).
    ///
    /// # Errors
    ///
    /// - [`AlreadyExists`](crate::Error::AlreadyExists) with the item that is there. Nothing was written. After a lost or late reply,
    ///   an earlier copy of the request can still store the item if others delete this one
    ///   [within minutes](crate::guide::what_ok_means#a-late-copy-of-a-create).
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

    /// Sends the create as a `TransactWriteItems` of one action, under a [client token][token] by which DynamoDB recognizes
    /// copies of a transaction that it has applied. So it is sent again after a lost reply.
    /// [`OutcomeUnknown`](crate::Error::OutcomeUnknown) remains where no answer comes before the retries end, or where a refusal after a
    /// lost reply shows no item. A token does not fence a copy that was not applied yet:
    /// [`AlreadyExists`](crate::Error::AlreadyExists) means what it does for [`create`](Table::create). At most 5 minutes of a [deadline](crate::Retry::deadline) count, since DynamoDB
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
            set_version(item, version);
            Ok(())
        })
    }
}
