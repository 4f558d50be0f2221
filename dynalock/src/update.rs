//! Read, change, write, and again on a conflict: `update`, `try_update`, `update_or_create`.

use std::convert::Infallible;
use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;

use crate::condition::Condition;
use crate::error::{Error, Result};
use crate::item::Item;
use crate::key::IntoKey;
use crate::options::{Options, option_methods};
use crate::save::raise;
use crate::table::{BoxFuture, Table};
use crate::versioned::{Versioned, snapshot};
use crate::write::{ConditionalWrite, Kind};

/// How often a conflict is answered at once with the item that came with it. After that the item is read again, and only
/// after a delay: whoever sleeps on an item that is in demand wakes with an old one.
const IMMEDIATE: u32 = 2;

impl<T: Versioned> Table<T> {
    /// Reads the item, lets `change` change it, and writes what changed, if the item is still as it was read. On a conflict
    /// that is done again with the item as it is then. Returns the item as it was written.
    ///
    /// Only attributes that changed are written, so attributes that the struct doesn't know stay. If nothing changed,
    /// nothing is sent, and a [`condition`](Update::condition) is not looked at. What `change` does to the version is
    /// ignored; if it changes the key, the call fails. `change` must not have effects of its own: it runs again after each
    /// conflict, though never after a write whose outcome is unknown.
    ///
    /// Conflicts, lost replies, timeouts, throttling and failed connections are retried.
    ///
    /// # Errors
    ///
    /// - [`NotFound`](Error::NotFound): there is no such item.
    /// - [`Conflict`](Error::Conflict): other writers were faster until the retries ended. Nothing was written.
    /// - [`ConditionFailed`](Error::ConditionFailed): a [`condition`](Update::condition) does not hold. Nothing was written.
    /// - [`OutcomeUnknown`](Error::OutcomeUnknown): a reply was lost, and whether the change was applied could not be found
    ///   out.
    /// - [`VersionOverflow`](Error::VersionOverflow), [`InvalidItem`](Error::InvalidItem),
    ///   [`InvalidRequest`](Error::InvalidRequest): nothing was written.
    /// - [`Sdk`](Error::Sdk): DynamoDB refused, or could not be reached. Nothing was written.
    pub fn update<'f, K, F>(&self, key: K, change: F) -> Update<'f, T, F>
    where
        K: IntoKey<T::Key>,
        F: FnMut(&mut T) + Send + 'f,
    {
        Update { call: Call::of(self, key, change), lifetime: PhantomData }
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
    /// `anyhow::Ok(())`.
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
        TryUpdate { call: Call::of(self, key, change), lifetime: PhantomData }
    }

    /// As [`update`](Self::update), but if there is no item, `init` makes one. `change` is applied to that one too, and
    /// both together are stored by one create.
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update), except for `NotFound`. [`InvalidItem`](Error::InvalidItem) if what `init` makes has
    /// another key.
    pub fn update_or_create<'f, K, I, F>(&self, key: K, init: I, change: F) -> UpdateOrCreate<'f, T, I, F>
    where
        K: IntoKey<T::Key>,
        I: FnMut() -> T + Send + 'f,
        F: FnMut(&mut T) + Send + 'f,
    {
        UpdateOrCreate { call: Call::of(self, key, change), init, lifetime: PhantomData }
    }
}

/// What the three calls have in common.
struct Call<T, F> {
    key: Result<Item>,
    change: F,
    options: Options<T>,
}

/// A try that did not come to a write.
enum Stop<E> {
    /// The closure refused.
    Refused(E),
    Failed(Error),
}

impl Stop<Infallible> {
    fn failure(self) -> Error {
        match self {
            Self::Failed(error) => error,
            Self::Refused(never) => match never {},
        }
    }
}

/// Applies a closure that cannot refuse.
#[allow(clippy::unnecessary_wraps)] // the form of closures that can
fn infallible<T, F: FnMut(&mut T)>(change: &mut F, object: &mut T) -> Result<(), Infallible> {
    change(object);
    Ok(())
}

impl<E> From<Error> for Stop<E> {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl<T: Versioned, F> Call<T, F> {
    fn of<K: IntoKey<T::Key>>(table: &Table<T>, key: K, change: F) -> Self {
        Self { key: table.key(key), change, options: Options::of(table) }
    }

