//! `create` stores a new item, and never touches one that is there.

use dynalock::{Condition, Error};
use dynalock_tests::engines;
use serde_json::json;

use crate::fixtures::{Account, Stage, alice, refused};

#[tokio::test]
async fn a_new_item_is_stored_at_the_first_version_whatever_the_object_says() {
    for version in [0, 7, u64::MAX] {
        let (stage, accounts) = Stage::of::<Account>().await;
        let mut account = alice(version);
        accounts.create(&mut account).await.unwrap();
        assert_eq!(account, alice(1));
        assert_eq!(
            stage.sent(),
            [r#"PutItem {balance: 100, id: "alice", version: 1} IF attribute_not_exists(id)"#]
        );
        assert_eq!(stage.stored_alice().await, json!({ "id": "alice", "balance": 100, "version": 1 }));
    }
}

#[tokio::test]
async fn the_request_is_this_and_nothing_else() {
    let (stage, accounts) = Stage::of::<Account>().await;
    let mut account = Account { note: Some("new".into()), ..alice(0) };
    accounts.create(&mut account).await.unwrap();
    let [put] = stage.requests().try_into().unwrap();
    let expected = json!({
        "TableName": stage.name,
        "Item": {
            "id": { "S": "alice" }, "balance": { "N": "100" }, "note": { "S": "new" }, "version": { "N": "1" },
        },
        "ConditionExpression": "attribute_not_exists(#_k)",
        "ExpressionAttributeNames": { "#_k": "id" },
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    });
    assert_eq!((put.operation.as_str(), put.body), ("PutItem", expected));
}

#[tokio::test]
async fn an_item_that_exists_is_told_and_stays() {
    if engines::skipped(&["dynalite"], engines::TELLS_NO_ITEM) {
        return;
    }
    for item in [json!({ "id": "alice", "balance": 5, "version": 3 }), json!({ "id": "alice", "balance": 5 })]
    {
        let (stage, accounts) = Stage::of::<Account>().await;
        stage.put(item.clone()).await;
        let error = refused(&mut alice(0), async |account| accounts.create(account).await).await;
        let Error::AlreadyExists(conflict) = &error else { panic!("{error:?}") };
        let stored = item["version"].as_u64().unwrap_or_default();
        assert_eq!((conflict.table(), conflict.expected()), (accounts.name(), 0));
        assert_eq!(conflict.actual(), Some(stored));
        let theirs = conflict.current::<Account>().unwrap();
        assert_eq!((theirs.balance, theirs.version), (5, stored));
        assert!(error.is_conflict() && !error.is_retryable());
        assert!(error.to_string().contains(accounts.name()), "{error}");
        assert_eq!(stage.operations(), ["PutItem"], "one request, and none to read what is there");
        assert_eq!(stage.stored_alice().await, item);
    }
}

#[tokio::test]
async fn a_condition_on_an_absent_item_fails_as_such() {
    let (stage, accounts) = Stage::of::<Account>().await;
    let condition = Condition::new("balance = :b").value(":b", 1);
    let error =
        refused(&mut alice(0), async |account| accounts.create(account).condition(condition).await).await;
    let Error::ConditionFailed(conflict) = &error else { panic!("{error:?}") };
    assert_eq!((conflict.expected(), conflict.actual(), conflict.item()), (0, None, None));
    assert_eq!(
        stage.sent(),
        [
            r#"PutItem {balance: 100, id: "alice", version: 1} IF attribute_not_exists(id) AND (balance = 1)"#,
            r#"GetItem {id: "alice"} consistently"#,
        ],
        "a refusal without an item doesn't tell whether there is one"
    );
    assert_eq!(stage.stored_alice().await, json!(null));
}

#[tokio::test]
async fn a_condition_that_holds_lets_a_create_through() {
    let (stage, accounts) = Stage::of::<Account>().await;
    let mut account = alice(0);
    let condition = Condition::new("attribute_not_exists(frozen)");
    accounts.create(&mut account).condition(condition).await.unwrap();
    assert_eq!(account, alice(1));
    assert_eq!(stage.operations(), ["PutItem"]);
}

#[tokio::test]
async fn in_a_transaction_the_same_create_is_sent_under_a_token() {
    if engines::skipped(&["dynalite"], engines::NO_TRANSACTIONS) {
        return;
    }
    let (stage, accounts) = Stage::of::<Account>().await;
    let mut account = alice(7);
    let condition = Condition::new("attribute_not_exists(frozen)");
    accounts.create(&mut account).condition(condition).in_transaction().await.unwrap();
    assert_eq!(account, alice(1));
    assert_eq!(stage.stored_alice().await, json!({ "id": "alice", "balance": 100, "version": 1 }));
    let [write] = stage.requests().try_into().unwrap();
    assert_eq!(write.operation, "TransactWriteItems");
    assert!(write.body["ClientRequestToken"].as_str().is_some_and(|token| !token.is_empty()));
    let [action] = &write.body["TransactItems"].as_array().unwrap()[..] else { panic!("{}", write.body) };
    let expected = json!({
        "Put": {
            "TableName": stage.name,
            "Item": { "id": { "S": "alice" }, "balance": { "N": "100" }, "version": { "N": "1" } },
            "ConditionExpression": "attribute_not_exists(#_k) AND (attribute_not_exists(frozen))",
            "ExpressionAttributeNames": { "#_k": "id" },
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    });
    assert_eq!(*action, expected);
}

/// It is no transaction to whoever calls it: nothing is told of actions.
#[tokio::test]
async fn in_a_transaction_a_create_is_refused_as_any_other() {
    if engines::skipped(&["dynalite"], engines::NO_TRANSACTIONS) {
        return;
    }
    let (stage, accounts) = Stage::of::<Account>().await;
    let never = Condition::new("balance = :b").value(":b", 1);
    let create =
        async |account: &mut Account| accounts.create(account).condition(never).in_transaction().await;
    let error = refused(&mut alice(0), create).await;
    assert!(matches!(error, Error::ConditionFailed(_)), "{error:?}");

    stage.put(json!({ "id": "alice", "balance": 5, "version": 3 })).await;
    let create = async |account: &mut Account| accounts.create(account).in_transaction().await;
    let error = refused(&mut alice(0), create).await;
    let Error::AlreadyExists(conflict) = &error else { panic!("{error:?}") };
    assert_eq!((conflict.table(), conflict.expected(), conflict.actual()), (accounts.name(), 0, Some(3)));
    assert_eq!(conflict.current::<Account>().unwrap().balance, 5);
    assert_eq!(
        (conflict.action_index(), conflict.cancellation_reasons(), conflict.other_refusals().len()),
        (None, &[][..], 0)
    );
    assert!(!error.to_string().contains("action"), "{error}");
}
