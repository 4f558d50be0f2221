//! The `.._write()` helpers: what `Table` sends, as plain data for requests of one's own.

use aws_sdk_dynamodb::{
    error::SdkError, operation::transact_write_items::TransactWriteItemsError, types::TransactWriteItem,
};
use dynalock::{ConditionalWrite, Versioned};
use dynalock_tests::engines;
use serde_json::json;

use crate::fixtures::{Account, Stage, alice, number, text};

/// Sends actions all or nothing, and returns the reason of each if they were cancelled.
async fn transact(
    stage: &Stage,
    actions: impl IntoIterator<Item = TransactWriteItem>,
) -> Result<(), Vec<String>> {
    let send = stage.client.transact_write_items().set_transact_items(Some(actions.into_iter().collect()));
    match send.send().await {
        Ok(_) => Ok(()),
        Err(SdkError::ServiceError(error)) => match error.into_err() {
            TransactWriteItemsError::TransactionCanceledException(cancelled) => {
                let reasons = cancelled.cancellation_reasons().iter();
                Err(reasons.map(|reason| reason.code().unwrap_or_default().to_owned()).collect())
            }
            other => panic!("{other:?}"),
        },
        Err(other) => panic!("{other:?}"),
    }
}

const FAILED: &str = "ConditionalCheckFailed";

#[tokio::test]
async fn a_check_holds_while_the_version_does() {
    if engines::skipped(&["dynalite"], engines::NO_TRANSACTIONS) {
        return;
    }
    let (stage, _) = Stage::of::<Account>().await;
    stage.put(json!({ "id": "alice", "balance": 100, "version": 2 })).await;
    let check = |version| alice(version).check_write().unwrap().transact_write_item(&stage.name);
    let bob = || Account { id: "bob".into(), ..alice(0) };
    let create = || bob().create_write().unwrap().transact_write_item(&stage.name);

    let refused = transact(&stage, [check(1), create()]).await;
    assert_eq!(refused, Err(vec![FAILED.into(), "None".into()]));
    assert_eq!(stage.stored(json!({ "id": "bob" })).await, None);

    transact(&stage, [check(2), create()]).await.unwrap();
    assert_eq!(stage.stored(json!({ "id": "bob" })).await.unwrap()["version"], number(1));
    assert_eq!(stage.stored_alice().await["version"], 2, "a check changes nothing");

    let requests = stage.requests();
    let sent = &requests[0].body["TransactItems"][0]["ConditionCheck"];
    let expected = json!({
        "TableName": stage.name,
        "Key": { "id": { "S": "alice" } },
        "ConditionExpression": "#_v=:_v",
        "ExpressionAttributeNames": { "#_v": "version" },
        "ExpressionAttributeValues": { ":_v": { "N": "1" } },
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    });
    assert_eq!(*sent, expected);
}

#[tokio::test]
async fn a_check_at_version_0_holds_for_an_item_without_a_version() {
    if engines::skipped(&["dynalite"], engines::NO_TRANSACTIONS) {
        return;
    }
    let (stage, _) = Stage::of::<Account>().await;
    let check = || alice(0).check_write().unwrap().transact_write_item(&stage.name);
    assert_eq!(transact(&stage, [check()]).await, Err(vec![FAILED.into()]), "there is no item");
    for (version, holds) in [(json!(null), true), (json!(0), true), (json!(1), false)] {
        stage.put(json!({ "id": "alice", "balance": 100, "version": version })).await;
        assert_eq!(transact(&stage, [check()]).await.is_ok(), holds, "{version}");
    }
    stage.put(json!({ "id": "alice", "balance": 100 })).await;
    assert_eq!(transact(&stage, [check()]).await, Ok(()));
}

