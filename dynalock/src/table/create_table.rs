//! The call `create_table`, which creates a table that fits the struct's keys.

use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableDescription,
    TableStatus,
};
use tokio::time::Instant;

use crate::error::{Error, Result};
use crate::item::invalid::Invalid;
use crate::item::key::FLOAT;
use crate::item::key_type;
use crate::item::schema::KeyAttribute;
use crate::send::budget::Budget;
use crate::send::sdk_call::{CallFailure, send_with};
use crate::table::Table;
use crate::versioned::{Versioned, schema};

/// The time between two looks at a table that is not active yet.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// The longest wait for a table to become active, which takes seconds.
const MAX_WAIT: Duration = Duration::from_mins(5);

impl<T: Versioned> Table<T> {
    /// Creates the table with the key attributes of `T`, billed per request, and waits until it is active. If the table exists
    /// already with the same key, the call succeeds.
    ///
    /// The call is meant for development and tests. Production tables have alarms, backups and policies, and belong in a
    /// deployment.
    ///
    /// # Errors
    ///
    /// - [`InvalidRequest`](crate::Error::InvalidRequest): a table of this name exists with another key, or the table is not
    ///   active after 5 minutes.
    /// - [`InvalidItem`](crate::Error::InvalidItem): the Rust type of a key field is a floating-point number, or does not
    ///   determine the DynamoDB type of the key.
    /// - [`Sdk`](crate::Error::Sdk): DynamoDB refused the request, or could not be reached.
    pub async fn create_table(&self) -> Result<()> {
        let keys = key_types::<T>().map_err(|invalid| self.invalid(invalid))?;
        let create = self.store().client.create_table();
        let create = create.table_name(self.name()).billing_mode(BillingMode::PayPerRequest);
        let create = keys.iter().fold(create, |create, (key, role, scalar)| {
            let element = KeySchemaElement::builder().attribute_name(key.name).key_type(role.clone()).build();
            let definition = AttributeDefinition::builder()
                .attribute_name(key.name)
                .attribute_type(scalar.clone())
                .build();
            match (element, definition) {
                (Ok(element), Ok(definition)) => create.key_schema(element).attribute_definitions(definition),
                // Every required member is set, so neither build fails.
                _ => create,
            }
        });
        let mut budget = Budget::start(self.retry());
        let call = self.store().call("CreateTable");
        let create = create.customize().config_override(call.config(&budget));
        match call.until(budget.deadline(), &mut budget, Box::pin(create.send())).await {
            Ok(_) => {}
            Err(CallFailure::Other(failure)) if failure.code() == Some("ResourceInUseException") => {}
            Err(failure) => return Err(call.error(failure)),
        }
        let begun = Instant::now();
        while begun.elapsed() < MAX_WAIT {
            if let Some(table) = self.describe().await? {
                self.check_key(&keys, &table)?;
                if table.table_status == Some(TableStatus::Active) {
                    return Ok(());
                }
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Err(self.invalid(Invalid::request("the table is not active after 5 minutes")))
    }

    /// Describes the table. Returns `None` if DynamoDB does not know it yet, as it may be for a moment after its creation.
    async fn describe(&self) -> Result<Option<TableDescription>> {
        let describe = self.store().client.describe_table().table_name(self.name());
        let send = |config| send_with!(config, describe.clone());
        let call = self.store().call("DescribeTable");
        match call.ask(&mut Budget::start(self.retry()), send).await {
            Err(Error::Sdk(failure)) if failure.code() == Some("ResourceNotFoundException") => Ok(None),
            output => Ok(output?.table),
        }
    }

    /// Refuses a table whose key differs from that of the struct.
    fn check_key(&self, keys: &[Key], table: &TableDescription) -> Result<()> {
        let found: Vec<_> = table
            .key_schema()
            .iter()
            .map(|element| {
                let mut definitions = table.attribute_definitions().iter();
                let scalar =
                    definitions.find(|definition| definition.attribute_name == element.attribute_name);
                let scalar = scalar.map_or("?", |definition| definition.attribute_type.as_str());
                format!("{} {} ({scalar})", element.key_type.as_str(), element.attribute_name)
            })
            .collect();
        let expected: Vec<_> = keys
            .iter()
            .map(|(key, role, scalar)| format!("{} {} ({})", role.as_str(), key.name, scalar.as_str()))
            .collect();
        if found == expected {
            return Ok(());
        }
        let found = found.join(", ");
        let expected = expected.join(", ");
        let name = schema::<T>().name;
        let problem = format!("the table exists with the key {found}, but `{name}` needs {expected}");
        Err(self.invalid(Invalid::request(problem)))
    }
}

type Key = (&'static KeyAttribute, KeyType, ScalarAttributeType);

/// The key attributes of the struct, each with its role in the key and its DynamoDB type.
fn key_types<T: Versioned>() -> Result<Vec<Key>, Invalid> {
    let roles = [KeyType::Hash, KeyType::Range];
    schema::<T>()
        .key_attributes()
        .zip(roles)
        .map(|(key, role)| match (key.scalar_type)() {
            key_type::KeyType::Scalar(scalar) => Ok((key, role, scalar)),
            key_type::KeyType::Float => Err(Invalid::item(key.name, FLOAT)),
            key_type::KeyType::Unknown => {
                let problem = "the type of this key does not say whether it is a string, a number or bytes; \
                               create the table without `create_table`";
                Err(Invalid::item(key.name, problem))
            }
        })
        .collect()
}
