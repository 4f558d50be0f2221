//! Versioned writes of many items: `create_all`, `save_all`, `delete_all`.

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

/// How many writes are under way at a time, unless a call says otherwise. Answered within 4 ms, these are the 4,000 writes a
/// second that [a new table takes][on-demand].
///
/// [on-demand]: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html
const CONCURRENCY: usize = 16;

/// How many items may end before the task lets others run on its thread.
const COMPLETED_AT_ONCE: usize = 32;

impl<T: Versioned> Table<T> {
    /// Saves many objects, each as [`save`](Self::save) does: under its own condition, with its own retries, and with an answer
    /// of its own; `.into_result()?` takes the first error. An object has its next version as soon as its own write is answered
    /// with `Ok`, whatever becomes of the others.
    ///
    /// ```
    /// # use dynalock::{Error, Table, Versioned};
    /// # #[derive(serde::Serialize, serde::Deserialize, Versioned)]
    /// # struct Account { #[dynalock(partition_key)] id: String, balance: i64, #[dynalock(version)] version: u64 }
    /// # async fn example(accounts: Table<Account>, mut held: Vec<Account>) -> dynalock::Result<()> {
    /// let saved = accounts.save_all(&mut held).await; // an answer for each, in the order of `held`
    /// for (place, error) in saved.failures() {
    ///     println!("{}: {error}", held[place].id);
    /// }
    ///
    /// accounts.save_all(held.iter_mut().filter(|account| account.balance < 0)).await.into_result()?; // the first error
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// This is no transaction: other writers see some of the objects saved and others not yet, and one that is refused keeps none
    /// of the others from being saved. For all or nothing, up to 100 items, there is [`Transaction`](crate::Transaction).
    ///
    /// Every object is a request of its own: DynamoDB's `BatchWriteItem` [takes no conditions][BatchWriteItem], and costs as many
    /// write units. 16 of them are under way at a time, or as many as [`concurrency`](WriteAll::concurrency) says, and each is built
    /// when it is its turn, so that a batch may have any number of objects. They are sent from within the future of the call, without
    /// tasks of their own.
    ///
    /// Objects with the same key are written one after the other, in their order, and those behind them wait as long: so they
    /// answer as calls of `save` in a loop would. Of two objects at the same version, the first one is saved and the second one
    /// conflicts. No objects make no requests, and no answers.
    ///
    /// A [`Retry`](crate::Retry) is that of each object, and its deadline counts from the moment at which it is that object's turn:
    /// while DynamoDB cannot be reached, every object takes up all of it. [`deadline`](WriteAll::deadline) bounds the whole.
    ///
    /// If the future is dropped, what is under way may be applied or not, and what is behind it is not sent. Objects whose write was
    /// answered with `Ok` by then have their next version, and all others are as they were.
    ///
    /// # Errors
    ///
    /// For each object those of [`save`](Self::save).
    ///
    /// [BatchWriteItem]: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
    pub fn save_all<'a>(&self, items: impl IntoIterator<Item = &'a mut T>) -> WriteAll<'a, T> {
        WriteAll { batch: Batch::new(self, Kind::Save, items) }
    }

    /// Stores many new items, each as [`create`](Self::create) does, and together as [`save_all`](Self::save_all) does. So an item
    /// whose reply is lost is not sent again, and may end in `OutcomeUnknown`; there is no `in_transaction` for many. Of two
    /// objects with the same key, the first one is stored and the second one exists already. So does one that is created again
    /// after its [`OutcomeUnknown`](Error::OutcomeUnknown): ask [`UnknownOutcome::was_applied`](crate::UnknownOutcome::was_applied) first.
    ///
    /// # Errors
    ///
    /// For each object those of [`create`](Self::create).
    pub fn create_all<'a>(&self, items: impl IntoIterator<Item = &'a mut T>) -> WriteAll<'a, T> {
        WriteAll { batch: Batch::new(self, Kind::Create, items) }
    }

    /// Deletes many items, each as [`delete`](Self::delete) does, and together as [`save_all`](Self::save_all) does. Of two
    /// objects with the same key, the first one is deleted and the second one [already gone](Deleted::AlreadyGone).
    ///
    /// # Errors
    ///
    /// For each object those of [`delete`](Self::delete).
    pub fn delete_all<'a>(&self, items: impl IntoIterator<Item = &'a T>) -> DeleteAll<'a, T> {
        DeleteAll { batch: Batch::new(self, Kind::Delete, items) }
    }
}

