//! Read, change, write, and again on a conflict: `update`, `try_update`, `update_or_create`.

use std::convert::Infallible;
use std::future::IntoFuture;
use std::marker::PhantomData;

use crate::error::{Error, Result};
use crate::item::Item;
use crate::item::key::IntoKey;
use crate::queue::Outcome;
use crate::queue::{ANY_SIZE, Turn};
use crate::send::trace::{Ended, Tally, observed};
use crate::table::options::{Options, option_methods, shows};
use crate::table::save::raise;
use crate::table::{BoxFuture, Table};
use crate::versioned::{Versioned, schema, snapshot};
use crate::write::condition::Condition;
use crate::write::draft::Draft;

impl<T: Versioned> Table<T> {
    /// Reads the item, lets `change` change it, and writes what changed, if the item is still as it was read. On a conflict
    /// that is done again with the item as it is then. Returns the item as it was written.
    ///
    /// Only attributes that changed are written, so attributes that the struct doesn't know stay; of a field that changed, the
    /// attribute of its `#[serde(alias)]` is removed. If nothing changed, nothing is sent, and a [`condition`](Update::condition) is
    /// not looked at. If `change` changes the key, the call fails. What it does to the version is ignored. `change` must not have
    /// effects of its own: it may run any number of times, as after each conflict, though never after a write whose outcome is
    /// unknown.
    ///
    /// Conflicts, lost replies, timeouts, throttling and failed connections are retried.
    ///
    /// Calls for one item through one `Table` and its clones take turns in the order in which they came, and the one that has
    /// written hands the item on, so that the next needs no read. Keep the table: one that is made for each request has nobody to
    /// take turns with. [`coalescing`](Table::coalescing) puts the changes of those who wait into one write. While more calls come
    /// than the item can take, those go first that came last, and the others end in [`Busy`](Error::Busy); see
    /// [the guide](crate::guide::contention). A call that is neither polled nor dropped holds up those behind it until their
    /// deadlines.
    ///
    /// Dropping the future before its closure runs has no effect. Dropping it later leaves the outcome unknown.
    /// To limit the time, use [`Retry::deadline`](crate::Retry::deadline), which ends in an answer, rather than
    /// `tokio::time::timeout`.
    ///
    /// # Errors
    ///
    /// - [`NotFound`](Error::NotFound): there is no such item.
    /// - [`Conflict`](Error::Conflict): other writers were faster until the retries ended. Nothing was written.
    /// - [`ConditionFailed`](Error::ConditionFailed): a [`condition`](Update::condition) does not hold. Nothing was written.
    /// - [`OutcomeUnknown`](Error::OutcomeUnknown): a reply was lost, or did not come before the deadline, and whether the change
    ///   was applied could not be found out.
    /// - [`VersionOverflow`](Error::VersionOverflow), [`InvalidItem`](Error::InvalidItem),
    ///   [`InvalidRequest`](Error::InvalidRequest), [`Sdk`](Error::Sdk): nothing was written.
    /// - [`Busy`](Error::Busy): the call's turn did not come in time, or so late that a write could not be answered before the
    ///   deadline, or 10,000 calls wait for the item already. Nothing was written.
    pub fn update<'f, K, F>(&self, key: K, change: F) -> Update<'f, T, F>
    where
        K: IntoKey<T::Key>,
        F: FnMut(&mut T) + Send + 'f,
    {
        Update { call: Call::of(self, key, change) }
    }

    /// As [`update`](Self::update), with a closure that may refuse: then nothing is written, and its error is returned.
    ///
    /// The error type must be `From<dynalock::Error>`, since the call may fail as well:
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
    /// A closure whose only errors come from `?` leaves the error type open. End it with `Ok::<_, Refused>(())`, or with
    /// `anyhow::Ok(())`. If rustc says that a `TryUpdate` is not a future, the error type lacks that `From`.
    ///
    /// # Errors
    ///
    /// What the closure returns, and the errors of [`update`](Self::update) by way of `From`.
    pub fn try_update<'f, K, F, E>(&self, key: K, change: F) -> TryUpdate<'f, T, F>
    where
        K: IntoKey<T::Key>,
        F: FnMut(&mut T) -> Result<(), E> + Send + 'f,
        E: From<Error>,
    {
        TryUpdate { call: Call::of(self, key, change) }
    }

