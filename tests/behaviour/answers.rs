//! Answers that do not fit what was asked: nothing is made up from them, least of all that there is no item.

use dynalock::testing::{Fault, Reply};
use dynalock::{Error, Retry, Table, transact};
use serde_json::{Value, json};

use crate::fixtures::{Account, Stage, alice};

const ARN: &str = "arn:aws:dynamodb:us-east-1:123456789012:table/accounts";

async fn stage() -> (Stage, Table<Account>) {
    let (stage, accounts) = Stage::of_in_memory::<Account>().await;
    for (id, balance) in [("alice", 100), ("bob", 7)] {
        stage.put(json!({ "id": id, "balance": balance, "version": 1 })).await;
    }
    (stage, accounts)
}

fn bob() -> Account {
    Account { id: "bob".into(), balance: 7, ..alice(1) }
}

/// A reply in which one of its maps by table has the table under another name.
fn renamed(map: &'static str) -> impl FnOnce(Value, Value) -> Value {
    move |_, mut reply| {
        let tables = reply[map].as_object_mut().unwrap();
        let of_table = tables.values().next().unwrap().clone();
        reply[map] = json!({ ARN: of_table });
        reply
    }
}

/// The error of an answer of no use, and nothing else.
fn assert_unusable(error: &Error, operation: &str) {
    let Error::Sdk(failure) = error else { panic!("{error:?}") };
    assert_eq!((failure.operation(), failure.code()), (operation, None));
    assert!(!error.is_retryable(), "{error:?}");
    assert!(error.to_string().contains("no usable answer"), "{error}");
    let cause = std::error::Error::source(&**failure).expect("a cause").to_string();
    assert!(!cause.contains("alice") && !cause.contains("bob"), "{cause}");
}

#[tokio::test]
async fn items_are_found_under_whatever_name_the_table_has_in_the_answer() {
    let (stage, accounts) = stage().await;
    stage.wire.edit("BatchGetItem", renamed("Responses"));
    let found = accounts.get_many(["alice", "nobody", "bob"]).await.unwrap();
    assert_eq!(found, [Some(alice(1)), None, Some(bob())]);
}

#[tokio::test(start_paused = true)]
async fn keys_are_left_unprocessed_under_whatever_name_the_table_has_in_the_answer() {
    let (stage, accounts) = stage().await;
    stage.wire.edit("BatchGetItem", |_, mut reply| {
        let items = reply["Responses"].as_object_mut().unwrap().values_mut().next().unwrap();
        items.as_array_mut().unwrap().retain(|item| item["id"]["S"] == "alice");
        reply["UnprocessedKeys"] = json!({ ARN: { "Keys": [{ "id": { "S": "bob" } }] } });
        reply
    });
    // As if there had been no time for any of them.
    stage.wire.edit(
        "BatchGetItem",
        |_, _| json!({ "Responses": {}, "UnprocessedKeys": { ARN: { "Keys": [{ "id": { "S": "bob" } }] } } }),
    );
    let found = accounts.get_many(["alice", "bob"]).await.unwrap();
    assert_eq!(found, [Some(alice(1)), Some(bob())]);
    assert_eq!(stage.operations(), ["BatchGetItem"; 3]);
}

#[tokio::test]
async fn an_answer_about_no_table_or_about_several_is_an_error() {
    let (stage, accounts) = stage().await;
    let keys = || json!({ "Keys": [{ "id": { "S": "bob" } }] });
    let answers = [
        json!({}),
        json!({ "Responses": {} }),
        json!({ "Responses": {}, "UnprocessedKeys": {} }),
        json!({ "Responses": {}, "UnprocessedKeys": { "accounts": { "Keys": [] } } }),
        json!({ "Responses": { &stage.name: [], "others": [] }, "UnprocessedKeys": {} }),
        json!({ "Responses": { &stage.name: [] }, "UnprocessedKeys": { &stage.name: keys(), "others": keys() } }),
    ];
    for answer in answers {
        let told = answer.to_string();
        stage.wire.edit("BatchGetItem", |_, _| answer);
        match accounts.get_many(["alice", "bob"]).await {
            Err(error) => assert_unusable(&error, "BatchGetItem"),
            Ok(found) => panic!("{told}: {found:?}"),
        }
    }
    assert_eq!(stage.operations().len(), 6);
}

