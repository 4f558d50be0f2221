//! The calls `update`, `try_update` and `update_or_create`: read, change, write, and repeat on a conflict.

use std::convert::Infallible;
use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;

use crate::error::{Error, Result};
use crate::item::key::IntoKey;
use crate::item::{Item, deserialize};
use crate::queue::desk::Group;
use crate::queue::line::Outcome;
use crate::queue::turn::{ANY_SIZE, Turn};
use crate::send::trace::{CallStats, Finished, traced};
use crate::table::options::{Options, option_methods};
use crate::table::{BoxFuture, Table};
use crate::versioned::{Versioned, schema, set_version, snapshot};

impl<T: Versioned> Table<T> {
    /// Reads the item, runs `change` on it, and writes the changes, if the item is still as it was read. After a conflict, all of
    /// this is repeated with the new item. Returns the item as it was written.
    ///
    /// Only attributes that changed are written, so attributes that the struct doesn't know stay. If a field changed, the
    /// attribute of its `#[serde(alias)]` is removed. If nothing changed, nothing is sent, and a [`condition`](Update::condition)
    /// is not checked. If `change` changes the key, the call fails. A change of the version is ignored.
    ///
    /// `change` must not have side effects, since it may run any number of times, as after each conflict. It never runs again
    /// after a write whose outcome is unknown.
    ///
    /// Conflicts, lost replies, timeouts, throttling and failed connections are retried.
    ///
    /// Calls for one item through one `Table` and its clones take turns, in the order in which they came. A call that has written
    /// passes the item to the next one, which then needs no read. Keep the table: calls of a table that is made for each request
    /// cannot take turns. [`coalescing`](Table::coalescing) puts the changes of waiting calls into one write. While more calls
    /// come than the item can take, the newest go first, and the others end in [`Busy`](Error::Busy); see
    /// [the guide](crate::guide::contention). A call that is neither polled nor dropped blocks the calls behind it until their
    /// deadlines.
    ///
    /// Dropping the future before its closure runs has no effect. Dropping it later leaves the outcome unknown. To limit the
    /// time, use [`Retry::deadline`](crate::Retry::deadline) rather than `tokio::time::timeout`: the call then returns an answer.
    ///
    /// # Errors
    ///
    /// - [`NotFound`](Error::NotFound): there is no such item.
    /// - [`Conflict`](Error::Conflict): other writers were faster each time, until the retries ended. Nothing was written.
    /// - [`ConditionFailed`](Error::ConditionFailed): a [`condition`](Update::condition) does not hold. Nothing was written.
    /// - [`OutcomeUnknown`](Error::OutcomeUnknown): a reply was lost, or did not come before the deadline, and whether the change
    ///   was applied could not be found out.
    /// - [`VersionOverflow`](Error::VersionOverflow), [`InvalidItem`](Error::InvalidItem),
    ///   [`InvalidRequest`](Error::InvalidRequest), [`Sdk`](Error::Sdk): nothing was written.
    /// - [`Busy`](Error::Busy): the call's turn did not come before the deadline, or too late for a write to be answered by then,
    ///   or 10,000 calls wait for the item already. Nothing was written.
    pub fn update<'f, K, F>(&self, key: K, change: F) -> Update<'f, T, F>
    where
        K: IntoKey<T::Key>,
        F: FnMut(&mut T) + Send + 'f,
    {
        Update { call: Call::new(self, key, change) }
    }

    /// Does the same as [`update`](Self::update), with a closure that may refuse the change. Then nothing is written, and the
    /// call returns the closure's error.
    ///
    /// The error type must implement `From<dynalock::Error>`, since the call itself may fail as well:
    ///
    /// ```
    /// # use dynalock::{Table, Versioned};
    /// # #[derive(serde::Serialize, serde::Deserialize, Versioned)]
    /// # struct Account { #[dynalock(partition_key)] id: String, balance: i64, #[dynalock(version)] version: u64 }
    /// #[derive(Debug, thiserror::Error)]
    /// enum Refused {
    ///     #[error("the account has only {0}")]
    ///     Overdrawn(i64),
    ///     #[error(transparent)]
    ///     Store(#[from] dynalock::Error),
    /// }
    ///
    /// # async fn example(accounts: Table<Account>) -> Result<(), Refused> {
    /// let alice = accounts
    ///     .try_update("alice", |account| {
    ///         if account.balance < 50 {
    ///             return Err(Refused::Overdrawn(account.balance));
    ///         }
    ///         account.balance -= 50;
    ///         Ok(())
    ///     })
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// If all errors of a closure come from `?`, rustc cannot infer the error type. End such a closure with `Ok::<_,
    /// Refused>(())`, or with `anyhow::Ok(())`. If rustc says that a `TryUpdate` is not a future, the error type does not
    /// implement that `From`.
    ///
    /// # Errors
    ///
    /// The error of the closure, and the errors of [`update`](Self::update), converted with `From`.
    pub fn try_update<'f, K, F, E>(&self, key: K, change: F) -> TryUpdate<'f, T, F>
    where
        K: IntoKey<T::Key>,
        F: FnMut(&mut T) -> Result<(), E> + Send + 'f,
        E: From<Error>,
    {
        TryUpdate { call: Call::new(self, key, change) }
    }