    /// As [`update`](Self::update), but if there is no item, `init` makes one. `change` is applied to that one too, and
    /// both together are stored by one create, which is not sent again once its reply was lost; see [`create`](Self::create). Where
    /// an unknown outcome is not good enough, read and create in a [`transact`](crate::transact()).
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update), but [`NotFound`](Error::NotFound) and [`AlreadyExists`](Error::AlreadyExists) only if others
    /// deleted or created the item each time until the retries ended. [`InvalidItem`](Error::InvalidItem) if what `init` makes has
    /// another key.
    pub fn update_or_create<'f, K, I, F>(&self, key: K, init: I, change: F) -> UpdateOrCreate<'f, T, I, F>
    where
        K: IntoKey<T::Key>,
        I: FnMut() -> T + Send + 'f,
        F: FnMut(&mut T) + Send + 'f,
    {
        UpdateOrCreate { call: Call::of(self, key, change), init }
    }
}

/// What the three calls have in common.
struct Call<'f, T, F> {
    key: Result<Item>,
    change: F,
    options: Options<T>,
    lifetime: PhantomData<&'f mut ()>,
}

/// Applies a closure that cannot refuse.
#[allow(clippy::unnecessary_wraps)] // the form of closures that can
fn infallible<T, F: FnMut(&mut T)>(change: &mut F, object: &mut T) -> Result<(), Infallible> {
    change(object);
    Ok(())
}

impl<T: Versioned, F> Call<'_, T, F> {
    fn of<K: IntoKey<T::Key>>(table: &Table<T>, key: K, change: F) -> Self {
        Self { key: table.key(key), change, options: Options::of(table), lifetime: PhantomData }
    }

    /// Changes the stored item, or one made by `init` where there is none, until the outcome is known. The inner error is the
    /// closure's own.
    async fn run<E>(
        self,
        operation: &'static str,
        init: Option<&mut (dyn FnMut() -> T + Send)>,
        apply: impl Fn(&mut F, &mut T) -> Result<(), E> + Send,
    ) -> Result<Result<T, E>>
    where
        F: Send,
    {
        let Self { key, mut change, options: Options { table, condition, retry }, .. } = self;
        observed(operation, table.name(), async {
            let wait = |key| Turn::wait_for(table.queues(), table.target(), schema::<T>(), key, retry);
            let (answer, tally) = match key.and_then(wait) {
                Ok(mut turn) => {
                    let edit =
                        Edit { table: &table, init, closure: |object: &mut T| apply(&mut change, object) };
                    (edit.until_applied(&mut turn, condition.as_ref()).await, turn.tally())
                }
                Err(error) => (Err(error), Tally::default()),
            };
            let outcome = match &answer {
                Ok(Ok(_)) => "ok",
                Ok(Err(_)) => "refused",
                Err(error) => error.name(),
            };
            Ended::new(answer, outcome, tally)
        })
        .await
    }
}

/// What a call does to its item, as often as it takes.
struct Edit<'c, 'i, T, C> {
    table: &'c Table<T>,
    /// Makes the item where there is none.
    init: Option<&'i mut (dyn FnMut() -> T + Send)>,
    closure: C,
}

