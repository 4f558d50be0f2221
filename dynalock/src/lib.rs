//! Optimistic locking for Amazon DynamoDB.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod attempts;
mod condition;
mod conflict;
mod create_table;
#[cfg(feature = "embedded")]
pub mod embedded;
mod error;
mod expression;
mod get;
mod item;
mod key;
mod options;
mod recorder;
mod retry;
mod save;
mod schema;
mod send;
mod snapshot;
mod table;
mod target;
mod update;
mod verdict;
mod versioned;
mod write;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

pub use dynalock_derive::Versioned;

pub use versioned::Versioned;

pub use table::Table;

pub use get::Get;
pub use save::{Delete, Deleted, Write};
pub use update::{TryUpdate, Update, UpdateOrCreate};

pub use condition::Condition;
pub use retry::Retry;

pub use conflict::Conflict;
pub use error::{Error, Result, SdkFailure, Unknown};

pub use key::{IntoKey, PartitionAndSort};
pub use schema::{ClockVersion, VersionNumber};
pub use write::ConditionalWrite;
