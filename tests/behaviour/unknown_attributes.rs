//! Attributes that a struct doesn't know, and attributes that it knows but leaves out.

use std::collections::BTreeMap;

use dynalock::{Error, Table, Versioned};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::fixtures::{Account, Stage, alice};

/// Alice's account, as a newer application has stored it.
fn newer() -> Value {
    json!({ "id": "alice", "balance": 100, "note": "old", "version": 1, "colour": "red", "tags": { "a": [1] } })
}

async fn stage<T: Versioned>() -> (Stage, Table<T>) {
    let (stage, table) = Stage::of::<T>().await;
    stage.put(newer()).await;
    (stage, table)
}

#[tokio::test]
async fn a_save_keeps_unknown_attributes_and_removes_what_serde_left_out() {
    let (stage, accounts) = stage().await;
    accounts.save(&mut alice(1)).await.unwrap();
    let stored =
        json!({ "id": "alice", "balance": 100, "version": 2, "colour": "red", "tags": { "a": [1] } });
    assert_eq!(stage.stored_alice().await, stored);
}

#[tokio::test]
async fn a_touch_keeps_every_attribute() {
    let (stage, accounts) = stage().await;
    accounts.touch(&mut alice(1)).await.unwrap();
    let mut stored = newer();
    stored["version"] = json!(2);
    assert_eq!(stage.stored_alice().await, stored);
}

#[tokio::test]
async fn an_update_keeps_unknown_attributes_and_what_did_not_change() {
    let (stage, accounts) = stage().await;
    accounts.update("alice", |account: &mut Account| account.balance = 7).await.unwrap();
    let mut stored = newer();
    stored["version"] = json!(2);
    stored["balance"] = json!(7);
    assert_eq!(stage.stored_alice().await, stored);
}

#[tokio::test]
async fn a_replace_drops_unknown_attributes() {
    let (stage, accounts) = stage().await;
    accounts.replace(&mut alice(1)).await.unwrap();
    assert_eq!(stage.stored_alice().await, json!({ "id": "alice", "balance": 100, "version": 2 }));
}

#[tokio::test]
async fn an_update_does_not_write_defaults_that_it_filled_in() {
    #[derive(Serialize, Deserialize, Versioned)]
    #[dynalock(stamps = 0)]
    struct Older {
        #[dynalock(partition_key)]
        id: String,
        balance: i64,
        #[serde(default)]
        limit: u32,
        #[dynalock(version)]
        version: u64,
    }

    let (stage, accounts) = stage().await;
    let account = accounts.update("alice", |account: &mut Older| account.balance = 7).await.unwrap();
    assert_eq!((account.id.as_str(), account.limit), ("alice", 0));
    assert_eq!(stage.stored_alice().await["limit"], Value::Null, "nothing was stored for it");
    accounts.update("alice", |account: &mut Older| account.limit = 9).await.unwrap();
    assert_eq!(stage.stored_alice().await["limit"], 9);
}

/// Knows the rest as it comes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
#[dynalock(stamps = 0)]
struct Open {
    #[dynalock(partition_key)]
    id: String,
    balance: i64,
    #[dynalock(version)]
    version: u64,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[tokio::test]
async fn a_flattened_map_holds_the_rest_of_the_item() {
    let (stage, accounts) = stage::<Open>().await;
    let account = accounts.get("alice").await.unwrap().unwrap();
    assert_eq!((account.balance, account.version), (100, 1));
    let rest = json!({ "note": "old", "colour": "red", "tags": { "a": [1] } });
    assert_eq!(serde_json::to_value(&account.rest).unwrap(), rest);

    let mut account = account;
    accounts.save(&mut account).await.unwrap();
    let mut stored = newer();
    stored["version"] = json!(2);
    assert_eq!(stage.stored_alice().await, stored);
}

#[tokio::test]
async fn an_update_removes_entries_that_were_taken_out_of_a_flattened_map() {
    let (stage, accounts) = stage::<Open>().await;
    let change = |account: &mut Open| {
        account.rest.remove("colour");
        account.rest.insert("shape".into(), json!("round"));
    };
    accounts.update("alice", change).await.unwrap();
    assert_eq!(
        stage.sent()[1],
        r#"UpdateItem {id: "alice"} SET version=2,shape="round" REMOVE colour IF version=1"#
    );
    let stored = json!({
        "id": "alice", "balance": 100, "note": "old", "version": 2, "shape": "round", "tags": { "a": [1] },
    });
    assert_eq!(stage.stored_alice().await, stored);
}

/// As its documentation says.
#[tokio::test]
async fn a_save_does_not_see_that_an_entry_is_missing_from_a_flattened_map() {
    let (stage, accounts) = stage::<Open>().await;
    let mut account = accounts.get("alice").await.unwrap().unwrap();
    account.rest.remove("colour");
    accounts.save(&mut account).await.unwrap();
    assert_eq!(stage.stored_alice().await["colour"], "red");
    accounts.replace(&mut account).await.unwrap();
    assert_eq!(stage.stored_alice().await["colour"], Value::Null);
}

#[tokio::test]
async fn a_flattened_entry_cannot_take_the_place_of_a_field() {
    let (stage, accounts) = stage::<Open>().await;
    for name in ["version", "id", "balance"] {
        let mut account = accounts.get("alice").await.unwrap().unwrap();
        account.rest.insert(name.into(), json!(5));
        let _ = stage.sent();
        let error = accounts.save(&mut account).await.unwrap_err();
        assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
        assert!(error.to_string().contains(accounts.name()), "{error}");
        assert_eq!(stage.operations(), [""; 0]);
    }
}

#[tokio::test]
async fn a_struct_that_denies_unknown_fields_reads_and_writes() {
    #[derive(Debug, Serialize, Deserialize, Versioned)]
    #[serde(deny_unknown_fields)]
    struct Strict {
        #[dynalock(partition_key)]
        id: String,
        balance: i64,
        #[dynalock(version)]
        version: u64,
    }

    let (stage, accounts) = Stage::of::<Strict>().await;
    accounts.create(&mut Strict { id: "alice".into(), balance: 1, version: 0 }).await.unwrap();
    let mut account = accounts.get("alice").await.unwrap().unwrap();
    assert_eq!((account.balance, account.version), (1, 1));
    accounts.save(&mut account).await.unwrap();
    let account = accounts.update("alice", |account| account.balance = 2).await.unwrap();
    assert_eq!((account.id.as_str(), account.balance, account.version), ("alice", 2, 3));

    // Write stamps of another application are no unknown fields.
    let stamp = aws_sdk_dynamodb::primitives::Blob::new([7; 16]);
    let item = json!({ "id": "alice", "balance": 2 });
    let crate::fixtures::Attributes(mut item) = item.into();
    item.insert("_stamp0".into(), aws_sdk_dynamodb::types::AttributeValue::B(stamp.clone()));
    item.insert("_stamp31".into(), aws_sdk_dynamodb::types::AttributeValue::B(stamp));
    stage.put(item.clone()).await;
    assert_eq!(
        accounts.get("alice").await.unwrap().unwrap().version,
        0,
        "a missing version is no missing field"
    );

    item.insert("_stamp32".into(), crate::fixtures::text("no stamp"));
    stage.put(item).await;
    let error = accounts.get("alice").await.unwrap_err();
    let Error::InvalidItem { table, attribute, .. } = &error else { panic!("{error:?}") };
    assert_eq!((&**table, &**attribute), (accounts.name(), "_stamp32"));
}
