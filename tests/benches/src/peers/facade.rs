//! A loop around `dynamodb-facade`.

use aws_sdk_dynamodb::Client;
use dynamodb_facade::{
    Condition, DynamoDBError, KeyId, StringAttribute, Update, attribute_definitions, dynamodb_item,
    explicit_client::DynamoDBItemOp, table_definitions,
};
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::account::TABLE;
use crate::contender::{Adder, Answer};
use crate::peers::retried;

attribute_definitions! {
    /// The partition key.
    Id { "id": StringAttribute }
}

table_definitions! {
    /// The table of all contenders.
    Accounts {
        type PartitionKey = Id;
        fn table_name() -> String { TABLE.to_owned() }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Account {
    id: String,
    balance: i64,
    version: u64,
}

dynamodb_item! {
    #[table = Accounts]
    Account {
        #[partition_key]
        Id {
            fn attribute_id(&self) -> &'id str { &self.id }
            fn attribute_value(id) -> String { id.to_owned() }
        }
    }
}

/// The contender.
#[derive(Debug, Clone)]
pub struct Facade(Client);

impl Facade {
    /// A loop around `client`.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self(client.clone())
    }

    async fn attempt(&self, id: &str) -> Result<bool, Failure> {
        let read = Account::get(self.0.clone(), KeyId::pk(id)).consistent_read();
        let account = read.await.map_err(|error| error.to_string())?.ok_or("no account")?;
        let change =
            Update::set("balance", account.balance + 1).and(Update::set("version", account.version + 1));
        let write = Account::update_by_id(self.0.clone(), KeyId::pk(id), change)
            .condition(Condition::eq("version", account.version))
            .return_none();
        match write.await {
            Ok(()) => Ok(true),
            Err(error) => match error.as_dynamodb_error() {
                Some(DynamoDBError::ConditionalCheckFailedException(_)) => Ok(false),
                _ => Err(error.to_string().into()),
            },
        }
    }
}

impl Adder for Facade {
    async fn add(&self, id: &str) -> Result<Answer, Failure> {
        retried(|| self.attempt(id)).await
    }
}
