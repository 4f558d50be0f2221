//! The first steps with dynalock: a versioned struct, a table, and every basic call.
//!
//! `cargo run --example quickstart --features embedded`

mod common;

use std::error::Error;

use common::DynamoDb;
use dynalock::{Deleted, Table, Versioned};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, Versioned)]
struct Account {
    #[dynalock(partition_key)]
    id: String,
    balance: i64,
    #[dynalock(version)]
    version: u64,
}

/// Why an account says no. `From<dynalock::Error>` lets `try_update` return either.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("the account has only {0}")]
    Overdrawn(i64),
    #[error(transparent)]
    Store(#[from] dynalock::Error),
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let dynamodb = DynamoDb::chosen()?;
    println!("running on {}\n", dynamodb.describe());

    let client = dynamodb.client();
    let accounts = Table::<Account>::new(&client, "dynalock-quickstart");
    accounts.create_table().await?;

    let mut alice = Account { id: "alice".into(), balance: 100, version: 0 };
    accounts.create(&mut alice).await?;
    println!("created           {alice:?}");

    // Two readers hold the same version.
    let mut alice = accounts.get("alice").await?.ok_or("alice is gone")?;
    let mut stale = alice.clone();

    alice.balance -= 30;
    accounts.save(&mut alice).await?;
    println!("saved             {alice:?}");

    // The slower one is refused, and learns what is stored now. Its own object is as it was.
    stale.balance += 1000;
    match accounts.save(&mut stale).await {
        Err(dynalock::Error::Conflict(conflict)) => {
            let theirs: Account = conflict.current()?;
            println!("refused           expected version {}, found {theirs:?}", conflict.expected());
        }
        other => return Err(format!("the stale write should be refused, not {other:?}").into()),
    }

    // `update` reads, changes and writes, and does so again when another writer was faster.
    let alice = accounts.update("alice", |account| account.balance += 5).await?;
    println!("updated           {alice:?}");

    // `try_update` may refuse; then nothing is written.
    let withdrawal = accounts.try_update("alice", |account| {
        if account.balance < 500 {
            return Err(Refused::Overdrawn(account.balance));
        }
        account.balance -= 500;
        Ok(())
    });
    if let Err(refused) = withdrawal.await {
        println!("refused           {refused}");
    }

    match accounts.delete(&alice).await? {
        Deleted::Now => println!("deleted           alice, at version {}", alice.version),
        Deleted::AlreadyGone => println!("deleted           by somebody else"),
        Deleted::NowOrBefore => {
            println!("deleted           by this call or by somebody else: a reply was lost");
        }
    }
    println!("read again        {:?}", accounts.get("alice").await?);

    client.delete_table().table_name(accounts.name()).send().await?;
    Ok(())
}
