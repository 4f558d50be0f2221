//! The call `transact`: reads and writes of several items as one serializable transaction, which is repeated on a conflict.

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;

use aws_sdk_dynamodb::Client;

use crate::error::{Error, Result};
use crate::send::MAX_TRANSACTION_TIME;
use crate::send::budget::Budget;
use crate::send::retry::{IMMEDIATE_RETRIES, Retry};
use crate::send::trace::{Finished, traced};
use crate::table::BoxFuture;
use crate::transaction::run::{Carried, Refused};
use crate::transaction::tx::Tx;

/// Reads several items and writes several, all or none, as if no other writer had been active in between.
///
/// `run` reads with [`Tx::get`], and registers its writes with [`Tx::save`] and similar methods. At its end, one
/// `TransactWriteItems` stores all writes. It also checks that the items that were only read have not changed. If `run` returns
/// an error, nothing is written.
///
/// If another writer was faster, nothing is written, and `run` is called again. The first two times this happens at once, with
/// the items that the refusal returned. After that it happens after a delay, with new reads. `run` must not have side effects. If
/// only items were refused that `run` wrote without reading them, another run would not help, and the call returns the conflict.
/// A write of an object that is older than the item that was read is a conflict within `run`: see [`Tx::save`].
///
/// The call returns a result of `run`, `Ok` or error, only if all items that it read were stored at one moment. The transaction
/// is serializable with every other write that raises the version. During a run, `run` may see items that were never stored
/// together. It is then called again, and its result is dropped. Items that are read without the `Tx`, by
/// [`Table::get`](crate::Table::get), are not checked. Reads use the client of their table, and the transaction uses `client`, so
/// both must reach the same tables.
///
/// An error of `run` is checked as well. If the check fails because DynamoDB refuses it or cannot be reached, the call returns
/// the error of the check, since the error of `run` may depend on items that were never stored together. After a [`Tx::get`] that
/// failed, the call returns the error of `run` in any case.
///
/// | the run | sends in addition to its reads |
/// |---|---|
/// | read at most one item and wrote nothing | nothing |
/// | returned an error after at most one read | nothing |
/// | read more and wrote nothing, or returned an error | one `TransactGetItems`; if its items differ, the next run begins with them |
/// | changed one item and touched no other | one conditional write, as [`Table::save`](crate::Table::save) |
/// | anything else, a lone create included | one `TransactWriteItems`: two write units for each unit of the items, those only read included |
///
/// Conflicts, lost replies, timeouts, throttling and failed connections are retried, as [`Transact::retry`] sets.
///
/// ```no_run
/// # use dynalock::{Table, Versioned};
/// # #[derive(serde::Serialize, serde::Deserialize, Versioned)]
/// # struct Account { #[dynalock(partition_key)] id: String, balance: i64, #[dynalock(version)] version: u64 }
/// #[derive(Debug, thiserror::Error)]
/// enum Refused {
///     #[error("there is no such account")]
///     NoAccount,
///     #[error("the account has only {0}")]
///     Overdrawn(i64),
///     #[error(transparent)]
///     Store(#[from] dynalock::Error),
/// }
///
/// # async fn example(client: aws_sdk_dynamodb::Client, accounts: &Table<Account>) -> Result<(), Refused> {
/// let left = dynalock::transact(&client, move |tx| async move {
///     let mut from = tx.get(accounts, "alice").await?.ok_or(Refused::NoAccount)?;
///     let mut to = tx.get(accounts, "bob").await?.ok_or(Refused::NoAccount)?;
///     if from.balance < 10 {
///         return Err(Refused::Overdrawn(from.balance));
///     }
///     from.balance -= 10;
///     to.balance += 10;
///     let left = from.balance;
///     tx.save(accounts, from)?;
///     tx.save(accounts, to)?;
///     Ok(left)
/// })
/// .await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// The error of `run`, and these errors, converted with `From`:
///
/// - [`Conflict`](Error::Conflict), [`AlreadyExists`](Error::AlreadyExists): other writers were faster each time, until the
///   retries ended. Nothing was written. For `AlreadyExists` see [`Transaction::commit`](crate::Transaction::commit).
/// - [`OutcomeUnknown`](Error::OutcomeUnknown): a reply was lost, and whether the transaction was applied could not be found out.
///   It was applied as a whole or not at all. The error names one of its items.
/// - [`InvalidRequest`](Error::InvalidRequest): the transaction has more than 100 items, or more than 4 MB, or `run` returned
///   `Ok` after an invalid write. Nothing was written. A read that exceeds a limit returns this error within `run`.
/// - The other errors of [`Transaction::commit`](crate::Transaction::commit). Nothing was written. [`Sdk`](Error::Sdk) is also
///   the error if a table has multi-Region strong consistency, and so no transactions.
pub fn transact<'f, F, Fut, R, E>(client: &Client, run: F) -> Transact<'f, F>
where
    F: FnMut(Tx) -> Fut + Send + 'f,
    Fut: Future<Output = Result<R, E>> + Send + 'f,
    E: From<Error> + Send + 'f,
    R: Send + 'f,
{
    Transact { client: client.clone(), run, retry: Retry::default(), lifetime: PhantomData }
}