    /// Does the same as [`update`](Self::update), but if there is no item, `init` makes one. `change` runs on the new object as
    /// well, and one create stores the result.
    ///
    /// The create is not sent again after a lost reply; see [`create`](Self::create). If you cannot accept an unknown outcome,
    /// read and create in a [`transact`](crate::transact()). If others delete the item within minutes after a lost reply, the
    /// change can be made twice: see [a late copy](crate::guide::what_ok_means#a-late-copy-of-a-create).
    ///
    /// # Errors
    ///
    /// The same as those of [`update`](Self::update), with these differences:
    ///
    /// - [`NotFound`](Error::NotFound), [`AlreadyExists`](Error::AlreadyExists): others deleted or created the item each time,
    ///   until the retries ended.
    /// - [`InvalidItem`](Error::InvalidItem) also if the object that `init` makes has another key.
    pub fn update_or_create<'f, K, I, F>(&self, key: K, init: I, change: F) -> UpdateOrCreate<'f, T, I, F>
    where
        K: IntoKey<T::Key>,
        I: FnMut() -> T + Send + 'f,
        F: FnMut(&mut T) + Send + 'f,
    {
        UpdateOrCreate { call: Call::new(self, key, change), init }
    }
}

/// The common contents of the three builders.
struct Call<'f, T, F> {
    key: Result<Item>,
    change: F,
    options: Options<T>,
    lifetime: PhantomData<&'f mut ()>,
}

impl<T: Versioned, F> Call<'_, T, F> {
    fn new<K: IntoKey<T::Key>>(table: &Table<T>, key: K, change: F) -> Self {
        Self { key: table.key(key), change, options: Options::new(table), lifetime: PhantomData }
    }
}

/// Why an update did not end in `Ok`.
enum Failed<E> {
    /// The closure refused the change.
    Refused(E),
    /// The call itself failed.
    Call(Error),
}

impl Failed<Infallible> {
    fn into_error(self) -> Error {
        match self {
            Self::Call(error) => error,
            Self::Refused(never) => match never {},
        }
    }
}

/// The object after the closure ran.
enum Changed<T> {
    /// The closure changed the object, and the draft has the change.
    Drafted(T),
    /// The closure changed nothing, so there is nothing to write.
    Nothing(T),
}

/// An update of one item, until it is applied or has failed.
struct Edit<'i, T, C> {
    options: Options<T>,
    /// Makes the object if there is no item.
    init: Option<&'i mut (dyn FnMut() -> T + Send)>,
    change: C,
}

impl<T: Versioned, E, C: FnMut(&mut T) -> Result<(), E>> Edit<'_, T, C> {
    /// Runs the call in its span.
    async fn run(self, operation: &'static str, key: Result<Item>) -> Result<T, Failed<E>> {
        let table = self.options.table.clone();
        let retry = self.options.retry;
        traced(operation, table.name(), async {
            let turn = key
                .and_then(|key| Turn::join_queue(table.queues(), table.store(), schema::<T>(), key, retry));
            let (answer, stats) = match turn {
                Ok(mut turn) => (self.until_applied(&mut turn).await, turn.stats()),
                Err(error) => (Err(Failed::Call(error)), CallStats::default()),
            };
            let outcome = match &answer {
                Ok(_) => "ok",
                Err(Failed::Refused(_)) => "refused",
                Err(Failed::Call(error)) => error.name(),
            };
            Finished::new(answer, outcome, stats)
        })
        .await
    }

    /// Runs the closure and writes its change, until the write is applied or the call fails.
    async fn until_applied(mut self, turn: &mut Turn<'_>) -> Result<T, Failed<E>> {
        let is_coalescing = self.options.table.queues().coalesce;
        // DynamoDB checks a condition on the stored item, which does not have the changes of other members. So the call goes
        // alone.
        let mut size = if is_coalescing && self.options.condition.is_none() { ANY_SIZE } else { 1 };
        loop {
            let mut group = turn.begin(size).await.map_err(Failed::Call)?;
            let mut object = match self.apply(&mut group) {
                Ok(Changed::Drafted(object)) => object,
                // An answer without a write is returned only if the closure has seen a stored state of the item.
                answer if turn.is_fresh(&group) => {
                    turn.put_back(group);
                    return answer.map(|(Changed::Drafted(object) | Changed::Nothing(object))| object);
                }
                // The closure has seen changes of others that may yet fail. They are sent first, and then it runs again.
                _ if group.draft.is_changed() => {
                    size = 1;
                    turn.put_back(group);
                    turn.yield_turn();
                    continue;
                }
                // The closure has seen an item that was read before this call began. The group is dropped, and the item read
                // again.
                _ => continue,
            };
            turn.add(group, size);
            let outcome = turn.outcome(self.options.condition.as_ref()).await;
            match outcome.map_err(Failed::Call)? {
                Outcome::Applied { version, .. } => {
                    set_version(&mut object, version);
                    return Ok(object);
                }
                Outcome::Smaller(half) => size = half,
                Outcome::Again => {}
            }
            tracing::debug!(target: "dynalock", table = self.options.table.name(), "changing again");
        }
    }

    /// Runs the closure, and adds the change that it made to the group.
    fn apply(&mut self, group: &mut Group) -> Result<Changed<T>, Failed<E>> {
        let table = &self.options.table;
        let now = || table.store().now();
        let invalid = |invalid| Failed::Call(table.invalid(invalid));
        let Some(item) = group.item() else {
            let init = self.init.as_mut().ok_or(Failed::Call(Error::NotFound))?;
            let mut object = init();
            (self.change)(&mut object).map_err(Failed::Refused)?;
            // The write gives the object its version. If others change the item further in the same write, the object does not
            // equal the stored item, and keeps version 0.
            set_version(&mut object, Some(0));
            snapshot(&object).and_then(|object| group.draft.create(object, now)).map_err(invalid)?;
            return Ok(Changed::Drafted(object));
        };
        let mut object: T = deserialize::from_item(item, schema::<T>()).map_err(invalid)?;
        let before = snapshot(&object).map_err(invalid)?;
        let version = object.__version();
        (self.change)(&mut object).map_err(Failed::Refused)?;
        // A change of the version by the closure is ignored.
        object.__set_version(version);
        let after = snapshot(&object).map_err(invalid)?;
        let is_changed = group.draft.merge(&before, after, now).map_err(invalid)?;
        Ok(if is_changed { Changed::Drafted(object) } else { Changed::Nothing(object) })
    }
}

