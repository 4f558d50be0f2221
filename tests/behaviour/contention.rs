//! Many writers of one item: none overwrites another.

use std::time::Duration;

use dynalock::{Retry, Table};
use dynalock_tests::engines;
use serde_json::json;

use crate::fixtures::{Account, Stage};

const TASKS: u64 = 32;

/// How often each task increments. Every increment takes many requests.
fn increments() -> u64 {
    if engines::is_fast() { 50 } else { 6 }
}

/// Waits as by default, but never gives up.
fn patient() -> Retry {
    Retry::default().attempts(u32::MAX).deadline(Duration::from_mins(10))
}

async fn all_increment(stage: &Stage) {
    let increments = increments();
    stage.put(json!({ "id": "alice", "balance": 0 })).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..TASKS {
        // A table of its own, as if each task were another application.
        let accounts: Table<Account> = stage.table::<Account>().with_retry(patient());
        tasks.spawn(async move {
            for _ in 0..increments {
                accounts.update("alice", |account| account.balance += 1).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    let total = TASKS * increments;
    assert_eq!(stage.stored_alice().await, json!({ "id": "alice", "balance": total, "version": total }));
    let writes = stage.operations().iter().filter(|operation| *operation == "UpdateItem").count();
    assert!(writes as u64 > total, "there was no contention to stand");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_increment_is_lost_on_many_threads() {
    let (stage, _) = Stage::of::<Account>().await;
    all_increment(&stage).await;
}

#[tokio::test(flavor = "current_thread")]
async fn no_increment_is_lost_on_one_thread() {
    let (stage, _) = Stage::of::<Account>().await;
    all_increment(&stage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_creators_wins() {
    let (stage, _) = Stage::of::<Account>().await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..16 {
        let accounts = stage.table::<Account>();
        tasks.spawn(async move {
            let mut account = Account { id: "alice".into(), balance: number, note: None, version: 0 };
            accounts.create(&mut account).await.map(|()| number)
        });
    }
    let won: Vec<i64> = tasks
        .join_all()
        .await
        .into_iter()
        .filter_map(|outcome| match outcome {
            Ok(number) => Some(number),
            Err(error) => {
                assert!(matches!(error, dynalock::Error::AlreadyExists(_)), "{error:?}");
                None
            }
        })
        .collect();
    let [winner] = won[..] else { panic!("{won:?}") };
    assert_eq!(stage.stored_alice().await, json!({ "id": "alice", "balance": winner, "version": 1 }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_savers_of_a_version_wins() {
    let (stage, accounts) = Stage::of::<Account>().await;
    stage.put(json!({ "id": "alice", "balance": 0, "version": 1 })).await;
    let read = accounts.get("alice").await.unwrap().unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 1..=16 {
        let accounts = stage.table::<Account>();
        let mut account = Account { balance: number, ..read.clone() };
        tasks.spawn(async move { accounts.save(&mut account).await.is_ok() });
    }
    let won = tasks.join_all().await.into_iter().filter(|won| *won).count();
    assert_eq!(won, 1);
    assert_eq!(stage.stored_alice().await["version"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_callers_of_update_or_create_make_one_item() {
    let (stage, _) = Stage::of::<Account>().await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let accounts = stage.table::<Account>().with_retry(patient());
        tasks.spawn(async move {
            let fresh = || Account { id: "alice".into(), balance: 0, note: None, version: 0 };
            accounts.update_or_create("alice", fresh, |account| account.balance += 1).await.unwrap();
        });
    }
    tasks.join_all().await;
    assert_eq!(stage.stored_alice().await, json!({ "id": "alice", "balance": 16, "version": 16 }));
}
