//! `create_table`: the table that the keys of a struct need.

use std::time::Duration;

use aws_sdk_dynamodb::types::{BillingMode, KeyType, ScalarAttributeType, TableStatus};
use dynalock::testing::{Fault, Reply};
use dynalock::{Error, Versioned};
use dynalock_tests::engines::{self, Store};
use dynalock_tests::runtimes::sdk_attempts;
use serde::{Deserialize, Deserializer, Serialize};
use serde_bytes::ByteBuf;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::fixtures::{Account, Stage, alice};

#[derive(Serialize, Deserialize)]
struct Owner(String);

#[derive(Serialize, Deserialize, Versioned)]
struct Entry {
    #[dynalock(partition_key)]
    #[serde(rename = "PK")]
    owner: Owner,
    #[dynalock(sort_key)]
    at: u64,
    #[dynalock(version)]
    version: u64,
}

#[tokio::test]
async fn a_table_is_created_with_the_keys_of_the_struct() {
    let stage = Stage::on(&Store::chosen());
    stage.table::<Entry>().create_table().await.unwrap();
    let table = stage.rival.describe_table().table_name(&stage.name).send().await.unwrap().table.unwrap();
    assert_eq!(table.table_status, Some(TableStatus::Active));
    let billing = table.billing_mode_summary().and_then(|summary| summary.billing_mode().cloned());
    assert_eq!(billing, Some(BillingMode::PayPerRequest));
    let keys: Vec<_> =
        table.key_schema().iter().map(|key| (key.attribute_name(), key.key_type().clone())).collect();
    assert_eq!(keys, [("PK", KeyType::Hash), ("at", KeyType::Range)]);
    let mut types: Vec<_> = table
        .attribute_definitions()
        .iter()
        .map(|definition| (definition.attribute_name(), definition.attribute_type().clone()))
        .collect();
    types.sort_by_key(|(name, _)| *name);
    assert_eq!(types, [("PK", ScalarAttributeType::S), ("at", ScalarAttributeType::N)]);
    let operations = stage.operations();
    assert_eq!(operations[..2], ["CreateTable", "DescribeTable"]);
    // Once more for as long as it is being created, which no embedded engine takes time for.
    assert!(operations[2..].iter().all(|operation| operation == "DescribeTable"), "{operations:?}");
    assert!(operations.len() == 2 || !engines::is_fast(), "{operations:?}");
}

#[tokio::test(start_paused = true)]
async fn a_look_that_is_throttled_is_taken_again() {
    let (stage, accounts) = Stage::of_in_memory::<Account>().await;
    let throttled = Fault::Instead(Reply::new(400, "ThrottlingException"));
    stage.faults.script("DescribeTable", vec![throttled; sdk_attempts() + 1]); // one more than the SDK looks by itself
    accounts.create_table().await.unwrap();
    assert!(stage.faults.is_over());
}

#[tokio::test]
async fn a_table_that_exists_is_fine_and_keeps_its_items() {
    let (stage, accounts) = Stage::of::<Account>().await;
    accounts.create(&mut alice(0)).await.unwrap();
    accounts.create_table().await.unwrap();
    accounts.create_table().await.unwrap();
    assert_eq!(accounts.get("alice").await.unwrap(), Some(alice(1)));
    assert_eq!(stage.operations()[1..3], ["CreateTable", "DescribeTable"]);
}

#[tokio::test]
async fn a_table_that_exists_with_another_key_is_a_clear_error() {
    #[derive(Serialize, Deserialize, Versioned)]
    struct Numbered {
        #[dynalock(partition_key)]
        id: u64,
        #[dynalock(version)]
        version: u64,
    }

    #[derive(Serialize, Deserialize, Versioned)]
    struct Binary {
        #[dynalock(partition_key)]
        id: ByteBuf,
        #[dynalock(version)]
        version: u64,
    }

    #[derive(Serialize, Deserialize, Versioned)]
    struct Sorted {
        #[dynalock(partition_key)]
        id: String,
        #[dynalock(sort_key)]
        at: u64,
        #[dynalock(version)]
        version: u64,
    }

    let (stage, _) = Stage::of::<Account>().await;
    let differs = |error: Error, words: &[&str]| {
        let Error::InvalidRequest { table, problem } = &error else { panic!("{error:?}") };
        assert_eq!(**table, *stage.name);
        for word in words {
            assert!(problem.contains(word), "{word} is missing in {problem}");
        }
        assert!(error.to_string().contains(&stage.name), "{error}");
    };
    let error = stage.table::<Numbered>().create_table().await.unwrap_err();
    differs(error, &["HASH id (S)", "HASH id (N)", "Numbered"]);
    let error = stage.table::<Binary>().create_table().await.unwrap_err();
    differs(error, &["HASH id (S)", "HASH id (B)", "Binary"]);
    let error = stage.table::<Sorted>().create_table().await.unwrap_err();
    differs(error, &["HASH id (S)", "RANGE at (N)", "Sorted"]);
    let error = stage.table::<Entry>().create_table().await.unwrap_err();
    differs(error, &["HASH id (S)", "HASH PK (S)", "Entry"]);
}