/// Turns a closure that cannot refuse into one that could.
fn infallible<T>(mut change: impl FnMut(&mut T)) -> impl FnMut(&mut T) -> Result<(), Infallible> {
    move |object| {
        change(object);
        Ok(())
    }
}

/// An update that waits to be sent; see [`Table::update`].
#[must_use = "nothing is read or written until the call is awaited"]
pub struct Update<'f, T, F> {
    call: Call<'f, T, F>,
}

impl<T, F> Update<'_, T, F> {
    option_methods!(condition, call.options);
    option_methods!(retry, call.options);
}

impl<T, F> fmt::Debug for Update<'_, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Update").field("options", &self.call.options).finish_non_exhaustive()
    }
}

impl<'f, T: Versioned, F: FnMut(&mut T) + Send + 'f> IntoFuture for Update<'f, T, F> {
    type Output = Result<T>;
    type IntoFuture = BoxFuture<'f, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Call { key, change, options, .. } = self.call;
        let edit = Edit { options, init: None, change: infallible(change) };
        Box::pin(async move { edit.run("update", key).await.map_err(Failed::into_error) })
    }
}

/// An update with a closure that may refuse, which waits to be sent; see [`Table::try_update`].
#[must_use = "nothing is read or written until the call is awaited"]
pub struct TryUpdate<'f, T, F> {
    call: Call<'f, T, F>,
}

impl<T, F> TryUpdate<'_, T, F> {
    option_methods!(condition, call.options);
    option_methods!(retry, call.options);
}

impl<T, F> fmt::Debug for TryUpdate<'_, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryUpdate").field("options", &self.call.options).finish_non_exhaustive()
    }
}

impl<'f, T, F, E> IntoFuture for TryUpdate<'f, T, F>
where
    T: Versioned,
    F: FnMut(&mut T) -> Result<(), E> + Send + 'f,
    E: From<Error> + 'f,
{
    type Output = Result<T, E>;
    type IntoFuture = BoxFuture<'f, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Call { key, change, options, .. } = self.call;
        let edit = Edit { options, init: None, change };
        Box::pin(async move {
            edit.run("try_update", key).await.map_err(|failed| match failed {
                Failed::Refused(refused) => refused,
                Failed::Call(error) => error.into(),
            })
        })
    }
}

/// An update or create that waits to be sent; see [`Table::update_or_create`].
#[must_use = "nothing is read or written until the call is awaited"]
pub struct UpdateOrCreate<'f, T, I, F> {
    call: Call<'f, T, F>,
    init: I,
}

impl<T, I, F> UpdateOrCreate<'_, T, I, F> {
    option_methods!(retry, call.options);
}

impl<T, I, F> fmt::Debug for UpdateOrCreate<'_, T, I, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpdateOrCreate").field("options", &self.call.options).finish_non_exhaustive()
    }
}

impl<'f, T, I, F> IntoFuture for UpdateOrCreate<'f, T, I, F>
where
    T: Versioned,
    I: FnMut() -> T + Send + 'f,
    F: FnMut(&mut T) + Send + 'f,
{
    type Output = Result<T>;
    type IntoFuture = BoxFuture<'f, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { call: Call { key, change, options, .. }, mut init } = self;
        Box::pin(async move {
            let edit = Edit { options, init: Some(&mut init), change: infallible(change) };
            edit.run("update_or_create", key).await.map_err(Failed::into_error)
        })
    }
}
