//! `create_all`, `save_all`, `delete_all`: many versioned writes, each with an answer of its own.

use std::{
    fmt::Debug,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use aws_sdk_dynamodb::{Client, config::SharedHttpClient};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
    orchestrator::{HttpRequest, HttpResponse},
};
use aws_smithy_types::body::SdkBody;
use dynalock::testing::{Fault, Reply};
use dynalock::{Condition, Deleted, Error, Result, Retry, Table, Versioned};
use dynalock_tests::{engines::Store, gauge::Gauge, middleware::Middleware, runtimes::sdk_attempts};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use crate::fixtures::{Account, Stage, alice};

const MS: Duration = Duration::from_millis(1);

fn account(number: usize, version: u64) -> Account {
    Account { id: format!("a{number}"), balance: i64::try_from(number).unwrap(), ..alice(version) }
}

fn accounts_at(version: u64, count: usize) -> Vec<Account> {
    (0..count).map(|number| account(number, version)).collect()
}

/// Stores so many accounts at `version`, whose balance is 0.
async fn fill(stage: &Stage, version: u64, count: usize) {
    for number in 0..count {
        stage.put(json!({ "id": format!("a{number}"), "balance": 0, "version": version })).await;
    }
}

/// The balance and the version of each account that is stored.
async fn stored(table: &Table<Account>, count: usize) -> Vec<Option<(i64, u64)>> {
    let keys = (0..count).map(|number| format!("a{number}"));
    let found = table.get_many(keys).await.unwrap();
    found.into_iter().map(|account| account.map(|account| (account.balance, account.version))).collect()
}

fn versions(accounts: &[Account]) -> Vec<u64> {
    accounts.iter().map(|account| account.version).collect()
}

/// What came of each item, in a word.
fn words<O: Debug>(outcomes: &[Result<O>]) -> Vec<&'static str> {
    let word = |outcome: &Result<O>| match outcome {
        Ok(_) => "ok",
        Err(Error::Conflict(_)) => "conflict",
        Err(Error::AlreadyExists(_)) => "exists",
        Err(Error::NotFound) => "not found",
        Err(Error::ConditionFailed(_)) => "condition",
        Err(Error::OutcomeUnknown(_)) => "unknown",
        Err(Error::VersionOverflow { .. }) => "overflow",
        Err(Error::InvalidItem { .. }) => "item",
        Err(Error::InvalidRequest { .. }) => "request",
        Err(Error::Busy { .. }) => "busy",
        Err(Error::Sdk(_)) => "sdk",
        Err(_) => "other",
    };
    outcomes.iter().map(word).collect()
}

/// A table on the embedded engine, so far away, with a gauge on the way.
async fn distant<T: Versioned>(latency: Duration) -> (Stage, Gauge, Table<T>) {
    let (stage, _) = Stage::of_in_memory::<T>().await;
    let gauge = Gauge::new(latency);
    let config = Store::memory().config().http_client(gauge.wrap(stage.faults.clone()));
    let table = Table::new(&Client::from_conf(config.build()), &stage.name);
    (stage, gauge, table)
}

#[tokio::test]
async fn each_object_is_answered_for_itself_and_in_its_place() {
    let (stage, table) = Stage::of::<Account>().await;
    fill(&stage, 3, 40).await;
    let mut held = accounts_at(3, 40);
    held[5].version = 2;
    held[11].id = "nobody".into();
    held[12].id = String::new();
    held[30].version = u64::MAX;
    held[39].version = 4;
    let before = held.clone();
    let saved = table.save_all(&mut held).await;
    let mut expected = vec!["ok"; 40];
    (expected[5], expected[11], expected[12]) = ("conflict", "not found", "item");
    (expected[30], expected[39]) = ("overflow", "conflict");
    assert_eq!(words(saved.as_slice()), expected);

    let stored = stored(&table, 40).await;
    for (place, held) in held.iter().enumerate() {
        if expected[place] == "ok" {
            assert_eq!(*held, Account { version: 4, ..before[place].clone() }, "{place}");
            assert_eq!(stored[place], Some((held.balance, 4)), "{place}");
        } else {
            assert_eq!(*held, before[place], "{place}");
            assert_eq!(stored[place], Some((0, 3)), "{place}");
        }
    }
    let failures: Vec<_> = saved.failures().map(|(place, error)| (place, error.is_conflict())).collect();
    assert_eq!(failures, [(5, true), (11, false), (12, false), (30, false), (39, true)]);
    let Err(Error::Conflict(conflict)) = &saved.as_slice()[5] else { panic!("{:?}", saved.as_slice()[5]) };
    assert_eq!(conflict.current::<Account>().unwrap(), Account { balance: 0, ..account(5, 3) });
    assert!(matches!(saved.into_result(), Err(Error::Conflict(first)) if first.expected() == 2));
}

