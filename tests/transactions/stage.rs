//! A store whose client records what it sends, and a rival whose client doesn't.

use aws_sdk_dynamodb::Client;
use dynalock::{Table, Versioned};
use dynalock_tests::{
    engines::{Store, table_name},
    recording::{Recording, Sent},
};
use serde_json::Value;

use crate::accounts::Account;

pub(crate) struct Stage {
    /// The client under test, of which everything is recorded.
    pub(crate) client: Client,
    /// Accounts, as the client under test reaches them.
    pub(crate) accounts: Table<Account>,
    /// The same, as another application reaches them.
    pub(crate) rival: Table<Account>,
    rivals_client: Client,
    recording: Recording,
}

impl Stage {
    /// A stage on the chosen store, with a table of these accounts.
    pub(crate) async fn with<const N: usize>(balances: [(&str, i64); N]) -> Self {
        let store = Store::chosen();
        let recording = Recording::default();
        let client = store.client_through(&recording);
        let (rivals_client, name) = (store.client(), table_name());
        let (accounts, rival) = (Table::new(&client, &name), Table::<Account>::new(&rivals_client, &name));
        rival.create_table().await.unwrap();
        for (id, balance) in balances {
            rival.create(&mut Account::new(id, balance)).await.unwrap();
        }
        Self { client, accounts, rival, rivals_client, recording }
    }

    /// The same table as one of other items.
    pub(crate) fn table<T: Versioned>(&self) -> Table<T> {
        Table::new(&self.client, self.accounts.name())
    }

    /// Stores an item past the library.
    pub(crate) async fn put(&self, item: Value) {
        let item = serde_dynamo::to_item(item).unwrap();
        let put = self.rivals_client.put_item().table_name(self.accounts.name());
        put.set_item(Some(item)).send().await.unwrap();
    }

    /// What is stored under `id`, without write stamps; `null` if there is nothing.
    pub(crate) async fn stored(&self, id: &str) -> Value {
        let key = serde_dynamo::to_item(serde_json::json!({ "id": id })).unwrap();
        let get = self.rivals_client.get_item().table_name(self.accounts.name());
        let Some(mut item) = get.set_key(Some(key)).consistent_read(true).send().await.unwrap().item else {
            return Value::Null;
        };
        item.retain(|name, _| !name.starts_with("_stamp"));
        serde_dynamo::from_item(item).unwrap()
    }

    /// The requests since the last call, each in one line; see [`told`].
    pub(crate) fn sent(&self) -> Vec<String> {
        self.recording.take().iter().map(told).collect()
    }
}

/// A request in one line, such as `TransactWriteItems: Update alice IF version=1, ConditionCheck bob IF version=7`.
///
/// Panics if a read is not strongly consistent.
fn told(sent: &Sent) -> String {
    let Sent { operation, body, .. } = sent;
    let Some(actions) = body["TransactItems"].as_array() else {
        assert!(operation != "GetItem" || body["ConsistentRead"] == true, "an eventually consistent read");
        return told_action(operation, body);
    };
    let actions = actions.iter().flat_map(|action| action.as_object().unwrap());
    let actions: Vec<_> = actions.map(|(kind, action)| told_action(kind, action)).collect();
    format!("{operation}: {}", actions.join(", "))
}

fn told_action(kind: &str, action: &Value) -> String {
    let item = if action["Key"].is_null() { &action["Item"] } else { &action["Key"] };
    let Some(id) = item["id"]["S"].as_str() else { return kind.to_owned() };
    let Some(condition) = action["ConditionExpression"].as_str() else { return format!("{kind} {id}") };
    let mut condition = condition.to_owned();
    let placeholders = ["ExpressionAttributeNames", "ExpressionAttributeValues"];
    for (placeholder, meaning) in
        placeholders.iter().filter_map(|stand_ins| action[stand_ins].as_object()).flatten()
    {
        let meaning = meaning.as_str().or_else(|| meaning["N"].as_str()).or_else(|| meaning["S"].as_str());
        condition = condition.replace(placeholder, meaning.unwrap_or_default());
    }
    format!("{kind} {id} IF {condition}")
}
