//! `save`, `replace`, `touch` and `delete` of an object that was read at a version.

use dynalock::{Condition, Deleted, Error};
use dynalock_tests::engines;
use serde_json::json;

use crate::fixtures::{Account, Call, Stage, alice, refused};

/// Alice's account is stored at version 2.
async fn stage() -> (Stage, dynalock::Table<Account>) {
    let (stage, accounts) = Stage::of::<Account>().await;
    stage.put(json!({ "id": "alice", "balance": 100, "version": 2 })).await;
    (stage, accounts)
}

#[tokio::test]
async fn a_save_sets_every_attribute_and_removes_what_serde_left_out() {
    let (stage, accounts) = stage().await;
    let mut account = Account { balance: 70, ..alice(2) };
    accounts.save(&mut account).await.unwrap();
    assert_eq!(account, Account { balance: 70, ..alice(3) });
    account.note = Some("rich".into());
    accounts.save(&mut account).await.unwrap();
    assert_eq!(account.version, 4);
    assert_eq!(
        stage.sent(),
        [
            r#"UpdateItem {id: "alice"} SET version=3,balance=70 REMOVE note IF version=2"#,
            r#"UpdateItem {id: "alice"} SET version=4,balance=70,note="rich" IF version=3"#,
        ]
    );
    let stored = json!({ "id": "alice", "balance": 70, "note": "rich", "version": 4 });
    assert_eq!(stage.stored_alice().await, stored);
}

#[tokio::test]
async fn the_request_of_a_save_is_this_and_nothing_else() {
    let (stage, accounts) = stage().await;
    accounts.save(&mut alice(2)).await.unwrap();
    let [update] = stage.requests().try_into().unwrap();
    let expected = json!({
        "TableName": stage.name,
        "Key": { "id": { "S": "alice" } },
        "UpdateExpression": "SET #_v=:_w,#_0=:_0 REMOVE #_1",
        "ConditionExpression": "#_v=:_v",
        "ExpressionAttributeNames": { "#_v": "version", "#_0": "balance", "#_1": "note" },
        "ExpressionAttributeValues": { ":_v": { "N": "2" }, ":_w": { "N": "3" }, ":_0": { "N": "100" } },
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    });
    assert_eq!((update.operation.as_str(), update.body), ("UpdateItem", expected));
}