#[tokio::test]
async fn new_items_are_created_beside_those_that_exist() {
    let (stage, table) = Stage::of::<Account>().await;
    stage.put(json!({ "id": "a3", "balance": 0, "version": 7 })).await;
    let mut held = accounts_at(9, 6);
    let created = table.create_all(&mut held).await;
    assert_eq!(words(created.as_slice()), ["ok", "ok", "ok", "exists", "ok", "ok"]);
    assert_eq!(versions(&held), [1, 1, 1, 9, 1, 1]);
    let expected = [(0, 1), (1, 1), (2, 1), (0, 7), (4, 1), (5, 1)].map(Some);
    assert_eq!(stored(&table, 6).await, expected);
}

#[tokio::test]
async fn items_are_deleted_or_gone_or_in_conflict() {
    let (stage, table) = Stage::of::<Account>().await;
    fill(&stage, 2, 3).await;
    let held = [account(0, 2), account(3, 2), account(1, 1), account(2, 2)];
    let deleted = table.delete_all(&held).await;
    assert!(matches!(deleted.as_slice()[..2], [Ok(Deleted::Now), Ok(Deleted::AlreadyGone)]), "{deleted:?}");
    assert!(matches!(deleted.as_slice()[2..], [Err(Error::Conflict(_)), Ok(Deleted::Now)]), "{deleted:?}");
    assert_eq!(stored(&table, 4).await, [None, Some((0, 2)), None, None]);
}

#[tokio::test]
async fn a_batch_of_good_items_ends_well() {
    let (_, table) = Stage::of::<Account>().await;
    let mut held = accounts_at(0, 30);
    table.create_all(&mut held).await.into_result().unwrap();
    table.save_all(held.iter_mut().filter(|account| account.balance < 5)).await.into_result().unwrap();
    assert_eq!(versions(&held[..6]), [2, 2, 2, 2, 2, 1]);
    assert_eq!(table.delete_all(&held).await.into_result().unwrap(), [Deleted::Now; 30]);
}

#[tokio::test]
async fn each_item_is_sent_as_by_the_single_call() {
    let (stage, table) = Stage::of::<Account>().await;
    let condition = || Condition::new("balance < :most").value(":most", 10);
    let mut held = [account(1, 0), account(2, 0)];
    table.create_all(&mut held).concurrency(1).await.into_result().unwrap();
    table.save_all(&mut held).condition(condition()).concurrency(1).await.into_result().unwrap();
    table.delete_all(&held).condition(condition()).concurrency(1).await.into_result().unwrap();
    let together = stage.sent();
    assert_eq!(together.len(), 6);

    let mut held = [account(1, 0), account(2, 0)];
    for account in &mut held {
        table.create(account).await.unwrap();
    }
    for account in &mut held {
        table.save(account).condition(condition()).await.unwrap();
    }
    for account in &held {
        table.delete(account).condition(condition()).await.unwrap();
    }
    assert_eq!(stage.sent(), together);
}

#[tokio::test]
async fn a_condition_holds_or_not_for_each_item() {
    let (stage, table) = Stage::of::<Account>().await;
    for (number, balance) in [5, 50, 7].into_iter().enumerate() {
        stage.put(json!({ "id": format!("a{number}"), "balance": balance, "version": 1 })).await;
    }
    let mut held = accounts_at(1, 3);
    let small = Condition::new("balance < :most").value(":most", 10);
    let saved = table.save_all(&mut held).condition(small).await;
    assert_eq!(words(saved.as_slice()), ["ok", "condition", "ok"]);
    let reserved = Condition::new("balance < :_most").value(":_most", 10);
    drop(stage.sent());
    let refused = table.save_all(&mut held).condition(reserved).await;
    assert_eq!(words(refused.as_slice()), ["request"; 3]);
    assert_eq!(stage.sent(), [""; 0]);
}

