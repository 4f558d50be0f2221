//! The batch calls `create_all`, `save_all` and `delete_all`: versioned writes of many items.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::fmt;
use std::future::IntoFuture;
use std::ops::Range;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use crate::error::{Error, Result};
use crate::item::key::KeyId;
use crate::send::Applied;
use crate::table::delete::Deleted;
use crate::table::options::{Options, option_methods};
use crate::table::{BoxFuture, Table};
use crate::versioned::{Versioned, set_version};
use crate::write::ConditionalWrite;
use crate::write::draft::Kind;

/// How many writes are under way at a time by default. If each is answered within 4 ms, they make the 4,000 writes a second that
/// [a new table takes][on-demand].
///
/// [on-demand]: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html
const CONCURRENCY: usize = 16;

/// After how many completed items the task yields, so that others can run on its thread.
const COMPLETED_BEFORE_YIELD: usize = 32;

impl<T: Versioned> Table<T> {
    /// Saves many objects, each as [`save`](Self::save) does: with its own version check, its own retries and its own answer.
    /// `.into_result()?` returns the first error. An object has its next version as soon as its own write is answered with `Ok`,
    /// even if the writes of others fail.
    ///
    /// ```
    /// # use dynalock::{Error, Table, Versioned};
    /// # #[derive(serde::Serialize, serde::Deserialize, Versioned)]
    /// # struct Account { #[dynalock(partition_key)] id: String, balance: i64, #[dynalock(version)] version: u64 }
    /// # async fn example(accounts: Table<Account>, mut held: Vec<Account>) -> dynalock::Result<()> {
    /// let saved = accounts.save_all(&mut held).await; // an answer for each, in the order of `held`
    /// for (index, error) in saved.failures() {
    ///     println!("{}: {error}", held[index].id);
    /// }
    ///
    /// accounts.save_all(held.iter_mut().filter(|account| account.balance < 0)).await.into_result()?; // the first error
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// This is no transaction. Other writers may see some of the objects saved and others not yet, and a refused object does not
    /// prevent others from being saved. To save up to 100 items, all or none, use a [`Transaction`](crate::Transaction).
    ///
    /// Every object is a request of its own, since DynamoDB's `BatchWriteItem` [takes no conditions][BatchWriteItem]. The cost in
    /// write units is the same. 16 requests are under way at a time, or as many as [`concurrency`](WriteAll::concurrency) sets.
    /// Each request is built when it is sent, so a batch may have any number of objects. The future of the call sends them all,
    /// without tasks of their own.
    ///
    /// Objects with the same key are written one after the other, in their order, and all objects behind them wait. Their answers
    /// are those of calls of `save` in a loop: of two objects at the same version, the first one is saved and the second one
    /// conflicts. A batch without objects sends nothing and has no answers.
    ///
    /// A [`Retry`](crate::Retry) applies to each object, and its deadline begins with the turn of that object. While DynamoDB
    /// cannot be reached, every object uses up its deadline. [`deadline`](WriteAll::deadline) limits the whole batch.
    ///
    /// If the future is dropped, the outcome of the writes under way is unknown, and the objects behind them are not sent.
    /// Objects whose write was answered with `Ok` by then have their next version, and all others are unchanged.
    ///
    /// # Errors
    ///
    /// For each object the errors of [`save`](Self::save).
    ///
    /// [BatchWriteItem]: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
    pub fn save_all<'a>(&self, items: impl IntoIterator<Item = &'a mut T>) -> WriteAll<'a, T> {
        WriteAll { batch: Batch::new(self, Kind::Save, items) }
    }

    /// Stores many new items. Each item is stored as by [`create`](Self::create), and the batch works like that of
    /// [`save_all`](Self::save_all).
    ///
    /// An item whose reply is lost is not sent again, and may end in `OutcomeUnknown`. There is no `in_transaction` for a batch.
    /// Of two objects with the same key, the first one is stored and the second one ends in `AlreadyExists`. An item that is
    /// created again after its [`OutcomeUnknown`](Error::OutcomeUnknown) may end in `AlreadyExists` as well: use
    /// [`UnknownOutcome::was_applied`](crate::UnknownOutcome::was_applied) first.
    ///
    /// # Errors
    ///
    /// For each object the errors of [`create`](Self::create).
    pub fn create_all<'a>(&self, items: impl IntoIterator<Item = &'a mut T>) -> WriteAll<'a, T> {
        WriteAll { batch: Batch::new(self, Kind::Create, items) }
    }

    /// Deletes many items. Each item is deleted as by [`delete`](Self::delete), and the batch works like that of
    /// [`save_all`](Self::save_all). Of two objects with the same key, the first one is deleted, and the second one is
    /// [already gone](Deleted::AlreadyGone).
    ///
    /// # Errors
    ///
    /// For each object the errors of [`delete`](Self::delete).
    pub fn delete_all<'a>(&self, items: impl IntoIterator<Item = &'a T>) -> DeleteAll<'a, T> {
        DeleteAll { batch: Batch::new(self, Kind::Delete, items) }
    }
}

