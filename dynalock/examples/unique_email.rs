//! An e-mail address belongs to one user only, though users are stored under another key: a claim for each address, written
//! in one transaction with its user.
//!
//! `cargo run --example unique_email --features embedded`

mod common;

use std::error::Error;

use aws_sdk_dynamodb::Client;
use common::DynamoDb;
use dynalock::{Table, Versioned, transact};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Versioned)]
struct User {
    #[dynalock(partition_key)]
    id: String,
    email: String,
    #[dynalock(version)]
    version: u64,
}

/// The claim: DynamoDB has one item under a key, so an address has one owner.
#[derive(Serialize, Deserialize, Versioned)]
struct Email {
    #[dynalock(partition_key)]
    address: String,
    user: String,
    /// Addresses are given up and claimed again, so versions begin at the clock.
    #[dynalock(version, start = "clock")]
    version: u64,
}

/// Why a user is not signed up, or keeps the old address.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("the address {0} belongs to another user")]
    AddressTaken(String),
    #[error("there is a user {0} already")]
    UserExists(String),
    #[error("there is no user {0}")]
    NoUser(String),
    #[error(transparent)]
    Store(#[from] dynalock::Error),
}

/// How often the closure ran, and how it ended.
type Outcome = (u32, Result<(), Refused>);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let dynamodb = DynamoDb::chosen()?;
    println!("Users sign up with an address that nobody else has, on {}.\n", dynamodb.describe());
    let directory = Directory::create(dynamodb.client()).await?;

    println!("1. ann signs up with ann@example.com");
    told("ann", &directory.sign_up("ann", "ann@example.com").await);

    println!("\n2. ben signs up with the same address");
    told("ben", &directory.sign_up("ben", "ann@example.com").await);
    println!("   users: {}", directory.users(&["ann", "ben"]).await?);

    println!("\n3. cat and dan sign up with team@example.com at the same time: both find it free");
    let (cat, dan) = tokio::join!(
        directory.sign_up("cat", "team@example.com"),
        directory.sign_up("dan", "team@example.com"),
    );
    told("cat", &cat);
    told("dan", &dan);
    println!("   users: {}", directory.users(&["cat", "dan"]).await?);

    println!("\n4. ann changes to team@example.com, which is taken, then to ann@example.org");
    told("ann", &directory.change_address("ann", "team@example.com").await);
    told("ann", &directory.change_address("ann", "ann@example.org").await);

    println!("\n5. ben signs up with ann@example.com, which is free again");
    told("ben", &directory.sign_up("ben", "ann@example.com").await);
    println!("   users: {}", directory.users(&["ann", "ben"]).await?);

    directory.remove().await?;
    match (cat.1, dan.1) {
        (Ok(()), Err(Refused::AddressTaken(_))) | (Err(Refused::AddressTaken(_)), Ok(())) => Ok(()),
        other => Err(format!("one of two should have got the address, not {other:?}").into()),
    }
}

fn told(user: &str, (runs, ended): &Outcome) {
    let runs = if *runs == 1 { "1 run".into() } else { format!("{runs} runs") };
    match ended {
        Ok(()) => println!("   {user}: ok ({runs})"),
        Err(refused) => println!("   {user}: REFUSED, {refused} ({runs})"),
    }
}

/// Users and their addresses.
struct Directory {
    client: Client,
    users: Table<User>,
    emails: Table<Email>,
}

impl Directory {
    async fn create(client: Client) -> dynalock::Result<Self> {
        let users = Table::new(&client, "dynalock-unique-email-users");
        let emails = Table::new(&client, "dynalock-unique-email-emails");
        users.create_table().await?;
        emails.create_table().await?;
        Ok(Self { client, users, emails })
    }

    /// Creates the user and the claim to the address, or neither.
    async fn sign_up(&self, id: &str, address: &str) -> Outcome {
        let Self { client, users, emails } = self;
        let mut runs = 0;
        let sign_up = transact(client, |tx| {
            runs += 1;
            async move {
                // That nothing was found is checked again when both are created.
                if tx.get(users, id).await?.is_some() {
                    return Err(Refused::UserExists(id.into()));
                }
                if tx.get(emails, address).await?.is_some() {
                    return Err(Refused::AddressTaken(address.into()));
                }
                tx.create(users, User { id: id.into(), email: address.into(), version: 0 })?;
                tx.create(emails, Email { address: address.into(), user: id.into(), version: 0 })?;
                Ok(())
            }
        });
        let ended = sign_up.await;
        (runs, ended)
    }

    /// Gives the old claim up and makes the new one, together with the user.
    async fn change_address(&self, id: &str, address: &str) -> Outcome {
        let Self { client, users, emails } = self;
        let mut runs = 0;
        let change = transact(client, |tx| {
            runs += 1;
            async move {
                let mut user = tx.get(users, id).await?.ok_or_else(|| Refused::NoUser(id.into()))?;
                if user.email == address {
                    return Ok(());
                }
                if tx.get(emails, address).await?.is_some() {
                    return Err(Refused::AddressTaken(address.into()));
                }
                if let Some(claim) = tx.get(emails, &user.email).await? {
                    tx.delete(emails, claim)?;
                }
                tx.create(emails, Email { address: address.into(), user: id.into(), version: 0 })?;
                user.email = address.into();
                tx.save(users, user)?;
                Ok(())
            }
        });
        let ended = change.await;
        (runs, ended)
    }

    /// Who has which address.
    async fn users(&self, ids: &[&str]) -> dynalock::Result<String> {
        let users = self.users.get_many(ids.iter().copied()).await?;
        let found = users.into_iter().flatten().map(|user| format!("{} has {}", user.id, user.email));
        Ok(found.collect::<Vec<_>>().join(", "))
    }

    async fn remove(&self) -> Result<(), aws_sdk_dynamodb::Error> {
        for table in [self.users.name(), self.emails.name()] {
            self.client.delete_table().table_name(table).send().await?;
        }
        Ok(())
    }
}