#[tokio::test]
async fn no_items_make_no_requests_and_no_answers() {
    let (stage, table) = Stage::of::<Account>().await;
    let mut none: [Account; 0] = [];
    assert!(
        table.save_all(&mut none).on_completed(|_, _| panic!("there is none")).await.as_slice().is_empty()
    );
    assert!(table.create_all(&mut none).concurrency(1).await.into_result().unwrap().is_empty());
    assert!(table.delete_all(&none).deadline(Duration::ZERO).await.failures().next().is_none());
    assert_eq!(stage.sent(), [""; 0]);
}

/// In the order of the items, whatever time each request takes: the first one of a key is slow here.
#[tokio::test(start_paused = true)]
async fn items_with_one_key_are_written_one_after_the_other() {
    let (stage, table) = Stage::of_in_memory::<Account>().await;
    let slow = |operation| stage.wire.before(operation, sleep(40 * MS));
    let twice = || [account(0, 1), account(1, 1), Account { balance: 70, ..account(0, 1) }, account(2, 1)];

    slow("PutItem");
    let (mut held, mut order) = (twice(), Vec::new());
    let created = table.create_all(&mut held).on_completed(|place, _| order.push(place)).await;
    assert_eq!(words(created.as_slice()), ["ok", "ok", "exists", "ok"]);
    assert_eq!(order[..2], [1, 0], "those behind an item that waits wait as well");
    assert_eq!(stored(&table, 3).await, [Some((0, 1)), Some((1, 1)), Some((2, 1))]);

    slow("UpdateItem");
    let mut held = twice();
    assert_eq!(words(table.save_all(&mut held).await.as_slice()), ["ok", "ok", "conflict", "ok"]);
    assert_eq!(versions(&held), [2, 2, 1, 2]);

    slow("UpdateItem");
    let mut held = twice().map(|account| Account { version: 2, ..account });
    held[2].version = 3;
    assert_eq!(words(table.save_all(&mut held).await.as_slice()), ["ok"; 4], "as calls of save in a loop");
    assert_eq!(stored(&table, 1).await, [Some((70, 4))]);

    slow("DeleteItem");
    let held = [account(0, 4), account(1, 3), account(0, 4)];
    let deleted = table.delete_all(&held).await.into_result().unwrap();
    assert_eq!(deleted, [Deleted::Now, Deleted::Now, Deleted::AlreadyGone]);
}

#[tokio::test(start_paused = true)]
async fn items_with_one_sort_key_or_one_partition_are_not_taken_for_one() {
    #[derive(Clone, Serialize, Deserialize, Versioned)]
    struct Line {
        #[dynalock(partition_key)]
        order: String,
        #[dynalock(sort_key)]
        number: u32,
        #[dynalock(version)]
        version: u64,
    }
    let (_stage, gauge, lines) = distant::<Line>(4 * MS).await;
    let line = |order: &str, number| Line { order: order.into(), number, version: 0 };
    let mut held = [line("a", 1), line("a", 2), line("b", 1), line("a", 1)];
    assert_eq!(words(lines.create_all(&mut held).await.as_slice()), ["ok", "ok", "ok", "exists"]);
    assert_eq!((gauge.most(), gauge.requests()), (3, 4));
}