/// The option methods of a batch. `$answer` is what an item that succeeds returns.
macro_rules! batch_methods {
    ($answer:ty) => {
        option_methods!(condition, batch.options);

        /// Overrides the table's retry policy for each item. The attempts and the deadline are those of one item, and begin with
        /// its turn.
        pub fn retry(mut self, retry: $crate::Retry) -> Self {
            self.batch.options.retry = retry;
            self
        }

        /// Limits how many writes are under way at a time. The default is 16, and 0 counts as 1. All of them run in one task, and
        /// thousands at a time would keep it so busy that answers come too late.
        ///
        /// Throttling slows a batch down without any setting, since items that wait to be sent again count as under way.
        pub fn concurrency(mut self, writes: usize) -> Self {
            self.batch.concurrency = writes.max(1);
            self
        }

        /// Limits the time of the whole batch. By default there is no limit. A write that is under way when the time is up mostly
        /// ends in [`OutcomeUnknown`](crate::Error::OutcomeUnknown). An item whose turn did not come is not sent, and ends in
        /// [`Busy`](crate::Error::Busy).
        pub fn deadline(mut self, deadline: Duration) -> Self {
            self.batch.deadline = Some(deadline);
            self
        }

        /// Calls `observe` with the index of each item, counted from 0, and its answer, as soon as the answer is known. The calls
        /// come in the order in which the items end. A second closure replaces the first. The items themselves are borrowed until
        /// the batch ends.
        ///
        /// ```
        /// # use dynalock::{Table, Versioned};
        /// # #[derive(serde::Serialize, serde::Deserialize, Versioned)]
        /// # struct Account { #[dynalock(partition_key)] id: String, balance: i64, #[dynalock(version)] version: u64 }
        /// # async fn example(accounts: Table<Account>, mut held: Vec<Account>) {
        /// let all = held.len();
        /// let mut ended = 0;
        /// let saved = accounts.save_all(&mut held).on_completed(|_, _| {
        ///     ended += 1;
        ///     eprint!("\r{ended} of {all}");
        /// });
        /// saved.await.into_result().expect("saved");
        /// # }
        /// ```
        ///
        /// The closure runs between the writes, which wait for it, so keep it short.
        pub fn on_completed(mut self, observe: impl FnMut(usize, &Result<$answer>) + Send + 'a) -> Self {
            self.batch.on_completed = Some(Box::new(observe));
            self
        }
    };
}

/// A batch of creates or saves that waits to be sent; see [`Table::save_all`].
#[must_use = "nothing is written until the call is awaited"]
pub struct WriteAll<'a, T> {
    batch: Batch<'a, T, &'a mut T, ()>,
}

impl<'a, T> WriteAll<'a, T> {
    batch_methods!(());
}

impl<'a, T: Versioned> IntoFuture for WriteAll<'a, T> {
    type Output = BatchResults<()>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.batch.run(|item, _, version| set_version(*item, version)))
    }
}

