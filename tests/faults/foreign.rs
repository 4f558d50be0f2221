//! Writers that know nothing of stamps: they raise the version by themselves, through the plain SDK.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::world::World;

pub(crate) type Item = HashMap<String, AttributeValue>;

pub(crate) fn number(number: i64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// A client of the world's store that never fails.
pub(crate) struct Foreign(Client);

impl Foreign {
    pub(crate) fn of(world: &World) -> Self {
        Self(world.store.client())
    }

    /// The stored item, every attribute included.
    pub(crate) async fn item(&self, id: &str) -> Option<Item> {
        let get = self.0.get_item().table_name("accounts").key("id", AttributeValue::S(id.into()));
        Box::pin(get.consistent_read(true).send()).await.unwrap().item
    }

    pub(crate) async fn version(&self, id: &str) -> i64 {
        let item = self.item(id).await.unwrap();
        item["version"].as_n().unwrap().parse().unwrap()
    }

    pub(crate) async fn put(&self, item: Item) {
        let put = self.0.put_item().table_name("accounts").set_item(Some(item));
        Box::pin(put.send()).await.unwrap();
    }

    /// Puts an item back that holds what a mapper's class knows, and so drops the slots.
    pub(crate) async fn put_known(&self, id: &str, balance: i64, version: i64) {
        let id = ("id".to_owned(), AttributeValue::S(id.into()));
        let (balance, version) = (("balance".into(), number(balance)), ("version".into(), number(version)));
        self.put(Item::from([id, balance, version])).await;
    }

    /// Adds to the balance and to the version of what is stored, and keeps every other attribute.
    pub(crate) async fn add(&self, id: &str, balance: i64, versions: i64) {
        let update = self.0.update_item().table_name("accounts").key("id", AttributeValue::S(id.into()));
        let update = update.update_expression("ADD balance :b, version :v");
        let update = update.expression_attribute_values(":b", number(balance));
        let update = update.expression_attribute_values(":v", number(versions));
        Box::pin(update.send()).await.unwrap();
    }
}
