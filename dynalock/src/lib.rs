//! Optimistic locking for Amazon DynamoDB: mark one field of a struct as its version, and no write overwrites what another
//! application wrote since you read.
//!
//! Several applications read and write one table, and DynamoDB has no locks on items. So every item has a version. Every write
//! requires that the version is still the one that was read, and raises it. If another writer changed the item first, DynamoDB
//! refuses the write. [`update`](Table::update), [`try_update`](Table::try_update) and [`transact`](transact()) then retry with
//! the item as it is now; [`save`](Table::save) and the like return the stored item in the error. A struct without a version does
//! not compile.
//!
#![cfg_attr(feature = "embedded", doc = "```")]
#![cfg_attr(not(feature = "embedded"), doc = "```ignore")]
//! use dynalock::{Table, Versioned};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, Clone, Serialize, Deserialize, Versioned)]
//! struct Account {
//!     #[dynalock(partition_key)]
//!     id: String,
//!     balance: i64,
//!     #[dynalock(version)]
//!     version: u64,
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> dynalock::Result<()> {
//! # let client = dynalock::embedded::Engine::in_memory().client(); // any `aws_sdk_dynamodb::Client`
//! let accounts = Table::<Account>::new(&client, "accounts");
//! # accounts.create_table().await?;
//!
//! let mut alice = Account { id: "alice".into(), balance: 100, version: 0 };
//! accounts.create(&mut alice).await?; // only if no item has this key
//! assert_eq!(alice.version, 1);
//!
//! let mut alice = accounts.get("alice").await?.expect("it was just created");
//! alice.balance -= 30;
//! accounts.save(&mut alice).await?; // only if nobody has written since
//! assert_eq!(alice.version, 2);
//!
//! let alice = accounts.update("alice", |account| account.balance += 5).await?; // read, change, write; retried on a conflict
//! assert_eq!((alice.balance, alice.version), (75, 3));
//! # Ok(())
//! # }
//! ```
//!
//! # The guide
//!
//! | page | answers |
//! |---|---|
//! | [`start`](guide::start) | how to get from an empty project to the first conflict, without AWS |
//! | [`how_it_works`](guide::how_it_works) | what each call sends, and why that keeps two applications apart |
//! | [`conflicts`](guide::conflicts) | what to do with a refused write, and how to show it to people |
//! | [`what_ok_means`](guide::what_ok_means) | what holds when replies are lost, under which assumptions, and what to do if the outcome is unknown |
//! | [`transactions`](guide::transactions) | how several items change together, and what is isolated from what |
//! | [`contention`](guide::contention) | what to do if many writers share one item |
#![cfg_attr(
    feature = "embedded",
    doc = "| [`testing`](guide::testing) | how to test conflicts and lost replies |"
)]
#![cfg_attr(
    not(feature = "embedded"),
    doc = "| `testing` (with the feature `embedded`) | how to test conflicts and lost replies |"
)]
//! | [`single_table`](guide::single_table) | how several structs share a table |
//! | [`etag`](guide::etag) | how a version becomes the `ETag` of an HTTP service |
//! | [`moving`](guide::moving) | how to change over from Java, PynamoDB, .NET, toasty, or hand-written requests |
//! | [`interoperation`](guide::interoperation) | what applications in other languages must agree on |
//! | [`iam`](guide::iam) | which permissions each call needs |
//! | [`capacity`](guide::capacity) | what each call costs |
//! | [`tables`](guide::tables) | what global tables, DAX, indexes, streams, time to live and backups do to versions |
//! | [`questions`](guide::questions) | what people ask |
//!
//! # Which call
//!
//! | you have | you want | call |
//! |---|---|---|
//! | a change | to apply it to whatever is stored | [`update`](Table::update), [`try_update`](Table::try_update) if it may refuse |
//! | a change | the same, or to start from a fresh item | [`update_or_create`](Table::update_or_create) |
//! | an object | to store it for the first time | [`create`](Table::create) |
//! | an object | to write it back | [`save`](Table::save); attributes that its struct doesn't know stay |
//! | an object | to write it back and remove all other attributes | [`replace`](Table::replace) |
//! | an object | to raise the version only, so that others notice | [`touch`](Table::touch) |
//! | an object | to delete its item | [`delete`](Table::delete) |
//! | many objects | to write each of them, even if others fail | [`create_all`](Table::create_all), [`save_all`](Table::save_all), [`delete_all`](Table::delete_all) |
//! | a key, or many | to read | [`get`](Table::get), [`get_many`](Table::get_many) |
//! | an item from a query | to turn it into a struct that can be saved | [`parse`](Table::parse) |
//! | several objects | to write all of them, or none | [`Transaction`] |
//! | a change to several items | to read and write them in isolation, and retry after a conflict | [`transact`](transact()) |
//! | a request of your own | the condition of one write | [`save_write`](Versioned::save_write) and the like |
//!
//! Calls with options are builders. Add options, then `.await`:
//!
//! ```no_run
//! # use std::time::Duration;
//! # use dynalock::{Condition, Retry, Table, Versioned};
//! # #[derive(serde::Serialize, serde::Deserialize, Versioned)]
//! # struct Account { #[dynalock(partition_key)] id: String, balance: i64, #[dynalock(version)] version: u64 }
//! # async fn example(accounts: Table<Account>, mut alice: Account) -> dynalock::Result<()> {
//! let open = Condition::new("#s = :open").name("#s", "status").value(":open", "open");
//! accounts.save(&mut alice).condition(open).await?;
//!
//! let patient = Retry::default().attempts(20).deadline(Duration::from_secs(5));
//! accounts.update("alice", |account| account.balance += 5).retry(patient).await?;
//!
//! let maybe_stale = accounts.get("alice").eventually_consistent().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Where a function takes a future, as `tokio::spawn` and `join_all` do, call `.into_future()` on the builder.
//!
//! # Keys
//!
//! A key is the value of the partition key or, with a sort key, a pair:
//!
//! ```no_run
//! # use dynalock::{Table, Versioned};
//! # use serde::{Deserialize, Serialize};
//! #[derive(Serialize, Deserialize, Versioned)]
//! struct Line {
//!     #[dynalock(partition_key)]
//!     order: String,
//!     #[dynalock(sort_key)]
//!     number: u32,
//!     article: String,
//!     #[dynalock(version)]
//!     version: u64,
//! }
//!
//! # async fn example(lines: Table<Line>) -> dynalock::Result<()> {
//! let third = lines.get(("order-1", 3)).await?;
//! let some = lines.get_many([("order-1", 1), ("order-2", 1)]).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # A conflict
//!
//! A write of an object that is no longer current returns [`Error::Conflict`], which holds the item as it is now. The object
//! stays as it was: its version is raised only on success. [`guide::conflicts`] shows what to do then.
//!
//! ```no_run
//! # use dynalock::{Error, Table, Versioned};
//! # #[derive(Debug, serde::Serialize, serde::Deserialize, Versioned)]
//! # struct Account { #[dynalock(partition_key)] id: String, balance: i64, #[dynalock(version)] version: u64 }
//! # async fn example(accounts: Table<Account>, mut alice: Account) -> dynalock::Result<()> {
//! match accounts.save(&mut alice).await {
//!     Err(Error::Conflict(conflict)) => {
//!         let theirs: Account = conflict.current()?;
//!         println!("you changed version {}, meanwhile it is {theirs:?}", conflict.expected());
//!     }
//!     other => other?,
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Several items
//!
//! [`transact`](transact()) reads items, and writes all of its changes or none. Items that it only read are checked as well.
//!
//! ```no_run
//! # use dynalock::{Error, Table, Versioned};
//! # #[derive(serde::Serialize, serde::Deserialize, Versioned)]
//! # struct Account { #[dynalock(partition_key)] id: String, balance: i64, #[dynalock(version)] version: u64 }
//! # async fn example(client: aws_sdk_dynamodb::Client, accounts: &Table<Account>) -> dynalock::Result<()> {
//! dynalock::transact(&client, move |tx| async move {
//!     let mut alice = tx.get(accounts, "alice").await?.ok_or(Error::NotFound)?;
//!     let mut bob = tx.get(accounts, "bob").await?.ok_or(Error::NotFound)?;
//!     alice.balance -= 10;
//!     bob.balance += 10;
//!     tx.save(accounts, alice)?;
//!     tx.save(accounts, bob)
//! })
//! .await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`Transaction`] writes objects that you already hold. [`guide::transactions`] describes isolation, cost and patterns.
//!
//! If many writers share one item, keep the [`Table`] and clone it: its updates take turns, or share a write if it is
//! [`coalescing`](Table::coalescing). [`guide::contention`] shows what contention costs, and how to notice it.
//!
//! Applications in other languages may write the same table. [`guide::interoperation`] lists what they must agree on.
//!
//! # What the answers mean
//!
//! | answer | the write |
//! |---|---|
//! | `Ok` | was applied exactly once (a `delete` returns in [`Deleted`] whether by this call; an `update` that changes nothing sends no write) |
//! | [`Conflict`](Error::Conflict), [`NotFound`](Error::NotFound), [`ConditionFailed`](Error::ConditionFailed) | was not applied, and never will be |
//! | [`AlreadyExists`](Error::AlreadyExists) | the same; after a lost or late reply, only [as long as the item exists](guide::what_ok_means#a-late-copy-of-a-create) |
//! | [`OutcomeUnknown`](Error::OutcomeUnknown) | may or may not have been applied; dynalock did not try a different write |
//! | every other error | was not applied |
//!
//! This holds even when replies are lost. DynamoDB can apply a conditional write although its reply is lost. The SDK then sends
//! the write again, and the second copy fails its check because the first was applied. A loop that takes this for a conflict
//! applies its change twice. dynalock leaves a stamp in every item that it stores. It finds the stamp in the item that the failed
//! check returns, and so distinguishes its own write from another's. A change closure never runs again after a write that may
//! have been applied. [`guide::what_ok_means`] explains how this works, what it costs, and what it assumes. In short, it holds as
//! long as
//!
//! - **every writer raises the version**, including other services, scripts and consoles, and all raise the same attribute. If
//!   the field is renamed, the struct takes every stored item for one without a version: keep the old name with `#[serde(rename =
//!   "..")]`.
//! - **a version is never used twice for a key**: if items are deleted and created again, use
//!   `#[dynalock(version, start = "clock")]`.
//! - **writes go to one Region**, or to a global table with multi-Region strong consistency.
//! - **items without a version are adopted** (an object at version 0 is saved) only after their old writers have stopped.
//!
//! # The version
//!
//! The version is a plain number attribute, which mappers for other languages can read and raise as well. An attribute that is 0,
//! NULL or absent means that the item has no version yet; the next write sets one. See the [derive](macro@Versioned) for `start`,
//! `step` and types.
//!
//! # Testing
//!
//! With the feature `embedded`, `embedded::Engine` is a DynamoDB in your process behind a real SDK client, in memory or in a
//! file, and `testing::Faults` loses replies and delays requests by script (see the guide's page `testing`):
//!
#![cfg_attr(feature = "embedded", doc = "```")]
#![cfg_attr(not(feature = "embedded"), doc = "```ignore")]
//! # use dynalock::{Table, Versioned, embedded::Engine};
//! # #[derive(serde::Serialize, serde::Deserialize, Versioned)]
//! # struct Account { #[dynalock(partition_key)] id: String, balance: i64, #[dynalock(version)] version: u64 }
//! # async fn deposit(accounts: &Table<Account>, id: &str, amount: i64) -> dynalock::Result<Account> {
//! #     accounts.update_or_create(id, || Account { id: id.into(), balance: 0, version: 0 }, |a| a.balance += amount).await
//! # }
//! #[tokio::test]
//! # async fn not_collected() {}
//! async fn a_deposit_is_added() {
//!     let accounts = Table::<Account>::new(&Engine::in_memory().client(), "accounts");
//!     accounts.create_table().await.unwrap();
//!     deposit(&accounts, "alice", 10).await.unwrap();
//!     assert_eq!(deposit(&accounts, "alice", 5).await.unwrap().balance, 15);
//! }
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(a_deposit_is_added());
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod error;
mod item;
mod queue;
mod send;
mod support;
mod table;
mod transaction;
mod versioned;
mod write;