    /// Changes the stored item, or one made by `init` where there is none, until the outcome is known.
    async fn run<E>(
        self,
        mut init: Option<&mut (dyn FnMut() -> T + Send)>,
        apply: impl Fn(&mut F, &mut T) -> Result<(), E> + Send,
    ) -> Result<T, Stop<E>>
    where
        F: Send,
    {
        let Self { key, mut change, options: Options { table, condition, retry } } = self;
        let (key, target, budget) = (key?, table.target(), &mut retry.start());
        let mut immediate = IMMEDIATE;
        let mut stored = target.read(&key, true, budget).await?;
        loop {
            let change = |object: &mut T| apply(&mut change, object).map_err(Stop::Refused);
            let (mut object, write) = match (stored, &mut init) {
                (Some(item), _) => changed(&table, item, condition.as_ref(), change)?,
                (None, Some(init)) => created(&table, &key, init(), change)?,
                (None, None) => return Err(Error::NotFound.into()),
            };
            let Some(write) = write else { return Ok(object) };
            let version = write.next_version();
            stored = match target.write(write, budget).await {
                Ok(_) => {
                    raise(&mut object, version);
                    return Ok(object);
                }
                Err(Error::Conflict(mut conflict) | Error::AlreadyExists(mut conflict))
                    if immediate > 0 && conflict.item().is_some() && budget.take() =>
                {
                    immediate -= 1;
                    conflict.take_item()
                }
                Err(error) => {
                    let absent = matches!(error, Error::NotFound) && init.is_some();
                    if !(error.is_conflict() || absent) || !budget.wait().await {
                        return Err(error.into());
                    }
                    target.read(&key, true, budget).await?
                }
            };
            tracing::debug!(table = table.name(), "changing again after a conflict");
        }
    }
}

/// The stored item with the change applied, and the write for it unless nothing changed.
fn changed<T: Versioned, E>(
    table: &Table<T>,
    item: Item,
    condition: Option<&Condition>,
    change: impl FnOnce(&mut T) -> Result<(), Stop<E>>,
) -> Result<(T, Option<ConditionalWrite>), Stop<E>> {
    let (mut object, read) = table.parse_with_version(item)?;
    let before = snapshot(&object).map_err(table.named())?;
    let version = object.__version();
    change(&mut object)?;
    object.__set_version(version);
    let write = snapshot(&object)
        .and_then(|after| ConditionalWrite::update(before, after, read, condition, || table.target().now()))
        .map_err(table.named())?;
    Ok((object, write))
}

/// A fresh item with the change applied, and the write that creates it.
fn created<T: Versioned, E>(
    table: &Table<T>,
    key: &Item,
    mut object: T,
    change: impl FnOnce(&mut T) -> Result<(), Stop<E>>,
) -> Result<(T, Option<ConditionalWrite>), Stop<E>> {
    change(&mut object)?;
    let write = snapshot(&object)
        .and_then(|object| match key.iter().find(|(name, value)| object.key.get(*name) != Some(value)) {
            Some((name, _)) => {
                Err(Error::item(name, "the fresh item has another key than the one asked for"))
            }
            None => ConditionalWrite::of(Kind::Create, object, None, || table.target().now()),
        })
        .map_err(table.named())?;
    Ok((object, Some(write)))
}

/// An update that waits to be sent; see [`Table::update`].
#[must_use = "nothing is read or written until the call is awaited"]
pub struct Update<'f, T, F> {
    call: Call<T, F>,
    lifetime: PhantomData<&'f mut ()>,
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
        Box::pin(async move { self.call.run(None, infallible).await.map_err(Stop::failure) })
    }
}

/// An update that may refuse that waits to be sent; see [`Table::try_update`].
#[must_use = "nothing is read or written until the call is awaited"]
pub struct TryUpdate<'f, T, F> {
    call: Call<T, F>,
    lifetime: PhantomData<&'f mut ()>,
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
        Box::pin(async move {
            self.call.run(None, |change: &mut F, object: &mut T| change(object)).await.map_err(|stop| {
                match stop {
                    Stop::Refused(error) => error,
                    Stop::Failed(error) => error.into(),
                }
            })
        })
    }
}

/// An update or create that waits to be sent; see [`Table::update_or_create`].
#[must_use = "nothing is read or written until the call is awaited"]
pub struct UpdateOrCreate<'f, T, I, F> {
    call: Call<T, F>,
    init: I,
    lifetime: PhantomData<&'f mut ()>,
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
        let Self { call, mut init, .. } = self;
        Box::pin(async move { call.run(Some(&mut init), infallible).await.map_err(Stop::failure) })
    }
}
