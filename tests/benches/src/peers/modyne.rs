//! A loop around `modyne`.

use aws_sdk_dynamodb::Client;
use modyne::keys::{FullKey, Key, KeyDefinition, PrimaryKey, PrimaryKeyDefinition};
use modyne::{Entity, EntityDef, EntityExt, ProjectionExt, expr};
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::account::TABLE;
use crate::contender::{Adder, Answer};
use crate::peers::retried;

/// The contender, which is what this crate calls a table.
#[derive(Debug, Clone)]
pub struct Modyne(Client);

impl modyne::Table for Modyne {
    type PrimaryKey = Id;
    type IndexKeys = ();

    fn table_name(&self) -> &str {
        TABLE
    }

    fn client(&self) -> &Client {
        &self.0
    }
}

/// The key of an account.
#[derive(Debug, Serialize)]
pub struct Id {
    id: String,
}

impl PrimaryKey for Id {
    const PRIMARY_KEY_DEFINITION: PrimaryKeyDefinition =
        PrimaryKeyDefinition { hash_key: "id", range_key: None };
}

impl Key for Id {
    const DEFINITION: KeyDefinition = <Self as PrimaryKey>::PRIMARY_KEY_DEFINITION.into_key_definition();
}

#[derive(Debug, Serialize, Deserialize, EntityDef)]
struct Account {
    id: String,
    balance: i64,
    version: u64,
}

impl Entity for Account {
    type KeyInput<'a> = &'a str;
    type Table = Modyne;
    type IndexKeys = ();

    fn primary_key(id: &str) -> Id {
        Id { id: id.to_owned() }
    }

    fn full_key(&self) -> FullKey<Id, ()> {
        FullKey { primary: Self::primary_key(&self.id), indexes: () }
    }
}

impl Modyne {
    /// A loop around `client`.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self(client.clone())
    }

    async fn attempt(&self, id: &str) -> Result<bool, Failure> {
        let read = Account::get(id).execute_with_consistency(self, true).await?;
        let account = Account::from_item(read.item.ok_or("no account")?)?;
        let change = expr::Update::new("SET balance = :balance, version = :version")
            .value(":balance", account.balance + 1)
            .value(":version", account.version + 1);
        let unchanged = expr::Condition::new("version = :expected").value(":expected", account.version);
        match Account::update(id).expression(change).condition(unchanged).execute(self).await {
            Ok(_) => Ok(true),
            Err(error) => {
                let error = modyne::Error::from(error);
                if error.is_conditional_check_failed_exception() { Ok(false) } else { Err(error.into()) }
            }
        }
    }
}

impl Adder for Modyne {
    async fn add(&self, id: &str) -> Result<Answer, Failure> {
        retried(|| self.attempt(id)).await
    }
}
