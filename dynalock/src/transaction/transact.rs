//! `transact`: reads and writes of several items as one serializable transaction, again on a conflict.

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

/// Reads several items and writes what comes of them, all or nothing, as if nobody else had been at work in between.
///
/// `run` reads with [`Tx::get`], and says what to write with [`Tx::save`] and its like. At its end everything is written by
/// one `TransactWriteItems`, which also checks that what was read and not written is still stored as it was read. If another
/// writer was faster, nothing is written, and `run` is called again: twice at once, on the items that the refusal returned, and
/// from then on after a delay and on fresh reads. It must not have effects of its own. If it returns an error, nothing is
/// written. If what stands in the way is an item that it wrote without having read it, another run would not help, and the
/// conflict is the answer. A write of an object that is older than what the run read ends in a conflict within `run`: see
/// [`Tx::save`].
///
/// What `run` returns, be it `Ok` or its own error, rests on items that were all stored so at one moment: the transaction is
/// serializable with every other write that raises the version. Items read past the `Tx`, by [`Table::get`](crate::Table::get),
/// take no part in that. Reads go through the table's own client and the transaction through `client`: both must reach the same
/// tables. While it runs, `run` may see items that do not fit together; then it is called again, whatever it
/// returns.
///
/// An error of `run` whose check fails, since DynamoDB refuses it or cannot be reached, is not returned: it may rest on items that
/// were never stored so at one moment. The answer is then the error of the check. Only after a [`Tx::get`] that ended in an error is
/// the error of `run` the answer in any case.
///
/// | the run | sends beside its reads |
/// |---|---|
/// | read at most one item and wrote nothing | nothing |
/// | returned an error after at most one read | nothing |
/// | read more and wrote nothing, or returned an error | one `TransactGetItems`, whose items serve the next run if they differ |
/// | changed one item and touched no other | one conditional write, as [`Table::save`](crate::Table::save) |
/// | anything else, a lone create included | one `TransactWriteItems`: two write units for each unit of the items, those only read included |
///
/// Conflicts, lost replies, timeouts, throttling and failed connections are retried, as [`Transact::retry`] says.
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
/// What `run` returns, and by way of `From`:
///
/// - [`Conflict`](Error::Conflict), [`AlreadyExists`](Error::AlreadyExists): other writers were faster until the retries ended.
///   Nothing was written; of `AlreadyExists` see [`Transaction::commit`](crate::Transaction::commit).
/// - [`OutcomeUnknown`](Error::OutcomeUnknown): a reply was lost, and whether the transaction was applied could not be found
///   out. It was applied as a whole or not at all; the error tells of one of its items.
/// - [`InvalidRequest`](Error::InvalidRequest): it reads and writes more than 100 items, or more than 4 MB, or `run` returned `Ok`
///   after an invalid write. Nothing was written. A read that goes over a limit ends in this error within `run`.
/// - The other errors of [`Transaction::commit`](crate::Transaction::commit). Nothing was written. [`Sdk`](Error::Sdk) also where a table
///   has multi-Region strong consistency, and so no transactions.
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
    /// Retries the transaction so. At most 5 minutes of the deadline count: DynamoDB recognizes a transaction that it got
    /// before for no longer than 10.
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
            let (mut carried, mut immediate) = (Carried::default(), IMMEDIATE_RETRIES);
            loop {
                let tx = Tx::start(budget, carried);
                let record = tx.record();
                let answer = run(tx).await;
                let done = record.close();
                let verified = if answer.is_ok() {
                    done.commit(&client, budget).await
                } else {
                    // What the closure refused must have been stored so as well.
                    done.verify_refusal(&client, budget).await
                };
                let Err(Refused { error, carried: next }) = verified else {
                    let outcome = if answer.is_ok() { "ok" } else { "refused" };
                    return Finished::new(answer, outcome, budget.stats());
                };
                let at_once = immediate > 0 || next.as_ref().is_some_and(|next| next.is_one_state);
                let may_retry = match &next {
                    Some(_) if at_once => budget.take(),
                    Some(_) => budget.wait().await,
                    None => false,
                };
                let Some(next) = next.filter(|_| may_retry) else {
                    let outcome = error.name();
                    return Finished::new(Err(error.into()), outcome, budget.stats());
                };
                immediate = immediate.saturating_sub(1);
                // After a delay, what the refusal returned is out of date.
                carried = if at_once { next } else { Carried::default() };
                tracing::debug!(target: "dynalock", "running a transaction again after a conflict");
            }
        }))
    }
}