#[tokio::test]
async fn an_item_that_nobody_asked_for_is_an_error() {
    let (stage, accounts) = stage().await;
    let strangers = [
        json!({ "id": { "S": "carol" }, "balance": { "N": "1" }, "version": { "N": "1" } }),
        json!({ "id": { "B": "YWxpY2U=" }, "balance": { "N": "1" }, "version": { "N": "1" } }),
        json!({ "balance": { "N": "1" }, "version": { "N": "1" } }),
    ];
    for stranger in strangers {
        stage.wire.edit("BatchGetItem", |_, mut reply| {
            let items = reply["Responses"].as_object_mut().unwrap().values_mut().next().unwrap();
            items.as_array_mut().unwrap()[0] = stranger;
            reply
        });
        match accounts.get_many(["alice", "bob"]).await {
            Err(error) => assert_unusable(&error, "BatchGetItem"),
            Ok(found) => panic!("{found:?}"),
        }
    }
}

/// They come by position, so a missing answer says of no item that it is not there.
#[tokio::test]
async fn a_read_of_several_items_at_once_with_too_few_or_too_many_answers_is_an_error() {
    let (stage, accounts) = stage().await;
    let answers: [fn(&mut Vec<Value>); 4] = [
        |answers| drop(answers.pop()),
        |answers| drop(answers.remove(0)),
        |answers| answers.clear(),
        |answers| answers.push(json!({})),
    ];
    for refuses in [false, true] {
        for edit in answers {
            stage.wire.edit("TransactGetItems", move |_, mut reply| {
                edit(reply["Responses"].as_array_mut().unwrap());
                reply
            });
            let mut runs = 0;
            let table = &accounts;
            let read = transact(&stage.client, |tx| {
                runs += 1;
                async move {
                    tx.get(table, "alice").await?;
                    // The last one is not there, and so is what a missing answer would be taken for.
                    assert_eq!(tx.get(table, "nobody").await?, None);
                    if refuses { Err(Error::NotFound) } else { Ok(()) }
                }
            })
            .retry(Retry::default().attempts(2))
            .await;
            match read {
                Err(error) => assert_unusable(&error, "TransactGetItems"),
                Ok(()) => panic!("nothing was checked"),
            }
            assert_eq!(runs, 1);
        }
    }
}

/// Reasons come by position as well: of too few or too many, none belongs to an action for sure.
#[tokio::test(start_paused = true)]
async fn a_cancellation_whose_reasons_do_not_fit_the_actions_names_no_item() {
    const FAILED: &str = "ConditionalCheckFailed";
    let cancellations = [
        Reply::cancelled([FAILED]),
        Reply::cancelled(["None", "None", FAILED]),
        Reply::cancelled([FAILED, "None", "None"]),
    ];
    for reply in cancellations {
        for in_doubt in [false, true] {
            let (stage, accounts) = stage().await;
            let lost = in_doubt.then_some(Fault::RequestLost);
            let faults = lost.into_iter().chain([Fault::Instead(reply.clone())]);
            stage.faults.script("TransactWriteItems", faults);
            let (mut ours, mut theirs) = (alice(1), bob());
            let transaction = dynalock::Transaction::new(&stage.client);
            let committed =
                transaction.save(&accounts, &mut ours).save(&accounts, &mut theirs).commit().await;
            let error = committed.unwrap_err();
            match &error {
                Error::OutcomeUnknown(unknown) if in_doubt => {
                    let cause = std::error::Error::source(unknown).expect("a cause");
                    assert!(cause.to_string().contains("no usable answer"), "{cause}");
                }
                error if !in_doubt => assert_unusable(error, "TransactWriteItems"),
                other => panic!("{other:?}"),
            }
            assert!(stage.faults.is_over());
            assert_eq!((ours, theirs), (alice(1), bob()));
        }
    }
}
