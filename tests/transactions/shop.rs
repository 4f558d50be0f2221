//! Two tables of different structs, and a client that records what it sends.

use std::collections::HashMap;

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use dynalock::{Error, Table, Transaction, Versioned};
use dynalock_tests::{
    engines::{Store, table_name},
    recording::{Recording, Sent},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

type Item = HashMap<String, AttributeValue>;

/// Keeps write stamps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
pub(crate) struct Order {
    #[dynalock(partition_key)]
    pub(crate) id: String,
    pub(crate) total: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    #[dynalock(version)]
    pub(crate) version: u64,
}

/// Keeps none, has two key attributes, and counts its versions in its own way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
#[dynalock(stamps = 0)]
pub(crate) struct Line {
    #[dynalock(partition_key)]
    pub(crate) order: String,
    #[dynalock(sort_key)]
    pub(crate) number: u32,
    pub(crate) pieces: i64,
    #[serde(rename = "rev")]
    #[dynalock(version, start = 10, step = 5)]
    pub(crate) version: i64,
}

pub(crate) fn order(id: &str, version: u64) -> Order {
    Order { id: id.into(), total: 100, note: None, version }
}

pub(crate) fn line(number: u32, version: i64) -> Line {
    Line { order: "o".into(), number, pieces: 3, version }
}

pub(crate) struct Shop {
    /// The client under test, whose requests are recorded.
    pub(crate) client: Client,
    /// Another one, whose requests are not.
    pub(crate) rival: Client,
    pub(crate) orders: Table<Order>,
    pub(crate) lines: Table<Line>,
    recording: Recording,
}

impl Shop {
    /// Two empty tables on the chosen store.
    pub(crate) async fn new() -> Self {
        let store = Store::chosen();
        let recording = Recording::default();
        let client = store.client_through(&recording);
        let (orders, lines) = (Table::new(&client, table_name()), Table::new(&client, table_name()));
        orders.create_table().await.unwrap();
        lines.create_table().await.unwrap();
        let _ = recording.take();
        Self { client, rival: store.client(), orders, lines, recording }
    }

    pub(crate) fn transaction<'a>(&self) -> Transaction<'a> {
        Transaction::new(&self.client)
    }

    /// Stores items past the library.
    pub(crate) async fn put(&self, table: &str, items: impl IntoIterator<Item = Value>) {
        for item in items {
            let item: Item = serde_dynamo::to_item(item).unwrap();
            self.rival.put_item().table_name(table).set_item(Some(item)).send().await.unwrap();
        }
    }

    /// Everything in the table, past the library and in the order of the keys; write stamps only by their names.
    pub(crate) async fn stored(&self, table: &str) -> Vec<Value> {
        let scan = self.rival.scan().table_name(table).consistent_read(true).into_paginator().items().send();
        let items: Vec<Item> = scan.collect::<Result<_, _>>().await.unwrap();
        let mut items: Vec<Value> = items.into_iter().map(shown).collect();
        items.sort_by_key(|item| (item["id"].to_string(), item["number"].to_string()));
        items
    }

    /// Everything in both tables.
    pub(crate) async fn all(&self) -> [Vec<Value>; 2] {
        [self.stored(self.orders.name()).await, self.stored(self.lines.name()).await]
    }

    /// The requests since the last call.
    pub(crate) fn requests(&self) -> Vec<Sent> {
        self.recording.take()
    }

    /// The operations since the last call.
    pub(crate) fn operations(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| request.operation).collect()
    }

    /// The error of a commit that is refused before anything is sent.
    pub(crate) async fn refused_unsent(&self, transaction: Transaction<'_>) -> Error {
        let before = self.all().await;
        let error = transaction.commit().await.expect_err("it cannot be sent");
        assert_eq!(self.operations(), [""; 0], "{error}");
        assert_eq!(self.all().await, before);
        error
    }
}

fn shown(mut item: Item) -> Value {
    for (name, value) in &mut item {
        if name.starts_with("_stamp") {
            assert!(matches!(value, AttributeValue::B(bytes) if bytes.as_ref().len() == 16), "{value:?}");
            *value = AttributeValue::S("a stamp".into());
        }
    }
    serde_dynamo::from_item(item).unwrap()
}