/// A batch of deletes that waits to be sent; see [`Table::delete_all`].
#[must_use = "nothing is deleted until the call is awaited"]
pub struct DeleteAll<'a, T> {
    batch: Batch<'a, T, &'a T, Deleted>,
}

impl<'a, T> DeleteAll<'a, T> {
    batch_methods!(Deleted);
}

impl<'a, T: Versioned> IntoFuture for DeleteAll<'a, T> {
    type Output = BatchResults<Deleted>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.batch.run(|_, applied, _| Deleted::from_applied(applied)))
    }
}

/// Shows no item.
impl<T> fmt::Debug for WriteAll<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.batch.show(&mut f.debug_struct("WriteAll"))
    }
}

/// Shows no item.
impl<T> fmt::Debug for DeleteAll<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.batch.show(&mut f.debug_struct("DeleteAll"))
    }
}

/// The answers of a batch, one for each item, in the order of the items.
#[derive(Debug)]
#[must_use = "each item has an answer of its own, and any of them may be an error"]
pub struct BatchResults<O>(Vec<Result<O>>);

impl<O> BatchResults<O> {
    /// Returns the answers if every item succeeded, and otherwise the error of the first item that failed. The other items may
    /// have been written. The error does not say which item failed: [`failures`](Self::failures) does.
    pub fn into_result(self) -> Result<Vec<O>> {
        self.0.into_iter().collect()
    }

    /// Returns the index, counted from 0, and the error of each item that failed.
    pub fn failures(&self) -> impl Iterator<Item = (usize, &Error)> {
        self.0.iter().enumerate().filter_map(|(index, result)| Some((index, result.as_ref().err()?)))
    }

    /// Returns an iterator over the answers.
    pub fn iter(&self) -> std::slice::Iter<'_, Result<O>> {
        self.0.iter()
    }

    /// Returns all answers.
    pub fn as_slice(&self) -> &[Result<O>] {
        &self.0
    }
}

impl<O> IntoIterator for BatchResults<O> {
    type Item = Result<O>;
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'o, O> IntoIterator for &'o BatchResults<O> {
    type Item = &'o Result<O>;
    type IntoIter = std::slice::Iter<'o, Result<O>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

/// The contents of both builders: items of type `I`, each with an answer of type `O` if it succeeds.
struct Batch<'a, T, I, O> {
    kind: Kind,
    items: Vec<I>,
    options: Options<T>,
    concurrency: usize,
    deadline: Option<Duration>,
    on_completed: Option<OnCompleted<'a, O>>,
}

type OnCompleted<'a, O> = Box<dyn FnMut(usize, &Result<O>) + Send + 'a>;

impl<T, I, O> Batch<'_, T, I, O> {
    fn new(table: &Table<T>, kind: Kind, items: impl IntoIterator<Item = I>) -> Self {
        Self {
            kind,
            items: items.into_iter().collect(),
            options: Options::new(table),
            concurrency: CONCURRENCY,
            deadline: None,
            on_completed: None,
        }
    }

