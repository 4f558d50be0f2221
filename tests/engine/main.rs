//! The embedded engine answers like DynamoDB, and the clients that the tests put in front of it do what they say.

mod answers;
mod idle;
mod lifetime;
mod wrappers;

use aws_sdk_dynamodb::{
    Client,
    types::{
        AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    },
};

const TABLE: &str = "accounts";

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Makes a table with the partition key `id`.
async fn with_table(client: Client) -> Client {
    let id = AttributeDefinition::builder().attribute_name("id");
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash);
    client
        .create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(id.attribute_type(ScalarAttributeType::S).build().unwrap())
        .key_schema(key.build().unwrap())
        .send()
        .await
        .unwrap();
    client
}

/// Adds one to `n` of the item `alice`, whatever there is.
async fn add_one(client: &Client) -> Result<(), aws_sdk_dynamodb::Error> {
    client
        .update_item()
        .table_name(TABLE)
        .key("id", text("alice"))
        .update_expression("ADD n :one")
        .expression_attribute_values(":one", number(1))
        .send()
        .await?;
    Ok(())
}

/// Reads `n` of the item `alice`, or 0.
async fn count(client: &Client) -> i64 {
    let get = client.get_item().table_name(TABLE).key("id", text("alice")).consistent_read(true);
    let item = get.send().await.unwrap().item.unwrap_or_default();
    item.get("n").map_or(0, |n| n.as_n().unwrap().parse().unwrap())
}
