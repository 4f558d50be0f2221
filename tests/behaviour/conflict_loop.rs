//! What `update` does after a conflict, by the order and the time of its requests.
//!
//! These tests stop the clock, so they take the embedded engine whatever is chosen.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use dynalock::{Error, Retry, Table};
use serde_json::json;
use tokio::time::Instant;

use crate::fixtures::{Account, Stage, alice};

async fn stage() -> (Stage, Table<Account>) {
    let (stage, accounts) = Stage::of_in_memory::<Account>().await;
    stage.put(json!({ "id": "alice", "balance": 0, "version": 1 })).await;
    (stage, accounts)
}

/// Lets another application write the item at `version`, with a balance ten times as high, before the next write.
fn rival_writes(stage: &Stage, version: u64) {
    stage.put_before("UpdateItem", json!({ "id": "alice", "balance": version * 10, "version": version }));
}

#[tokio::test(start_paused = true)]
async fn the_next_try_takes_the_item_that_came_with_the_conflict() {
    let (stage, accounts) = stage().await;
    rival_writes(&stage, 2);
    let mut seen = Vec::new();
    let change = |account: &mut Account| {
        seen.push((account.version, account.balance));
        account.balance += 1;
    };
    let account = accounts.update("alice", change).await.unwrap();
    assert_eq!((account.balance, account.version), (21, 3));
    assert_eq!(seen, [(1, 0), (2, 20)]);
    assert_eq!(
        stage.sent(),
        [
            r#"GetItem {id: "alice"} consistently"#,
            r#"UpdateItem {id: "alice"} SET version=2,balance=1 IF version=1"#,
            r#"UpdateItem {id: "alice"} SET version=3,balance=21 IF version=2"#,
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn two_tries_are_immediate_and_the_third_sleeps_before_it_reads() {
    let (stage, accounts) = stage().await;
    for version in 2..=4 {
        rival_writes(&stage, version);
    }
    let start = Instant::now();
    let times = Arc::new(Mutex::new(Vec::new()));
    let note = |times: &Arc<Mutex<Vec<Duration>>>| {
        let times = Arc::clone(times);
        async move { times.lock().unwrap().push(start.elapsed()) }
    };
    stage.wire.before("GetItem", note(&times));
    stage.wire.before("GetItem", note(&times));
    let retry = Retry::default().backoff(Duration::from_secs(2), Duration::from_secs(2));
    let account = accounts.update("alice", |account| account.balance += 1).retry(retry).await.unwrap();
    assert_eq!((account.balance, account.version), (41, 5));
    assert!(stage.wire.is_over());
    let operations = ["GetItem", "UpdateItem", "UpdateItem", "UpdateItem", "GetItem", "UpdateItem"];
    assert_eq!(stage.operations(), operations);
    let times = times.lock().unwrap();
    assert_eq!(times[0], Duration::ZERO);
    assert!(times[1] > Duration::ZERO && times[1] <= Duration::from_secs(2), "{times:?}");
    assert_eq!(start.elapsed(), times[1], "nothing but the delay takes time");
}

#[tokio::test(start_paused = true)]
async fn later_tries_all_sleep_and_read() {
    let (stage, accounts) = stage().await;
    for version in 2..=6 {
        rival_writes(&stage, version);
    }
    accounts.update("alice", |account| account.balance += 1).await.unwrap();
    let mut operations = vec!["GetItem", "UpdateItem", "UpdateItem", "UpdateItem"];
    operations.extend(["GetItem", "UpdateItem"].repeat(3));
    assert_eq!(stage.operations(), operations);
}

#[tokio::test(start_paused = true)]
async fn the_attempts_end_with_the_conflict_and_the_item_as_it_is() {
    for attempts in 1..=5 {
        let (stage, accounts) = stage().await;
        for version in 2..=9 {
            rival_writes(&stage, version);
        }
        let mut runs = 0;
        let change = |account: &mut Account| {
            runs += 1;
            account.balance += 1;
        };
        let update = accounts.update("alice", change).retry(Retry::default().attempts(attempts));
        let error = update.await.unwrap_err();
        let Error::Conflict(conflict) = &error else { panic!("{error:?}") };
        let version = u64::from(attempts) + 1;
        assert_eq!((conflict.expected(), conflict.actual()), (version - 1, Some(version)));
        let current = conflict.current::<Account>().expect("the item that won");
        assert_eq!(current, Account { balance: i64::from(attempts + 1) * 10, ..alice(version) });
        assert_eq!(runs, attempts);
        let writes = stage.operations().iter().filter(|operation| *operation == "UpdateItem").count();
        assert_eq!(writes, attempts as usize);
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_with_the_conflict() {
    let (stage, accounts) = stage().await;
    for version in 2..=200 {
        rival_writes(&stage, version);
    }
    let deadline = Duration::from_secs(5);
    let retry = Retry::default().attempts(u32::MAX).deadline(deadline);
    let retry = retry.backoff(Duration::from_secs(1), Duration::from_secs(1));
    let start = Instant::now();
    let error = accounts.update("alice", |account| account.balance += 1).retry(retry).await.unwrap_err();
    assert!(matches!(error, Error::Conflict(_)), "{error:?}");
    assert!(start.elapsed() <= deadline, "{:?}", start.elapsed());
    assert!(stage.operations().len() > 4, "it was tried again");
}

#[tokio::test(start_paused = true)]
async fn the_tables_retry_holds_where_a_call_says_nothing() {
    let (stage, accounts) = stage().await;
    let accounts = accounts.with_retry(Retry::none());
    rival_writes(&stage, 2);
    let error = accounts.update("alice", |account| account.balance += 1).await.unwrap_err();
    assert!(matches!(error, Error::Conflict(_)), "{error:?}");
    assert_eq!(stage.operations(), ["GetItem", "UpdateItem"]);

    rival_writes(&stage, 3);
    let twice = Retry::default().attempts(2);
    accounts.update("alice", |account| account.balance += 1).retry(twice).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_save_is_never_retried_on_a_conflict() {
    let (stage, accounts) = stage().await;
    rival_writes(&stage, 2);
    let error = accounts.save(&mut alice(1)).await.unwrap_err();
    assert!(matches!(error, Error::Conflict(_)), "{error:?}");
    assert_eq!(stage.operations(), ["UpdateItem"]);
}

#[tokio::test(start_paused = true)]
async fn an_item_that_the_store_does_not_tell_is_read_and_serves_as_well() {
    let (stage, accounts) = stage().await;
    stage.put(json!({ "id": "alice", "balance": 20, "version": 2 })).await;
    stage.wire.edit("GetItem", |_, mut reply| {
        reply["Item"]["version"] = json!({ "N": "1" });
        reply
    });
    stage.wire.edit("UpdateItem", |_, mut reply| {
        assert!(reply.as_object_mut().unwrap().remove("Item").is_some(), "the store told the item");
        reply
    });
    let account = accounts.update("alice", |account| account.balance += 1).await.unwrap();
    assert_eq!((account.balance, account.version), (21, 3));
    assert_eq!(stage.operations(), ["GetItem", "UpdateItem", "GetItem", "UpdateItem"]);
}
