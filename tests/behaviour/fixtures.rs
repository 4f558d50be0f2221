//! What the tests share: a struct, a table on the chosen store, and a way to tell what was sent.

use std::{collections::HashMap, fmt::Debug};

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use dynalock::testing::Faults;
use dynalock::{Condition, Error, Result, Table, Versioned};
use dynalock_tests::{
    engines::{self, Store},
    middleware::Middleware,
    recording::{Recording, Sent},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::wire::Wire;

pub(crate) type Item = HashMap<String, AttributeValue>;

/// Has no write stamps, so that each request is the same whenever it is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
#[dynalock(stamps = 0)]
pub(crate) struct Account {
    #[dynalock(partition_key)]
    pub(crate) id: String,
    pub(crate) balance: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    #[dynalock(version)]
    pub(crate) version: u64,
}

/// Alice's account at `version`, as [`stored`] stores it.
pub(crate) fn alice(version: u64) -> Account {
    Account { id: "alice".into(), balance: 100, note: None, version }
}

/// A store with a table, and a client of it that records what it sends.
pub(crate) struct Stage {
    /// The client under test: recorded, then struck by `faults`, then `wire`.
    pub(crate) client: Client,
    /// Another client, of which nothing is recorded.
    pub(crate) rival: Client,
    pub(crate) faults: Faults,
    pub(crate) wire: Wire,
    /// The name of the table.
    pub(crate) name: String,
    recording: Recording,
}

impl Stage {
    /// A stage on `store`, without a table.
    pub(crate) fn on(store: &Store) -> Self {
        let (wire, recording) = (Wire::default(), Recording::default());
        let faults = Faults::new(wire.wrap(store.http_client()));
        let config = store.config().http_client(recording.wrap(faults.clone()));
        let client = Client::from_conf(config.build());
        Self { client, rival: store.client(), faults, wire, name: engines::table_name(), recording }
    }

    /// A table for `T` on the chosen store.
    pub(crate) async fn of<T: Versioned>() -> (Self, Table<T>) {
        Self::of_on(&Store::chosen()).await
    }

    /// The same on the embedded engine, for tests that stop the clock.
    pub(crate) async fn of_in_memory<T: Versioned>() -> (Self, Table<T>) {
        Self::of_on(&Store::memory()).await
    }

    pub(crate) async fn of_on<T: Versioned>(store: &Store) -> (Self, Table<T>) {
        let stage = Self::on(store);
        Table::<T>::new(&stage.rival, &stage.name).create_table().await.unwrap();
        let table = stage.table();
        (stage, table)
    }

    /// The table, reached with the client under test.
    pub(crate) fn table<T: Versioned>(&self) -> Table<T> {
        Table::new(&self.client, &self.name)
    }

    /// The table, reached with the other client.
    pub(crate) fn rival_table<T: Versioned>(&self) -> Table<T> {
        Table::new(&self.rival, &self.name)
    }

    /// Stores an item past the library: JSON strings, numbers and so on, or attributes of DynamoDB.
    pub(crate) async fn put(&self, item: impl Into<Attributes>) {
        put(&self.rival, &self.name, item).await;
    }

    /// Deletes an item past the library.
    pub(crate) async fn remove(&self, key: Value) {
        remove(&self.rival, &self.name, key).await;
    }

    /// Lets another application store `item` before the next `operation`.
    pub(crate) fn put_before(&self, operation: &'static str, item: Value) {
        let (rival, name) = (self.rival.clone(), self.name.clone());
        self.wire.before(operation, async move { put(&rival, &name, item).await });
    }

    /// Lets another application delete the item with this key before the next `operation`.
    pub(crate) fn remove_before(&self, operation: &'static str, key: Value) {
        let (rival, name) = (self.rival.clone(), self.name.clone());
        self.wire.before(operation, async move { remove(&rival, &name, key).await });
    }

    /// The item with this key, past the library.
    pub(crate) async fn stored(&self, key: Value) -> Option<Item> {
        let Attributes(key) = key.into();
        let get = self.rival.get_item().table_name(&self.name).set_key(Some(key)).consistent_read(true);
        get.send().await.unwrap().item
    }

    /// What is stored for `alice`, as JSON; `null` if there is nothing.
    pub(crate) async fn stored_alice(&self) -> Value {
        let item = self.stored(serde_json::json!({ "id": "alice" })).await;
        item.map_or(Value::Null, |item| serde_dynamo::from_item(item).unwrap())
    }

    /// The requests since the last call, each in one line; see [`told`].
    pub(crate) fn sent(&self) -> Vec<String> {
        self.requests().iter().map(|request| told(request, &self.name)).collect()
    }

    /// The requests since the last call.
    pub(crate) fn requests(&self) -> Vec<Sent> {
        self.recording.take()
    }

    /// The operations since the last call.
    pub(crate) fn operations(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| request.operation).collect()
    }
}

/// An item, or a key.
pub(crate) struct Attributes(pub(crate) Item);

impl From<Value> for Attributes {
    fn from(json: Value) -> Self {
        Self(serde_dynamo::to_item(json).unwrap())
    }
}

impl From<Item> for Attributes {
    fn from(item: Item) -> Self {
        Self(item)
    }
}

pub(crate) async fn put(client: &Client, table: &str, item: impl Into<Attributes>) {
    let Attributes(item) = item.into();
    client.put_item().table_name(table).set_item(Some(item)).send().await.unwrap();
}