/// The options of a batch, whose items end well with `$answer`.
macro_rules! batch_methods {
    ($answer:ty) => {
        option_methods!(condition, batch.options);

        /// Retries each item so, whatever the table says. Its attempts and its deadline are those of one item, which begin when it
        /// is that item's turn.
        pub fn retry(mut self, retry: $crate::Retry) -> Self {
            self.batch.options.retry = retry;
            self
        }

        /// At most this many writes are under way at a time; 16 unless this says otherwise, and 0 counts as 1. All of them run in
        /// one task: thousands at once would keep it so busy that answers come too late.
        ///
        /// A table or a partition that is throttled slows a batch down by itself: items that wait to be sent again count as under
        /// way.
        pub fn concurrency(mut self, writes: usize) -> Self {
            self.batch.concurrency = writes.max(1);
            self
        }

        /// At most this much time for the whole batch; without end unless this says otherwise. A write that is under way when the
        /// time is up mostly ends in [`OutcomeUnknown`](crate::Error::OutcomeUnknown). An item whose turn did not come is not sent,
        /// and ends in [`Busy`](crate::Error::Busy).
        pub fn deadline(mut self, deadline: Duration) -> Self {
            self.batch.deadline = Some(deadline);
            self
        }

        /// Tells `observe` the place of each item, counted from 0, and what came of it as soon as that is known: in the order in
        /// which the items end, and not in that of their places. A second closure takes the place of the first. The items themselves
        /// are borrowed until the batch ends.
        ///
        /// ```
        /// # use dynalock::{Table, Versioned};
        /// # #[derive(serde::Serialize, serde::Deserialize, Versioned)]
        /// # struct Account { #[dynalock(partition_key)] id: String, balance: i64, #[dynalock(version)] version: u64 }
        /// # async fn example(accounts: Table<Account>, mut held: Vec<Account>) {
        /// let (all, mut ended) = (held.len(), 0);
        /// let saved = accounts.save_all(&mut held).on_completed(|_, _| {
        ///     ended += 1;
        ///     eprint!("\r{ended} of {all}");
        /// });
        /// saved.await.into_result().expect("saved");
        /// # }
        /// ```
        ///
        /// It runs between the writes, which wait for it: keep it short.
        pub fn on_completed(mut self, observe: impl FnMut(usize, &Result<$answer>) + Send + 'a) -> Self {
            self.batch.on_completed = Some(Box::new(observe));
            self
        }
    };
}

/// Creates or saves of many objects that wait to be sent; see [`Table::save_all`].
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

/// Deletes of many objects that wait to be sent; see [`Table::delete_all`].
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

/// The answer for each item of a batch, in the order of the items.
#[derive(Debug)]
#[must_use = "each item has an answer of its own, and any of them may be an error"]
pub struct BatchResults<O>(Vec<Result<O>>);

impl<O> BatchResults<O> {
    /// The answers, if every item has succeeded; else the error of the first one that has not. The others may have been written,
    /// and which item it was only [`failures`](Self::failures) tells.
    pub fn into_result(self) -> Result<Vec<O>> {
        self.0.into_iter().collect()
    }

    /// The items that have failed: their places, counted from 0, and why.
    pub fn failures(&self) -> impl Iterator<Item = (usize, &Error)> {
        self.0.iter().enumerate().filter_map(|(place, result)| Some((place, result.as_ref().err()?)))
    }

    /// The answers, one after the other.
    pub fn iter(&self) -> std::slice::Iter<'_, Result<O>> {
        self.0.iter()
    }

    /// All answers.
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

/// What both builders hold: items in the form of `I`, each of which ends well with an `O`.
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
    /// Writes all items. `applied` makes the answer of each item that was written, from how the write ended and the version that it
    /// stored.
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
                && let Some(next) = upcoming.next(|place| sender.write(items[place].borrow()))
            {
                in_flight.push(sender.send(next));
            }
            let Some((place, key, sent)) = in_flight.next().await else { break };
            upcoming.release(key);
            let result = sent.map(|(sent, version)| applied(&mut items[place], sent, version));
            if let Some(on_completed) = &mut on_completed {
                on_completed(place, &result);
            }
            results[place] = Some(result);
            completed += 1;
            if completed % COMPLETED_AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
        }
        // Every item has a result by now. One without would shift the others to wrong places.
        let result = |result: Option<Result<O>>| result.unwrap_or_else(|| Err(sender.too_late()));
        BatchResults(results.into_iter().map(result).collect())
    }
}

/// An item whose turn it is.
struct Next {
    place: usize,
    write: Result<ConditionalWrite>,
    /// `None` where there is nothing to send.
    key: Option<KeyId>,
}

/// The items whose turn did not come yet. Those with the same key go one after the other.
struct Upcoming {
    places: Range<usize>,
    /// The next item, while another one with its key is in flight.
    blocked: Option<Next>,
    keys_in_flight: HashSet<KeyId>,
}

impl Upcoming {
    fn new(items: usize) -> Self {
        Self { places: 0..items, blocked: None, keys_in_flight: HashSet::new() }
    }

    /// The next item, with what `write` makes of its place; `None` if there is none, or if it has to wait for another one.
    fn next(&mut self, write: impl FnOnce(usize) -> Result<ConditionalWrite>) -> Option<Next> {
        let next = match self.blocked.take() {
            Some(next) => next,
            None => {
                let place = self.places.next()?;
                let write = write(place);
                let key = write.as_ref().ok().map(|write| KeyId::new(write.intent().schema, &write.key()));
                Next { place, write, key }
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

    /// Lets the next item with the same key go.
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

    /// The write of an item. There is no time to make one that is not sent.
    fn write(&self, item: &T) -> Result<ConditionalWrite>
    where
        T: Versioned,
    {
        if self.time_left().is_zero() { Err(self.too_late()) } else { self.options.write(self.kind, item) }
    }

    /// Sends one write, unless the batch has no time left, as after a wait for its key.
    async fn send(&self, next: Next) -> (usize, Option<KeyId>, Result<(Applied, Option<u64>)>) {
        let Next { place, write, key } = next;
        let left = self.time_left();
        let write = if left.is_zero() { write.and(Err(self.too_late())) } else { write };
        let sent = self.options.send(self.kind, write, self.options.retry.at_most(left)).await;
        (place, key, sent)
    }
}
