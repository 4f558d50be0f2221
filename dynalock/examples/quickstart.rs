//! The first steps: a versioned struct, a table, and every basic call.
//!
//! `cargo run --example quickstart --features embedded`

use dynalock::{Error, Table, Versioned};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, Versioned)]
struct Account {
    #[dynalock(partition_key)]
    id: String,
    balance: i64,
    #[dynalock(version)]
    version: u64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = dynalock::embedded::Engine::in_memory();
    let client = engine.client();
    let accounts = Table::<Account>::new(&client, "accounts");
    accounts.create_table().await?;
    let mut alice = Account { id: "alice".into(), balance: 100, version: 0 };
    accounts.create(&mut alice).await?;
    println!("{alice:?}");
    let mut alice = accounts.get("alice").await?.expect("exists");
    let mut stale = alice.clone();
    alice.balance -= 30;
    accounts.save(&mut alice).await?;
    println!("{alice:?}");
    match accounts.save(&mut stale).await {
        Err(Error::Conflict(c)) => println!("{c} {:?}", c.current::<Account>()?),
        other => println!("{other:?}"),
    }
    let alice = accounts.update("alice", |a| a.balance += 5).await?;
    println!("{alice:?}");
    println!("{:?}", accounts.get_many(["bob", "alice", "bob"]).await?);
    println!("{:?}", accounts.delete(&alice).await?);
    println!("{:?}", accounts.delete(&alice).await?);
    println!("{:?}", accounts.update("alice", |a| a.balance += 5).await);
    Ok(())
}
