//! What a storm rests on: an engine that keeps what it answered, and processes that end when the one that started them does.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use aws_sdk_dynamodb::types::AttributeValue;
use dynalock::{Table, Versioned};
use dynalock_tests::engines::Store;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize, Versioned)]
struct Item {
    #[dynalock(partition_key)]
    id: String,
    #[dynalock(version)]
    version: u64,
}

/// An engine on a file, and its URL.
fn engine(file: &str) -> (Child, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_storm"));
    command.args(["engine", file, "60"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut address = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
    (child, format!("http://{}", address.trim()))
}

#[tokio::test]
async fn what_the_engine_answered_survives_its_death() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("engine.db");
    let file = file.to_str().unwrap();
    let (mut child, url) = engine(file);
    let table = Table::<Item>::new(&Store::at(&url).client(), "items");
    table.create_table().await.unwrap();
    for number in 0..20 {
        table.create(&mut Item { id: number.to_string(), version: 0 }).await.unwrap();
    }
    child.kill().unwrap();
    child.wait().unwrap();

    let (mut child, url) = engine(file);
    let read = Store::at(&url).client().get_item().table_name("items").consistent_read(true);
    let last = read.key("id", AttributeValue::S("19".into())).send().await.unwrap();
    assert!(last.item.is_some());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_process_ends_when_its_input_does() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, _) = engine(folder.path().join("engine.db").to_str().unwrap());
    assert!(child.try_wait().unwrap().is_none());
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}