#[cfg(feature = "embedded")]
pub mod embedded;
#[cfg(any(doc, doctest))]
pub mod guide;
#[cfg(feature = "embedded")]
pub mod testing;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

pub use dynalock_derive::Versioned;

pub use versioned::Versioned;

pub use table::Table;

pub use table::bulk::BatchResults;
pub use table::delete::Deleted;

pub use transaction::Transaction;
pub use transaction::transact::transact;
pub use transaction::tx::Tx;

pub use send::retry::Retry;
pub use write::condition::Condition;

pub use error::conflict::Conflict;
pub use error::sdk_failure::SdkFailure;
pub use error::unknown::UnknownOutcome;
pub use error::{Error, Result};

pub use item::key::{IntoKey, PartitionAndSort};
pub use item::version::{ClockVersion, VersionNumber};
pub use write::ConditionalWrite;

/// The calls that wait to be sent: add options, then `.await`.
pub mod call {
    pub use crate::table::bulk::{DeleteAll, WriteAll};
    pub use crate::table::create::Create;
    pub use crate::table::delete::Delete;
    pub use crate::table::get::Get;
    pub use crate::table::get_many::GetMany;
    pub use crate::table::save::Write;
    pub use crate::table::update::{TryUpdate, Update, UpdateOrCreate};
    pub use crate::transaction::transact::Transact;
}