#[tokio::test(start_paused = true)]
async fn no_more_writes_are_under_way_than_were_asked_for() {
    for (asked, count, most) in
        [(None, 60, 16), (Some(0), 5, 1), (Some(1), 5, 1), (Some(7), 60, 7), (Some(usize::MAX), 60, 60)]
    {
        let (stage, gauge, table) = distant::<Account>(4 * MS).await;
        fill(&stage, 1, count).await;
        let mut held = accounts_at(1, count);
        let save = table.save_all(&mut held);
        let save = match asked {
            Some(writes) => save.concurrency(writes),
            None => save,
        };
        let begun = Instant::now();
        save.await.into_result().unwrap();
        assert_eq!((gauge.most(), gauge.requests()), (most, count), "{asked:?}");
        let rounds = u32::try_from(count.div_ceil(most)).unwrap();
        assert_eq!(begun.elapsed(), rounds * 4 * MS, "{asked:?}: no slot stays empty");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_observes_is_told_of_each_item_when_it_has_ended() {
    let (stage, table) = Stage::of_in_memory::<Account>().await;
    fill(&stage, 1, 20).await;
    stage.wire.before("UpdateItem", sleep(40 * MS));
    let mut held = accounts_at(1, 20);
    held[3].version = 9;
    held[6].id = String::new();
    let mut told = Vec::new();
    let begun = Instant::now();
    let observe = |place, outcome: &Result<()>| told.push((place, outcome.is_ok(), begun.elapsed()));
    let saved = table.save_all(&mut held).on_completed(|_, _| panic!("replaced")).on_completed(observe).await;
    assert_eq!(told.len(), 20);
    assert_eq!(told[19], (0, true, 40 * MS), "the slow one is the last");
    told.sort_unstable();
    for (place, (told, outcome)) in told.iter().zip(&saved).enumerate() {
        assert_eq!((told.0, told.1), (place, outcome.is_ok()));
        assert!(place == 0 || told.2 < MS, "{place} was told late");
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_and_deadlines_of_a_retry_are_those_of_each_item() {
    let (stage, gauge, table) = distant::<Account>(600 * MS).await;
    fill(&stage, 1, 5).await;
    let mut held = accounts_at(1, 5);
    let begun = Instant::now();
    let second = Duration::from_secs(1);
    let short = Retry::default().deadline(second).attempt_timeout(second);
    table.save_all(&mut held).retry(short).concurrency(1).await.into_result().unwrap();
    assert_eq!((begun.elapsed(), gauge.requests()), (3000 * MS, 5));

    // Each attempt is several of the SDK's.
    let throttled = Fault::Instead(Reply::new(400, "ThrottlingException"));
    stage.faults.script("UpdateItem", vec![throttled; 2 * 2 * sdk_attempts()]);
    let few = Retry::default().attempts(2);
    let saved = table.save_all(&mut held).retry(few).concurrency(1).await;
    assert_eq!(words(saved.as_slice()), ["sdk", "sdk", "ok", "ok", "ok"]);
    assert_eq!(versions(&held), [2, 2, 3, 3, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_the_whole_batch_and_says_what_was_not_sent() {
    let (stage, gauge, table) = distant::<Account>(100 * MS).await;
    fill(&stage, 1, 10).await;
    let mut held = accounts_at(1, 10);
    held[9].id = String::new();
    let begun = Instant::now();
    let saved = table.save_all(&mut held).concurrency(2).deadline(250 * MS).await;
    assert_eq!(begun.elapsed(), 250 * MS);
    let expected = [&["ok"; 4][..], &["unknown"; 2], &["busy"; 4]].concat();
    assert_eq!(words(saved.as_slice()), expected);
    assert_eq!(gauge.requests(), 6);
    let Err(error) = &saved.as_slice()[6] else { panic!() };
    assert!(error.is_retryable());
    let why = error.to_string();
    assert!(why.contains("deadline of the batch"), "{why}");

    // What is left then is not even made into requests.
    let mut held: Vec<_> =
        (0..10).map(|number| Account { id: String::new(), ..account(number, 1) }).collect();
    let saved = table.save_all(&mut held).deadline(Duration::ZERO).await;
    assert_eq!(words(saved.as_slice()), ["busy"; 10]);

    // Nor is what waits for an item with the same key.
    let mut held = vec![account(0, 9), account(0, 9)];
    let (begun, saved) = (gauge.requests(), table.save_all(&mut held).deadline(50 * MS).await);
    assert_eq!((words(saved.as_slice()), gauge.requests() - begun), (vec!["unknown", "busy"], 1));
    assert_eq!(saved.into_iter().filter(Result::is_err).count(), 2);

    // A retry that ends earlier does so.
    let mut held = accounts_at(2, 2);
    let (begun, short) = (Instant::now(), Retry::default().deadline(50 * MS));
    let saved = table.save_all(&mut held).retry(short).deadline(250 * MS).await;
    assert_eq!((words(saved.as_slice()), begun.elapsed()), (vec!["unknown"; 2], 50 * MS));
    table.save_all(&mut held).deadline(Duration::MAX).await.into_result().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_dropped_sends_nothing_more_and_leaves_no_object_in_doubt_but_those_under_way() {
    let (stage, gauge, table) = distant::<Account>(10 * MS).await;
    fill(&stage, 1, 100).await;
    let mut held = accounts_at(1, 100);
    let mut told = Vec::new();
    let save = table.save_all(&mut held).concurrency(4).on_completed(|place, _| told.push(place));
    assert!(timeout(35 * MS, save.into_future()).await.is_err());
    let applied: Vec<u64> =
        stored(&stage.table(), 100).await.into_iter().map(|item| item.unwrap().1).collect();
    sleep(Duration::from_mins(1)).await;
    told.sort_unstable();
    assert_eq!(told, (0..12).collect::<Vec<_>>());
    for (place, version) in versions(&held).into_iter().enumerate() {
        assert_eq!(version, if told.contains(&place) { 2 } else { 1 }, "{place}");
        assert!(version == applied[place] || (12..16).contains(&place), "{place}");
    }
    assert_eq!(gauge.requests(), 16);

    let saved = table.save_all(&mut held).await;
    assert!(saved.failures().all(|(place, error)| (12..16).contains(&place) && error.is_conflict()));
}

/// Says how often it was serialized, which every write is once.
#[derive(Serialize, Deserialize, Versioned)]
struct Counted {
    #[dynalock(partition_key)]
    id: String,
    #[serde(serialize_with = "counted")]
    value: usize,
    #[dynalock(version)]
    version: u64,
}

/// A store that applies everything.
fn agreeing() -> SharedHttpClient {
    #[derive(Debug)]
    struct Agreeing;

    impl HttpConnector for Agreeing {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            let status = 200.try_into().unwrap();
            HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from("{}"))))
        }
    }

    http_client_fn(|_, _| SharedHttpConnector::new(Agreeing))
}

static BUILT: AtomicUsize = AtomicUsize::new(0);

#[allow(clippy::trivially_copy_pass_by_ref)] // the form that serde asks for
fn counted<S: Serializer>(value: &usize, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    BUILT.fetch_add(1, Ordering::Relaxed);
    value.serialize(serializer)
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_items_are_built_and_sent_a_few_at_a_time() {
    const COUNT: usize = 10_000;
    let gauge = Gauge::new(4 * MS);
    let config = Store::memory().config().http_client(gauge.wrap(agreeing()));
    let table = Table::<Counted>::new(&Client::from_conf(config.build()), "counted");
    let mut held: Vec<_> =
        (0..COUNT).map(|value| Counted { id: format!("c{value}"), value, version: 0 }).collect();
    let mut told = 0;
    let create = table.create_all(&mut held).concurrency(50).on_completed(|_, _| {
        told += 1;
        let ahead = BUILT.load(Ordering::Relaxed) - (told - 1);
        assert!(ahead <= 51, "{ahead} requests are built and not answered");
    });
    let create = create.into_future();
    assert!(size_of_val(&*create) < 4096, "{}", size_of_val(&*create));
    create.await.into_result().unwrap();
    assert_eq!((told, gauge.requests(), gauge.most()), (COUNT, COUNT, 50));
    assert!(held.iter().all(|counted| counted.version == 1));
    // One when it is sent, and one when its delay is over.
    assert_eq!(gauge.polls(), 2 * COUNT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_run_in_tasks_beside_each_other() {
    let (_stage, table) = Stage::of::<Account>().await;
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let table = table.clone();
            tokio::spawn(async move {
                let mut held: Vec<_> = (0..40).map(|number| account(100 * task + number, 0)).collect();
                table.create_all(&mut held).await.into_result()?;
                table.save_all(&mut held).await.into_result()?;
                assert_eq!(versions(&held), [2; 40]);
                table.delete_all(&held).await.into_result()
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap(), [Deleted::Now; 40]);
    }
}
