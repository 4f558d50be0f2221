//! `get_many`: many items by as few requests as can be.

use std::collections::BTreeMap;

use dynalock::testing::{Fault, Reply};
use dynalock::{Error, Retry};
use dynalock_tests::engines;
use dynalock_tests::recording::Sent;
use serde_json::{Value, json};

use crate::fixtures::{Account, Stage, alice};

fn account(number: usize) -> Account {
    Account { id: format!("a{number}"), balance: i64::try_from(number).unwrap(), ..alice(1) }
}

async fn fill(stage: &Stage, numbers: impl IntoIterator<Item = usize>) {
    for number in numbers {
        stage.put(json!({ "id": format!("a{number}"), "balance": number, "version": 1 })).await;
    }
}

/// How many keys each request asked for.
fn asked(requests: &[Sent], table: &str) -> Vec<usize> {
    let keys = |request: &Sent| {
        assert_eq!(request.operation, "BatchGetItem");
        request.body["RequestItems"][table]["Keys"].as_array().unwrap().len()
    };
    requests.iter().map(keys).collect()
}

#[tokio::test]
async fn items_come_in_the_order_of_the_keys_and_missing_ones_are_none() {
    let (stage, accounts) = Stage::of::<Account>().await;
    fill(&stage, [1, 2, 3]).await;
    let found = accounts.get_many(["a3", "nobody", "a1", "a2"]).await.unwrap();
    assert_eq!(found, [Some(account(3)), None, Some(account(1)), Some(account(2))]);
    let [request] = stage.requests().try_into().unwrap();
    assert_eq!(request.operation, "BatchGetItem");
    let keys: Vec<_> = ["a3", "nobody", "a1", "a2"].iter().map(|id| json!({ "id": { "S": id } })).collect();
    let expected = json!({ "RequestItems": { &stage.name: { "Keys": keys, "ConsistentRead": true } } });
    assert_eq!(request.body, expected);
}

#[tokio::test]
async fn a_key_that_comes_twice_is_asked_for_once() {
    let (stage, accounts) = Stage::of::<Account>().await;
    fill(&stage, [1, 2]).await;
    let found = accounts.get_many(["a1", "a2", "a1", "nobody", "nobody", "a1"]).await.unwrap();
    let (one, two) = (Some(account(1)), Some(account(2)));
    assert_eq!(found, [one.clone(), two, one.clone(), None, None, one]);
    assert_eq!(asked(&stage.requests(), &stage.name), [3]);
}

#[tokio::test]
async fn a_read_can_be_eventually_consistent() {
    if engines::skipped(&["aws"], engines::MAY_READ_OLD) {
        return;
    }
    let (stage, accounts) = Stage::of::<Account>().await;
    fill(&stage, [1]).await;
    assert_eq!(accounts.get_many(["a1"]).eventually_consistent().await.unwrap(), [Some(account(1))]);
    let [request] = stage.requests().try_into().unwrap();
    assert_eq!(request.body["RequestItems"][&stage.name]["ConsistentRead"], false);
}

#[tokio::test]
async fn no_keys_need_no_request() {
    let (stage, accounts) = Stage::of::<Account>().await;
    assert_eq!(accounts.get_many([""; 0]).await.unwrap(), []);
    assert_eq!(stage.operations(), [""; 0]);
}

#[tokio::test]
async fn more_than_100_keys_take_several_requests() {
    let (stage, accounts) = Stage::of::<Account>().await;
    fill(&stage, (0..250).step_by(2)).await;
    let keys: Vec<String> = (0..250).rev().map(|number| format!("a{number}")).collect();
    let found = accounts.get_many(&keys).await.unwrap();
    let expected: Vec<_> = (0..250).rev().map(|number| (number % 2 == 0).then(|| account(number))).collect();
    assert_eq!(found, expected);
    assert_eq!(asked(&stage.requests(), &stage.name), [100, 100, 50]);

    assert_eq!(accounts.get_many(&keys[..100]).await.unwrap(), expected[..100]);
    assert_eq!(asked(&stage.requests(), &stage.name), [100]);
}

/// A reply as if DynamoDB had left out every item but the first few.
fn leave_unprocessed(processed: usize) -> impl FnOnce(Value, Value) -> Value {
    move |request, mut reply| {
        let (table, asked) = request["RequestItems"].as_object().unwrap().iter().next().unwrap();
        let keys = asked["Keys"].as_array().unwrap();
        let (done, left) = keys.split_at(processed.min(keys.len()));
        let items = reply["Responses"][table].as_array_mut().unwrap();
        items.retain(|item| done.iter().any(|key| key["id"] == item["id"]));
        reply["UnprocessedKeys"] = json!({ table: { "Keys": left, "ConsistentRead": true } });
        reply
    }
}