/// A transaction that waits to be run; see [`transact`].
#[must_use = "nothing is read or written until the transaction is awaited"]
pub struct Transact<'f, F> {
    client: Client,
    run: F,
    retry: Retry,
    lifetime: PhantomData<&'f mut ()>,
}

impl<F> Transact<'_, F> {
    /// Sets the retry policy of the transaction. At most 5 minutes of the deadline count, since DynamoDB recognizes copies of a
    /// transaction for 10 minutes.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }
}

impl<F> fmt::Debug for Transact<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transact").field("retry", &self.retry).finish_non_exhaustive()
    }
}

impl<'f, F, Fut, R, E> IntoFuture for Transact<'f, F>
where
    F: FnMut(Tx) -> Fut + Send + 'f,
    Fut: Future<Output = Result<R, E>> + Send + 'f,
    E: From<Error> + Send + 'f,
    R: Send + 'f,
{
    type Output = Result<R, E>;
    type IntoFuture = BoxFuture<'f, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { client, mut run, retry, .. } = self;
        Box::pin(traced("transact", "", async move {
            let budget = &mut Budget::start(retry.at_most(MAX_TRANSACTION_TIME));
            let mut carried = Carried::default();
            let mut immediate_retries = IMMEDIATE_RETRIES;
            loop {
                let tx = Tx::start(budget, carried);
                // The closure owns the `Tx` and may keep it, so the run is shared with it and taken back afterwards.
                let record = tx.record();
                let answer = run(tx).await;
                let finished = record.close();
                let verified = if answer.is_ok() {
                    finished.commit(&client, budget).await
                } else {
                    // An error is an answer as well: the items that led to it must have been stored at one moment.
                    finished.verify_refusal(&client, budget).await
                };
                let Err(Refused { error, carried: next }) = verified else {
                    let outcome = if answer.is_ok() { "ok" } else { "refused" };
                    return Finished::new(answer, outcome, budget.stats());
                };
                // Items that were stored at one moment need no new check, so a run on them has the best chance at once.
                let at_once = immediate_retries > 0 || next.as_ref().is_some_and(|next| next.is_one_state);
                let may_retry = match &next {
                    Some(_) if at_once => budget.take(),
                    Some(_) => budget.wait().await,
                    None => false,
                };
                let Some(next) = next.filter(|_| may_retry) else {
                    let outcome = error.name();
                    return Finished::new(Err(error.into()), outcome, budget.stats());
                };
                immediate_retries = immediate_retries.saturating_sub(1);
                // After a delay, the items that the refusal returned may be out of date.
                carried = if at_once { next } else { Carried::default() };
                tracing::debug!(target: "dynalock", "running a transaction again after a conflict");
            }
        }))
    }
}
