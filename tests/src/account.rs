//! The item of most tests: an account with a balance.

use dynalock::{Error, Versioned};
use serde::{Deserialize, Serialize};

/// An account. It keeps the default number of write stamps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
pub struct Account {
    /// Its partition key.
    #[dynalock(partition_key)]
    pub id: String,
    /// How much there is.
    pub balance: i64,
    /// Its version.
    #[dynalock(version)]
    pub version: u64,
}

impl Account {
    /// An account that is not stored yet.
    #[must_use]
    pub fn new(id: &str, balance: i64) -> Self {
        Self { id: id.into(), balance, version: 0 }
    }

    /// Alice's account, as it is once it is stored.
    #[must_use]
    pub fn alice() -> Self {
        Self { version: 1, ..Self::new("alice", 100) }
    }

    /// Bob's account, which is not stored yet.
    #[must_use]
    pub fn bob() -> Self {
        Self::new("bob", 7)
    }
}

/// Why a closure does not change an account.
#[derive(Debug)]
pub enum Refused {
    /// There is none.
    NoAccount,
    /// There is too little on it.
    Overdrawn,
    /// A call within the closure, or the call that ran it, failed.
    Failed(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}