#[tokio::test(start_paused = true)]
async fn keys_that_were_left_unprocessed_are_asked_for_again() {
    let (stage, accounts) = Stage::of_in_memory::<Account>().await;
    fill(&stage, 0..10).await;
    stage.wire.edit("BatchGetItem", leave_unprocessed(3));
    stage.wire.edit("BatchGetItem", leave_unprocessed(0));
    let keys: Vec<String> = (0..12).map(|number| format!("a{number}")).collect();
    let found = accounts.get_many(&keys).await.unwrap();
    let expected: Vec<_> = (0..12).map(|number| (number < 10).then(|| account(number))).collect();
    assert_eq!(found, expected);
    assert_eq!(asked(&stage.requests(), &stage.name), [12, 9, 9]);
}

#[tokio::test(start_paused = true)]
async fn unprocessed_keys_go_with_those_that_were_not_asked_for_yet() {
    let (stage, accounts) = Stage::of_in_memory::<Account>().await;
    fill(&stage, 0..120).await;
    stage.wire.edit("BatchGetItem", leave_unprocessed(90));
    let keys: Vec<String> = (0..120).map(|number| format!("a{number}")).collect();
    let found = accounts.get_many(&keys).await.unwrap();
    assert_eq!(found, (0..120).map(|number| Some(account(number))).collect::<Vec<_>>());
    assert_eq!(asked(&stage.requests(), &stage.name), [100, 30]);
}

#[tokio::test(start_paused = true)]
async fn keys_that_stay_unprocessed_end_in_an_error_that_can_be_retried() {
    let (stage, accounts) = Stage::of_in_memory::<Account>().await;
    fill(&stage, 0..2).await;
    stage.wire.edit("BatchGetItem", leave_unprocessed(2));
    for _ in 0..3 {
        stage.wire.edit("BatchGetItem", leave_unprocessed(0));
    }
    let keys = ["a0", "a1", "a2", "a3", "a4"];
    let error = accounts.get_many(keys).retry(Retry::default().attempts(3)).await.unwrap_err();
    let Error::Sdk(failure) = &error else { panic!("{error:?}") };
    assert_eq!((failure.operation(), failure.table()), ("BatchGetItem", accounts.name()));
    assert!(error.is_retryable());
    assert_eq!(asked(&stage.requests(), &stage.name), [5, 3, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_makes_progress_uses_up_no_attempt() {
    let (stage, accounts) = Stage::of_in_memory::<Account>().await;
    fill(&stage, 0..4).await;
    for _ in 0..3 {
        stage.wire.edit("BatchGetItem", leave_unprocessed(1));
    }
    let found =
        accounts.get_many(["a0", "a1", "a2", "a3"]).retry(Retry::default().attempts(2)).await.unwrap();
    assert_eq!(found, (0..4).map(|number| Some(account(number))).collect::<Vec<_>>());
    assert_eq!(asked(&stage.requests(), &stage.name), [4, 3, 2, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_request_is_sent_again() {
    let (stage, accounts) = Stage::of_in_memory::<Account>().await;
    fill(&stage, [1]).await;
    let throttled = || Fault::Instead(Reply::new(400, "ProvisionedThroughputExceededException"));
    stage.faults.script("BatchGetItem", std::iter::repeat_with(throttled).take(5));
    assert_eq!(accounts.get_many(["a1"]).await.unwrap(), [Some(account(1))]);
    assert!(stage.faults.is_over());
}

#[tokio::test]
async fn an_item_that_does_not_fit_is_an_error() {
    let (stage, accounts) = Stage::of::<Account>().await;
    fill(&stage, [1]).await;
    stage.put(json!({ "id": "a2", "version": 1 })).await;
    let error = accounts.get_many(["a1", "a2"]).await.unwrap_err();
    assert!(matches!(&error, Error::InvalidItem { attribute, .. } if &**attribute == "balance"), "{error:?}");
    let places: BTreeMap<_, _> = [("table", accounts.name()), ("attribute", "balance")].into();
    assert!(places.values().all(|place| error.to_string().contains(place)), "{error}");
}