impl<T: Versioned, E, C: FnMut(&mut T) -> Result<(), E>> Edit<'_, '_, T, C> {
    async fn until_applied(
        mut self,
        turn: &mut Turn<'_>,
        condition: Option<&Condition>,
    ) -> Result<Result<T, E>> {
        // A condition is about what is stored, and not about what others are changing it to.
        let is_alone = condition.is_some() || !self.table.queues().coalesce;
        let mut size = if is_alone { 1 } else { ANY_SIZE };
        loop {
            let mut group = turn.begin(size).await?;
            let mut object = match self.apply(turn.key(), &mut group.draft) {
                Ok(Ok((object, true))) => object,
                // An answer that writes nothing must rest on what is stored.
                answer if turn.is_fresh(&group) => {
                    turn.put_back(group);
                    return answer.map(|answer| answer.map(|(object, _)| object));
                }
                _ if group.draft.is_changed() => {
                    size = 1;
                    turn.put_back(group);
                    turn.yield_turn();
                    continue;
                }
                _ => continue,
            };
            turn.add(group, size);
            match turn.outcome(condition).await? {
                Outcome::Applied { version, .. } => {
                    raise(&mut object, version);
                    return Ok(Ok(object));
                }
                Outcome::Smaller(half) => size = half,
                Outcome::Again => {}
            }
            tracing::debug!(target: "dynalock", table = self.table.name(), "changing again");
        }
    }

    /// Makes the change in the item. Returns what comes of that, and whether there is anything to write.
    fn apply(&mut self, key: &Item, draft: &mut Draft) -> Result<Result<(T, bool), E>> {
        let Self { table, init, closure } = self;
        let now = || table.target().now();
        let Some(item) = draft.item() else {
            let init = init.as_mut().ok_or(Error::NotFound)?;
            let mut object = init();
            if let Err(refused) = closure(&mut object) {
                return Ok(Err(refused));
            }
            // What is written gives it its version. If others change it further in the same write, no such version is stored.
            raise(&mut object, Some(0));
            snapshot(&object).and_then(|object| draft.create(key, object, now)).map_err(table.named())?;
            return Ok(Ok((object, true)));
        };
        let (mut object, read) = table.parse_with_version(item)?;
        let before = snapshot(&object).map_err(table.named())?;
        let version = object.__version();
        if let Err(refused) = closure(&mut object) {
            return Ok(Err(refused));
        }
        object.__set_version(version);
        let is_changed = snapshot(&object)
            .and_then(|after| draft.change(&before, after, read, now))
            .map_err(table.named())?;
        Ok(Ok((object, is_changed)))
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

shows! { [T, F] Update<'_, T, F> { options in call } }

impl<'f, T: Versioned, F: FnMut(&mut T) + Send + 'f> IntoFuture for Update<'f, T, F> {
    type Output = Result<T>;
    type IntoFuture = BoxFuture<'f, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.call.run("update", None, infallible).await.map(|Ok(object)| object) })
    }
}

/// An update that may refuse that waits to be sent; see [`Table::try_update`].
#[must_use = "nothing is read or written until the call is awaited"]
pub struct TryUpdate<'f, T, F> {
    call: Call<'f, T, F>,
}

impl<T, F> TryUpdate<'_, T, F> {
    option_methods!(condition, call.options);
    option_methods!(retry, call.options);
}

shows! { [T, F] TryUpdate<'_, T, F> { options in call } }

impl<'f, T, F, E> IntoFuture for TryUpdate<'f, T, F>
where
    T: Versioned,
    F: FnMut(&mut T) -> Result<(), E> + Send + 'f,
    E: From<Error> + 'f,
{
    type Output = Result<T, E>;
    type IntoFuture = BoxFuture<'f, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            self.call.run("try_update", None, |change: &mut F, object: &mut T| change(object)).await?
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

shows! { [T, I, F] UpdateOrCreate<'_, T, I, F> { options in call } }

impl<'f, T, I, F> IntoFuture for UpdateOrCreate<'f, T, I, F>
where
    T: Versioned,
    I: FnMut() -> T + Send + 'f,
    F: FnMut(&mut T) + Send + 'f,
{
    type Output = Result<T>;
    type IntoFuture = BoxFuture<'f, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { call, mut init } = self;
        Box::pin(async move {
            call.run("update_or_create", Some(&mut init), infallible).await.map(|Ok(object)| object)
        })
    }
}