#[tokio::test]
async fn a_replace_puts_the_whole_item() {
    let (stage, accounts) = stage().await;
    let mut account = Account { balance: 70, ..alice(2) };
    accounts.replace(&mut account).await.unwrap();
    assert_eq!(account, Account { balance: 70, ..alice(3) });
    assert_eq!(stage.sent(), [r#"PutItem {balance: 70, id: "alice", version: 3} IF version=2"#]);
    assert_eq!(stage.stored_alice().await, json!({ "id": "alice", "balance": 70, "version": 3 }));
}

#[tokio::test]
async fn a_touch_raises_the_version_and_nothing_else() {
    let (stage, accounts) = stage().await;
    let mut account = Account { balance: 70, note: Some("not stored".into()), ..alice(2) };
    accounts.touch(&mut account).await.unwrap();
    assert_eq!((account.balance, account.version), (70, 3));
    assert_eq!(stage.sent(), [r#"UpdateItem {id: "alice"} SET version=3 IF version=2"#]);
    assert_eq!(stage.stored_alice().await, json!({ "id": "alice", "balance": 100, "version": 3 }));
}

#[tokio::test]
async fn a_delete_removes_the_item_and_a_second_one_finds_it_gone() {
    let (stage, accounts) = stage().await;
    let account = alice(2);
    assert_eq!(accounts.delete(&account).await.unwrap(), Deleted::Now);
    assert_eq!(stage.sent(), [r#"DeleteItem {id: "alice"} IF version=2"#]);
    assert_eq!(stage.stored_alice().await, json!(null));
    assert_eq!(accounts.delete(&account).await.unwrap(), Deleted::AlreadyGone);
    assert_eq!(
        stage.sent(),
        [r#"DeleteItem {id: "alice"} IF version=2"#, r#"GetItem {id: "alice"} consistently"#]
    );
}

#[tokio::test]
async fn a_write_at_another_version_conflicts_with_the_stored_item() {
    if engines::skipped(&["dynalite"], engines::TELLS_NO_ITEM) {
        return;
    }
    for stale in [1, 3] {
        for call in Call::ALL {
            let (stage, accounts) = stage().await;
            let mut account = Account { balance: 70, ..alice(stale) };
            let error = refused(&mut account, async |account| call.of(&accounts, account).await).await;
            let Error::Conflict(conflict) = &error else { panic!("{call:?}: {error:?}") };
            assert_eq!((conflict.expected(), conflict.actual()), (stale, Some(2)));
            assert_eq!(conflict.table(), accounts.name());
            assert_eq!(conflict.current::<Account>().unwrap(), alice(2));
            assert_eq!(conflict.item().unwrap().len(), 3);
            assert!(error.is_conflict() && error.is_retryable());
            let message = error.to_string();
            let found = format!("expected version {stale}, found 2");
            assert!(message.contains(accounts.name()) && message.contains(&found), "{message}");
            assert_eq!(stage.requests().len(), 1, "{call:?}");
            let stored = json!({ "id": "alice", "balance": 100, "version": 2 });
            assert_eq!(stage.stored_alice().await, stored, "{call:?}");
        }
    }
}

#[tokio::test]
async fn a_delete_at_another_version_conflicts_with_the_stored_item() {
    if engines::skipped(&["dynalite"], engines::TELLS_NO_ITEM) {
        return;
    }
    let (stage, accounts) = stage().await;
    for stale in [1, 3] {
        let error = accounts.delete(&alice(stale)).await.unwrap_err();
        let Error::Conflict(conflict) = &error else { panic!("{error:?}") };
        assert_eq!((conflict.expected(), conflict.actual()), (stale, Some(2)));
        assert_eq!(conflict.current::<Account>().unwrap(), alice(2));
        assert_eq!(stage.operations(), ["DeleteItem"]);
    }
    assert_eq!(stage.stored_alice().await["version"], 2);
}

#[tokio::test]
async fn a_write_of_an_item_that_is_gone_resurrects_nothing() {
    for call in Call::ALL {
        let (stage, accounts) = Stage::of::<Account>().await;
        let error = refused(&mut alice(2), async |account| call.of(&accounts, account).await).await;
        assert!(matches!(error, Error::NotFound), "{call:?}: {error:?}");
        assert!(!error.is_conflict() && !error.is_retryable());
        let write = if call == Call::Replace { "PutItem" } else { "UpdateItem" };
        assert_eq!(stage.operations(), [write, "GetItem"], "{call:?}");
        assert_eq!(stage.stored_alice().await, json!(null), "{call:?}");
    }
}

#[tokio::test]
async fn a_condition_is_joined_to_the_version_check() {
    let (stage, accounts) = stage().await;
    let condition = || Condition::new("#b >= :least").name("#b", "balance").value(":least", 10);
    let mut account = alice(2);
    for call in Call::ALL {
        call.with(&accounts, &mut account, condition()).await.unwrap();
    }
    assert_eq!(account, alice(5));
    assert_eq!(accounts.delete(&account).condition(condition()).await.unwrap(), Deleted::Now);
    assert_eq!(
        stage.sent(),
        [
            r#"UpdateItem {id: "alice"} SET version=3,balance=100 REMOVE note IF version=2 AND (balance >= 10)"#,
            r#"PutItem {balance: 100, id: "alice", version: 4} IF version=3 AND (balance >= 10)"#,
            r#"UpdateItem {id: "alice"} SET version=5 IF version=4 AND (balance >= 10)"#,
            r#"DeleteItem {id: "alice"} IF version=5 AND (balance >= 10)"#,
        ]
    );
}

#[tokio::test]
async fn a_condition_that_does_not_hold_is_told_from_a_conflict() {
    if engines::skipped(&["dynalite"], engines::TELLS_NO_ITEM) {
        return;
    }
    for call in Call::ALL {
        let (stage, accounts) = stage().await;
        let mut account = Account { balance: 5000, ..alice(2) };
        let condition = Condition::new("balance > :least").value(":least", 1000);
        let error =
            refused(&mut account, async |account| call.with(&accounts, account, condition).await).await;
        let Error::ConditionFailed(conflict) = &error else { panic!("{call:?}: {error:?}") };
        assert_eq!((conflict.expected(), conflict.actual()), (2, Some(2)));
        assert_eq!(conflict.current::<Account>().unwrap(), alice(2));
        assert!(!error.is_conflict() && !error.is_retryable());
        assert!(error.to_string().contains(accounts.name()), "{error}");
        assert_eq!(stage.requests().len(), 1, "{call:?}");
        assert_eq!(stage.stored_alice().await["version"], 2, "{call:?}");
    }
}

#[tokio::test]
async fn a_stale_version_is_a_conflict_even_where_the_condition_fails_too() {
    for call in Call::ALL {
        let (_stage, accounts) = stage().await;
        let condition = Condition::new("balance > :least").value(":least", 1000);
        let mut account = alice(1);
        let error =
            refused(&mut account, async |account| call.with(&accounts, account, condition).await).await;
        assert!(matches!(error, Error::Conflict(_)), "{call:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_delete_whose_condition_does_not_hold_leaves_the_item() {
    if engines::skipped(&["dynalite"], engines::TELLS_NO_ITEM) {
        return;
    }
    let (stage, accounts) = stage().await;
    let condition = || Condition::new("balance = :zero").value(":zero", 0);
    let error = accounts.delete(&alice(2)).condition(condition()).await.unwrap_err();
    assert!(matches!(error, Error::ConditionFailed(_)), "{error:?}");
    assert_eq!(stage.operations(), ["DeleteItem"]);
    assert_eq!(stage.stored_alice().await["version"], 2);

    stage.remove(json!({ "id": "alice" })).await;
    let gone = accounts.delete(&alice(2)).condition(condition()).await.unwrap();
    assert_eq!(gone, Deleted::AlreadyGone);
}

#[tokio::test]
async fn a_get_reads_consistently_unless_asked_otherwise() {
    if engines::skipped(&["aws"], engines::MAY_READ_OLD) {
        return;
    }
    let (stage, accounts) = stage().await;
    assert_eq!(accounts.get("alice").await.unwrap(), Some(alice(2)));
    assert_eq!(accounts.get("alice").eventually_consistent().await.unwrap(), Some(alice(2)));
    assert_eq!(accounts.get("bob").await.unwrap(), None);
    assert_eq!(
        stage.sent(),
        [
            r#"GetItem {id: "alice"} consistently"#,
            r#"GetItem {id: "alice"} eventually"#,
            r#"GetItem {id: "bob"} consistently"#,
        ]
    );
}

#[tokio::test]
async fn nothing_is_sent_before_a_call_is_awaited() {
    let (stage, accounts) = stage().await;
    drop(accounts.get("alice"));
    drop(accounts.get_many(["alice"]));
    drop(accounts.save(&mut alice(2)));
    drop(accounts.delete(&alice(2)));
    drop(accounts.update("alice", |account| account.balance = 0));
    assert_eq!(stage.operations(), [""; 0]);
}
