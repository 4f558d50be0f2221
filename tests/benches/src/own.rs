//! The contenders that use dynalock.

use aws_sdk_dynamodb::Client;
use dynalock::Table;

use crate::Failure;
use crate::account::{Account, TABLE};
use crate::contender::{Adder, Answer, BoxFuture, Contender};

async fn add(accounts: &Table<Account>, id: &str) -> Result<Answer, Failure> {
    match accounts.update(id, |account| account.balance += 1).await {
        Ok(_) => Ok(Answer::Added),
        Err(error) if error.is_conflict() => Ok(Answer::GaveUp),
        Err(error) => Err(error.into()),
    }
}

/// A table for each task, as if each were another application.
#[derive(Debug)]
pub struct Each {
    client: Client,
    accounts: Table<Account>,
}

impl Each {
    /// Makes the table of one task.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self { client: client.clone(), accounts: Table::new(client, TABLE) }
    }
}

impl Contender for Each {
    fn colleague(&self) -> Box<dyn Contender> {
        Box::new(Self::new(&self.client))
    }

    fn add<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Answer, Failure>> {
        Box::pin(add(&self.accounts, id))
    }
}

/// One table for all tasks of a process.
#[derive(Debug, Clone)]
pub struct Shared(Table<Account>);

impl Shared {
    /// A table whose callers take turns.
    #[must_use]
    pub fn queue(client: &Client) -> Self {
        Self(Table::new(client, TABLE))
    }

    /// A table whose callers share writes.
    #[must_use]
    pub fn coalescing(client: &Client) -> Self {
        Self(Table::new(client, TABLE).coalescing())
    }
}

impl Adder for Shared {
    async fn add(&self, id: &str) -> Result<Answer, Failure> {
        add(&self.0, id).await
    }
}