/// A reply as if the table were not there yet.
fn creating(_: Value, mut reply: Value) -> Value {
    reply["Table"]["TableStatus"] = json!("CREATING");
    reply
}

#[tokio::test(start_paused = true)]
async fn it_waits_until_the_table_is_active() {
    let stage = Stage::on(&Store::memory());
    for _ in 0..3 {
        stage.wire.edit("DescribeTable", creating);
    }
    let start = tokio::time::Instant::now();
    stage.table::<Account>().create_table().await.unwrap();
    let mut operations = vec!["CreateTable"];
    operations.extend(["DescribeTable"; 4]);
    assert_eq!(stage.operations(), operations);
    assert!(start.elapsed() > Duration::ZERO, "it waits between the looks");
}

#[tokio::test(start_paused = true)]
async fn it_waits_for_a_table_that_another_application_is_creating() {
    let (stage, accounts) = Stage::of_in_memory::<Account>().await;
    stage.wire.edit("DescribeTable", creating);
    accounts.create_table().await.unwrap();
    assert_eq!(stage.operations(), ["CreateTable", "DescribeTable", "DescribeTable"]);
}

#[tokio::test(start_paused = true)]
async fn it_does_not_wait_for_ever() {
    let stage = Stage::on(&Store::memory());
    for _ in 0..10_000 {
        stage.wire.edit("DescribeTable", creating);
    }
    // Answers that take their time count as well.
    stage.faults.script("DescribeTable", vec![Fault::Delay(Duration::from_secs(6)); 10_000]);
    let begun = Instant::now();
    let error = stage.table::<Account>().create_table().await.unwrap_err();
    let Error::InvalidRequest { table, problem } = &error else { panic!("{error:?}") };
    assert_eq!(**table, *stage.name);
    assert!(problem.contains("5 minutes"), "{problem}");
    assert!(begun.elapsed() < Duration::from_secs(310), "{:?}", begun.elapsed());
}

/// `DescribeTable` is eventually consistent: right after `CreateTable` it may not know the table yet, see
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DescribeTable.html>.
#[tokio::test(start_paused = true)]
async fn it_waits_for_a_table_that_describe_does_not_know_yet() {
    let stage = Stage::on(&Store::memory());
    let unknown = || Fault::Instead(Reply::new(400, "ResourceNotFoundException"));
    stage.faults.script("DescribeTable", [unknown(), unknown()]);
    stage.table::<Account>().create_table().await.unwrap();
    assert!(stage.faults.is_over());
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_does_no_harm() {
    let stage = Stage::on(&Store::memory());
    stage.faults.script("CreateTable", [Fault::ReplyLost]);
    stage.faults.script("DescribeTable", [Fault::ReplyLost]);
    stage.table::<Account>().create_table().await.unwrap();
    assert!(stage.faults.is_over());
}

#[tokio::test]
async fn what_dynamodb_refuses_is_its_error() {
    let stage = Stage::on(&Store::chosen());
    let error = dynalock::Table::<Account>::new(&stage.client, "a b").create_table().await.unwrap_err();
    let Error::Sdk(failure) = &error else { panic!("{error:?}") };
    assert_eq!((failure.code(), failure.operation()), (Some("ValidationException"), "CreateTable"));
    assert!(error.to_string().contains("a b"), "{error}");
}

#[tokio::test]
async fn a_key_whose_type_cannot_be_told_is_refused_before_sending() {
    /// Asks the format what it holds.
    #[derive(Serialize)]
    struct Any(String);

    impl<'de> Deserialize<'de> for Any {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Text;

            impl serde::de::Visitor<'_> for Text {
                type Value = Any;

                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("text")
                }

                fn visit_str<E>(self, text: &str) -> Result<Any, E> {
                    Ok(Any(text.to_owned()))
                }
            }
            deserializer.deserialize_any(Text)
        }
    }

    #[derive(Serialize, Deserialize, Versioned)]
    struct Keyed {
        #[dynalock(partition_key)]
        id: Any,
        #[dynalock(version)]
        version: u64,
    }

    let stage = Stage::on(&Store::chosen());
    let table = stage.table::<Keyed>();
    let error = table.create_table().await.unwrap_err();
    let Error::InvalidItem { table: named, attribute, .. } = &error else { panic!("{error:?}") };
    assert_eq!((&**named, &**attribute), (table.name(), "id"));
    assert_eq!(stage.operations(), [""; 0]);

    // Created otherwise, the table works.
    stage.rival_table::<Account>().create_table().await.unwrap();
    table.create(&mut Keyed { id: Any("a".into()), version: 0 }).await.unwrap();
    assert_eq!(table.get(Any("a".into())).await.unwrap().unwrap().version, 1);
}
