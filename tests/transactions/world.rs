//! Accounts to move money between.

use aws_sdk_dynamodb::Client;
use dynalock::{Error, Table, Versioned};
use dynalock_tests::engines;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
pub(crate) struct Account {
    #[dynalock(partition_key)]
    pub(crate) id: String,
    pub(crate) balance: i64,
    #[dynalock(version)]
    pub(crate) version: u64,
}

/// Why a closure wants nothing written.
#[derive(Debug)]
pub(crate) enum Refused {
    NoAccount,
    Overdrawn,
    Store(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

pub(crate) fn account(id: &str, balance: i64) -> Account {
    Account { id: id.into(), balance, version: 0 }
}

/// A table with these accounts, and the client that reaches it.
pub(crate) async fn bank<const N: usize>(accounts: [(&str, i64); N]) -> (Client, Table<Account>) {
    let client = engines::client().await;
    let table = Table::<Account>::new(&client, engines::table_name());
    table.create_table().await.unwrap();
    for (id, balance) in accounts {
        table.create(&mut account(id, balance)).await.unwrap();
    }
    (client, table)
}