#[tokio::test]
async fn every_write_can_be_part_of_a_transaction() {
    if engines::skipped(&["dynalite"], engines::NO_TRANSACTIONS) {
        return;
    }
    let (stage, _) = Stage::of::<Account>().await;
    let named = |id: &str, version| Account { id: id.into(), balance: 7, ..alice(version) };
    for id in ["saved", "replaced", "touched", "deleted"] {
        stage.put(json!({ "id": id, "balance": 100, "extra": true, "version": 2 })).await;
    }
    let writes = |version| {
        [
            named("saved", version).save_write().unwrap(),
            named("replaced", version).replace_write().unwrap(),
            named("touched", version).touch_write().unwrap(),
            named("deleted", version).delete_write().unwrap(),
        ]
        .map(|write: ConditionalWrite| write.transact_write_item(&stage.name))
    };
    assert_eq!(transact(&stage, writes(1)).await, Err(vec![FAILED.into(); 4]));
    transact(&stage, writes(2)).await.unwrap();

    let stored = async |id: &str| {
        let item = stage.stored(json!({ "id": id })).await;
        item.map(|item| serde_dynamo::from_item::<_, serde_json::Value>(item).unwrap())
    };
    let saved = json!({ "id": "saved", "balance": 7, "extra": true, "version": 3 });
    assert_eq!(stored("saved").await, Some(saved));
    assert_eq!(stored("replaced").await, Some(json!({ "id": "replaced", "balance": 7, "version": 3 })));
    let touched = json!({ "id": "touched", "balance": 100, "extra": true, "version": 3 });
    assert_eq!(stored("touched").await, Some(touched));
    assert_eq!(stored("deleted").await, None);
}

#[tokio::test]
async fn a_write_sent_by_hand_is_what_the_table_sends() {
    let (stage, accounts) = Stage::of::<Account>().await;
    let (client, name) = (&stage.client, &stage.name);
    let mut account = Account { note: Some("n".into()), ..alice(0) };
    let created = account.create_write().unwrap();
    accounts.create(&mut account).await.unwrap();
    let saved = account.save_write().unwrap();
    accounts.save(&mut account).await.unwrap();
    let replaced = account.replace_write().unwrap();
    accounts.replace(&mut account).await.unwrap();
    let touched = account.touch_write().unwrap();
    accounts.touch(&mut account).await.unwrap();
    let deleted = account.delete_write().unwrap();
    accounts.delete(&account).await.unwrap();
    let by_table = stage.requests();

    created.put_item(client, name).unwrap().send().await.unwrap();
    saved.update_item(client, name).unwrap().send().await.unwrap();
    replaced.put_item(client, name).unwrap().send().await.unwrap();
    touched.update_item(client, name).unwrap().send().await.unwrap();
    deleted.delete_item(client, name).unwrap().send().await.unwrap();
    assert_eq!(stage.requests(), by_table);
}

#[test]
fn a_write_shows_its_expressions_names_and_values() {
    let write = alice(4).save_write().unwrap();
    assert_eq!(write.next_version(), Some(5));
    assert_eq!(write.condition_expression(), "#_v=:_v");
    assert_eq!(write.update_expression(), Some("SET #_v=:_w,#_0=:_0 REMOVE #_1"));
    assert_eq!(write.names()["#_0"], "balance");
    assert_eq!(write.values()[":_v"], number(4));

    let write = alice(4).delete_write().unwrap();
    assert_eq!((write.next_version(), write.update_expression()), (None, None));
    assert_eq!(alice(4).create_write().unwrap().next_version(), Some(1));
    assert!(alice(4).create_write().unwrap().values().is_empty());
    let condition = alice(0).touch_write().unwrap();
    assert_eq!(condition.values()[":_n"], text("NULL"));
}

#[tokio::test]
async fn a_write_is_a_request_of_its_own_operation_only() {
    let (stage, _) = Stage::of::<Account>().await;
    let (client, name) = (&stage.client, &stage.name);
    let put = alice(1).create_write().unwrap();
    assert!(put.update_item(client, name).is_none());
    assert!(put.delete_item(client, name).is_none());
    let update = alice(1).save_write().unwrap();
    assert!(update.put_item(client, name).is_none());
    let check = alice(1).check_write().unwrap();
    assert!(check.put_item(client, name).is_none());
    assert!(check.update_item(client, name).is_none());
    assert!(check.delete_item(client, name).is_none());
}

#[test]
fn a_write_that_cannot_be_built_says_why_without_a_table() {
    let error = Account { id: String::new(), ..alice(0) }.save_write().unwrap_err();
    assert!(error.to_string().starts_with(r#"attribute "id": "#), "{error}");
    let error = alice(u64::MAX).touch_write().unwrap_err();
    assert!(error.to_string().starts_with(r#"attribute "version": "#), "{error}");
}