async fn remove(client: &Client, table: &str, key: Value) {
    let Attributes(key) = key.into();
    client.delete_item().table_name(table).set_key(Some(key)).send().await.unwrap();
}

pub(crate) fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

#[allow(clippy::needless_pass_by_value)] // what counts is that a test can be read
pub(crate) fn number(digits: impl ToString) -> AttributeValue {
    AttributeValue::N(digits.to_string())
}

/// The error of a write, which leaves the caller's object as it was.
pub(crate) async fn refused<T, O>(object: &mut T, write: impl AsyncFnOnce(&mut T) -> Result<O>) -> Error
where
    T: Clone + PartialEq + Debug,
    O: Debug,
{
    let before = object.clone();
    let error = write(object).await.expect_err("the write is refused");
    assert_eq!(*object, before, "the object has changed, but the write failed with {error}");
    error
}

/// The writes that check the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Save,
    Replace,
    Touch,
}

impl Call {
    pub(crate) const ALL: [Self; 3] = [Self::Save, Self::Replace, Self::Touch];

    pub(crate) async fn of<T: Versioned>(self, table: &Table<T>, object: &mut T) -> Result<()> {
        match self {
            Self::Save => table.save(object).await,
            Self::Replace => table.replace(object).await,
            Self::Touch => table.touch(object).await,
        }
    }

    pub(crate) async fn with<T: Versioned>(
        self,
        table: &Table<T>,
        object: &mut T,
        condition: Condition,
    ) -> Result<()> {
        match self {
            Self::Save => table.save(object).condition(condition).await,
            Self::Replace => table.replace(object).condition(condition).await,
            Self::Touch => table.touch(object).condition(condition).await,
        }
    }
}

/// A request in one line, such as `UpdateItem {id: "alice"} SET version=2 IF version=1`: every placeholder is replaced by
/// what it stands for.
///
/// Panics on anything the line doesn't show: another table, another parameter, a placeholder that stands for nothing or
/// is not used, and a conditional write that doesn't ask for the stored item.
pub(crate) fn told(sent: &Sent, table: &str) -> String {
    let mut body = sent.body.as_object().expect("an object").clone();
    assert_eq!(body.remove("TableName").expect("a table"), table);
    let mut take = |name: &str| body.remove(name);
    let mut placeholders = HashMap::new();
    for (placeholder, name) in object(take("ExpressionAttributeNames")) {
        placeholders.insert(placeholder, name.as_str().expect("a name").to_owned());
    }
    for (placeholder, value) in object(take("ExpressionAttributeValues")) {
        placeholders.insert(placeholder, short(&value));
    }
    let mut unused: Vec<String> = placeholders.keys().cloned().collect();
    let mut resolved = |expression: Value| resolve(expression.as_str().unwrap(), &placeholders, &mut unused);

    let mut line = vec![sent.operation.clone()];
    for parameter in ["Key", "Item"] {
        if let Some(item) = take(parameter) {
            line.push(short_item(&object(Some(item))));
        }
    }
    if let Some(expression) = take("UpdateExpression") {
        line.push(resolved(expression));
    }
    if let Some(expression) = take("ConditionExpression") {
        line.push(format!("IF {}", resolved(expression)));
        assert_eq!(take("ReturnValuesOnConditionCheckFailure").expect("asks for the item"), "ALL_OLD");
    }
    if let Some(consistent) = take("ConsistentRead") {
        line.push(if consistent == true { "consistently" } else { "eventually" }.to_owned());
    }
    let line = line.join(" ");
    assert_eq!(unused, [""; 0], "unused placeholders in {line}");
    assert!(body.is_empty(), "{line} has other parameters: {body:?}");
    line
}

fn object(json: Option<Value>) -> serde_json::Map<String, Value> {
    json.map(|json| json.as_object().expect("an object").clone()).unwrap_or_default()
}

fn resolve(expression: &str, placeholders: &HashMap<String, String>, unused: &mut Vec<String>) -> String {
    let mut resolved = String::new();
    let mut rest = expression;
    while let Some(start) = rest.find(['#', ':']) {
        let inside = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let length = rest[start + 1..].find(|c| !inside(c)).unwrap_or(rest.len() - start - 1);
        let placeholder = &rest[start..=start + length];
        resolved += &rest[..start];
        resolved +=
            placeholders.get(placeholder).unwrap_or_else(|| panic!("no {placeholder} in {expression}"));
        unused.retain(|unused| unused != placeholder);
        rest = &rest[start + length + 1..];
    }
    resolved + rest
}

fn short_item(item: &serde_json::Map<String, Value>) -> String {
    let mut attributes: Vec<_> =
        item.iter().map(|(name, value)| format!("{name}: {}", short(value))).collect();
    attributes.sort();
    format!("{{{}}}", attributes.join(", "))
}

/// A value of DynamoDB's JSON in short.
fn short(value: &Value) -> String {
    let (kind, inner) = value.as_object().and_then(|value| value.iter().next()).expect("a typed value");
    match kind.as_str() {
        "S" | "BOOL" => inner.to_string(),
        "N" => inner.as_str().unwrap().to_owned(),
        "NULL" => "NULL".to_owned(),
        _ => value.to_string(),
    }
}