    fn show(&self, shown: &mut fmt::DebugStruct<'_, '_>) -> fmt::Result {
        shown
            .field("kind", &self.kind)
            .field("items", &self.items.len())
            .field("options", &self.options)
            .field("concurrency", &self.concurrency)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl<T: Versioned, I: Borrow<T>, O> Batch<'_, T, I, O> {
    /// Writes all items. `applied` makes the answer of an item that was written, from how the write succeeded and the version
    /// that it stored.
    async fn run(self, applied: impl Fn(&mut I, Applied, Option<u64>) -> O) -> BatchResults<O> {
        let Self { kind, mut items, options, concurrency, deadline, mut on_completed } = self;
        let sender =
            Sender { kind, options, deadline: deadline.and_then(|time| Instant::now().checked_add(time)) };
        let mut results: Vec<Option<Result<O>>> = items.iter().map(|_| None).collect();
        let mut upcoming = Upcoming::new(items.len());
        let mut in_flight = FuturesUnordered::new();
        let mut completed = 0;
        loop {
            while in_flight.len() < concurrency
                && let Some(next) = upcoming.next(|index| sender.write(items[index].borrow()))
            {
                in_flight.push(sender.send(next));
            }
            // An item that is blocked by its key is not in flight, but the item that blocks it is. So nothing is left here.
            let Some((index, key, sent)) = in_flight.next().await else { break };
            upcoming.release(key);
            let result = sent.map(|(sent, version)| applied(&mut items[index], sent, version));
            if let Some(on_completed) = &mut on_completed {
                on_completed(index, &result);
            }
            results[index] = Some(result);
            completed += 1;
            if completed % COMPLETED_BEFORE_YIELD == 0 {
                tokio::task::yield_now().await;
            }
        }
        // Every item has a result by now. If one were missing and left out, the answers behind it would get wrong indices.
        let result = |result: Option<Result<O>>| result.unwrap_or_else(|| Err(sender.too_late()));
        BatchResults(results.into_iter().map(result).collect())
    }
}

/// An item whose turn it is.
struct Next {
    index: usize,
    write: Result<ConditionalWrite>,
    /// `None` if the item is invalid, so that there is nothing to send.
    key: Option<KeyId>,
}

/// The items whose turn has not come yet. Items with the same key are sent one after the other.
struct Upcoming {
    indices: Range<usize>,
    /// The next item, if another one with its key is in flight.
    blocked: Option<Next>,
    keys_in_flight: HashSet<KeyId>,
}

impl Upcoming {
    fn new(items: usize) -> Self {
        Self { indices: 0..items, blocked: None, keys_in_flight: HashSet::new() }
    }

    /// The next item, with the write that `write` makes for its index. Returns `None` if no item is left, or if the next one has
    /// to wait for another one with its key.
    fn next(&mut self, write: impl FnOnce(usize) -> Result<ConditionalWrite>) -> Option<Next> {
        let next = match self.blocked.take() {
            Some(next) => next,
            None => {
                let index = self.indices.next()?;
                let write = write(index);
                let key = write.as_ref().ok().map(|write| KeyId::new(write.intent().schema, &write.key()));
                Next { index, write, key }
            }
        };
        match &next.key {
            Some(key) if !self.keys_in_flight.insert(key.clone()) => {
                self.blocked = Some(next);
                None
            }
            _ => Some(next),
        }
    }

    /// Notes that an item is no longer in flight, so that the next one with its key can be sent.
    fn release(&mut self, key: Option<KeyId>) {
        if let Some(key) = key {
            self.keys_in_flight.remove(&key);
        }
    }
}

/// Makes and sends the writes of a batch.
struct Sender<T> {
    kind: Kind,
    options: Options<T>,
    deadline: Option<Instant>,
}

impl<T> Sender<T> {
    fn time_left(&self) -> Duration {
        let left = |deadline: Instant| deadline.saturating_duration_since(Instant::now());
        self.deadline.map_or(Duration::MAX, left)
    }

    fn too_late(&self) -> Error {
        let problem = "the deadline of the batch came before the turn of this item";
        Error::Busy { table: self.options.table.name().into(), problem }
    }

    /// The write of an item. If no time is left, it is not serialized, since it would not be sent.
    fn write(&self, item: &T) -> Result<ConditionalWrite>
    where
        T: Versioned,
    {
        if self.time_left().is_zero() { Err(self.too_late()) } else { self.options.write(self.kind, item) }
    }

    /// Sends one write, if the batch has time left. The deadline may have come while the item waited for another one with its
    /// key.
    async fn send(&self, next: Next) -> (usize, Option<KeyId>, Result<(Applied, Option<u64>)>) {
        let Next { index, write, key } = next;
        let left = self.time_left();
        let write = if left.is_zero() { write.and(Err(self.too_late())) } else { write };
        let sent = self.options.send(self.kind, write, self.options.retry.at_most(left)).await;
        (index, key, sent)
    }
}
