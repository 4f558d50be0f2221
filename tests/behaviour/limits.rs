//! What is too large, and what only looks so.

use std::collections::BTreeMap;

use dynalock::{Condition, Error, Table, Versioned};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::fixtures::{Account, Call, Stage, alice, refused};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
#[dynalock(stamps = 0)]
struct Open {
    #[dynalock(partition_key)]
    id: String,
    #[dynalock(version)]
    version: u64,
    #[serde(flatten)]
    rest: BTreeMap<String, i64>,
}

fn open(attributes: i64) -> Open {
    let rest = (0..attributes).map(|number| (format!("a{number}"), number)).collect();
    Open { id: "alice".into(), version: 1, rest }
}

fn is_named(error: &Error, table: &str, words: &str) {
    let Error::InvalidRequest { table: named, problem } = error else { panic!("{error:?}") };
    assert_eq!(&**named, table);
    assert!(problem.contains(words), "{problem}");
    assert!(error.to_string().contains(table), "{error}");
}

#[tokio::test]
async fn an_item_over_400_kb_is_refused_before_sending() {
    let (stage, accounts) = Stage::of::<Account>().await;
    stage.put(json!({ "id": "alice", "balance": 100, "version": 1 })).await;
    let mut account = Account { note: Some("x".repeat(400 * 1024)), ..alice(1) };
    for call in [Call::Save, Call::Replace] {
        let error = refused(&mut account, async |account| call.of(&accounts, account).await).await;
        is_named(&error, accounts.name(), "400 KB");
    }
    let error = refused(&mut account, async |account| accounts.create(account).await).await;
    is_named(&error, accounts.name(), "400 KB");
    assert_eq!(stage.operations(), [""; 0]);

    let note = account.note.take();
    let error = accounts.update("alice", |account| account.note.clone_from(&note)).await.unwrap_err();
    is_named(&error, accounts.name(), "400 KB");
    let fresh = || Account { id: "bob".into(), note: note.clone(), ..alice(0) };
    let error = accounts.update_or_create("bob", fresh, |_| {}).await.unwrap_err();
    is_named(&error, accounts.name(), "400 KB");
    assert_eq!(stage.operations(), ["GetItem", "GetItem"]);
}

#[tokio::test]
async fn an_item_just_under_400_kb_is_stored() {
    let (_stage, accounts) = Stage::of::<Account>().await;
    let mut account = Account { note: Some("x".repeat(400 * 1024 - 100)), ..alice(0) };
    accounts.create(&mut account).await.unwrap();
    accounts.save(&mut account).await.unwrap();
    accounts.replace(&mut account).await.unwrap();
    assert_eq!(account.version, 3);
}

/// DynamoDB stores a number by its significant digits, so that the zeros at its end take no space:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
#[tokio::test]
async fn an_item_of_round_numbers_is_not_taken_for_larger_than_it_is() {
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
    struct Series {
        #[dynalock(partition_key)]
        id: String,
        points: Vec<u64>,
        #[dynalock(version)]
        version: u64,
    }

    let (_stage, table) = Stage::of::<Series>().await;
    let points = vec![10_000_000_000_000_000_000; 50_000];
    let mut series = Series { id: "a".into(), points, version: 0 };
    table.create(&mut series).await.unwrap();
    table.save(&mut series).await.unwrap();
    assert_eq!(series.version, 2);
}

/// What other applications have stored in the item is known to the store alone.
#[tokio::test]
async fn an_item_that_grows_over_400_kb_in_the_store_is_dynamodbs_error() {
    let (stage, accounts) = Stage::of::<Account>().await;
    let other = "y".repeat(300 * 1024);
    stage.put(json!({ "id": "alice", "balance": 100, "version": 1, "other": other })).await;
    let mut account = Account { note: Some("x".repeat(150 * 1024)), ..alice(1) };
    let error = refused(&mut account, async |account| accounts.save(account).await).await;
    let Error::Sdk(failure) = &error else { panic!("{error:?}") };
    assert_eq!((failure.code(), failure.operation()), (Some("ValidationException"), "UpdateItem"));
    assert_eq!(stage.operations(), ["UpdateItem"]);
    assert_eq!(stage.stored_alice().await["version"], 1);
}

#[tokio::test]
async fn more_attributes_than_an_expression_can_hold_are_refused_before_sending() {
    let (stage, table): (_, Table<Open>) = Stage::of().await;
    let mut object = open(1000);
    let error = refused(&mut object, async |object| table.save(object).await).await;
    is_named(&error, table.name(), "4096");
    assert_eq!(stage.operations(), [""; 0]);

    table.create(&mut object).await.unwrap();
    table.replace(&mut object).await.unwrap();
    table.touch(&mut object).await.unwrap();
    assert_eq!(object.version, 3, "these name no attributes");
    let _ = stage.requests();
    let all = |object: &mut Open| object.rest.values_mut().for_each(|value| *value += 1);
    is_named(&table.update("alice", all).await.unwrap_err(), table.name(), "4096");
    is_named(&table.update("alice", |object| object.rest.clear()).await.unwrap_err(), table.name(), "4096");
    assert_eq!(stage.operations(), ["GetItem", "GetItem"]);
    let one = |object: &mut Open| *object.rest.get_mut("a7").unwrap() += 1;
    assert_eq!(table.update("alice", one).await.unwrap().version, 4);
}

/// The longest expression that is sent is one that the store takes.
#[tokio::test]
async fn as_many_attributes_as_an_expression_can_hold_are_stored() {
    let (stage, table): (_, Table<Open>) = Stage::of().await;
    let fits = |attributes: &i64| open(*attributes).save_write().is_ok();
    let most = (1..1000).rev().find(fits).expect("some fit");
    let mut object = open(most);
    assert!(object.save_write().unwrap().update_expression().unwrap().len() > 4096 - 16);
    stage.put(json!({ "id": "alice", "version": 1 })).await;
    table.save(&mut object).await.unwrap();
    assert_eq!(object.version, 2);
    assert!(most > 300, "{most}");
}

#[tokio::test]
async fn a_condition_longer_than_an_expression_is_refused_before_sending() {
    let (stage, accounts) = Stage::of::<Account>().await;
    let long = vec!["attribute_exists(id)"; 200].join(" AND ");
    let condition = Condition::new(long);
    let error =
        refused(&mut alice(1), async |account| accounts.save(account).condition(condition).await).await;
    is_named(&error, accounts.name(), "4096");
    assert_eq!(stage.operations(), [""; 0]);
}
