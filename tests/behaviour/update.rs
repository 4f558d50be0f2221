//! `update` and `try_update`: what they send, and what a closure may and may not do.

use dynalock::{Condition, Error};
use dynalock_tests::engines;
use serde_json::json;

use crate::fixtures::{Account, Stage, alice};

/// Alice's account is stored at version 1.
async fn stage() -> (Stage, dynalock::Table<Account>) {
    let (stage, accounts) = Stage::of::<Account>().await;
    stage.put(json!({ "id": "alice", "balance": 100, "version": 1 })).await;
    (stage, accounts)
}

const READ: &str = r#"GetItem {id: "alice"} consistently"#;

#[tokio::test]
async fn only_what_changed_is_written() {
    let (stage, accounts) = stage().await;
    let account = accounts.update("alice", |account| account.balance += 5).await.unwrap();
    assert_eq!(account, Account { balance: 105, ..alice(2) });
    let set = accounts.update("alice", |account| account.note = Some("x".into())).await.unwrap();
    assert_eq!(set.note.as_deref(), Some("x"));
    accounts.update("alice", |account| account.note = None).await.unwrap();
    assert_eq!(
        stage.sent(),
        [
            READ,
            r#"UpdateItem {id: "alice"} SET version=2,balance=105 IF version=1"#,
            READ,
            r#"UpdateItem {id: "alice"} SET version=3,note="x" IF version=2"#,
            READ,
            r#"UpdateItem {id: "alice"} SET version=4 REMOVE note IF version=3"#,
        ]
    );
    assert_eq!(stage.stored_alice().await, json!({ "id": "alice", "balance": 105, "version": 4 }));
}

#[tokio::test]
async fn the_request_is_this_and_nothing_else() {
    let (stage, accounts) = stage().await;
    let condition = Condition::new("balance < :most").value(":most", 1000);
    accounts.update("alice", |account| account.balance += 5).condition(condition).await.unwrap();
    let [_, update] = stage.requests().try_into().unwrap();
    let expected = json!({
        "TableName": stage.name,
        "Key": { "id": { "S": "alice" } },
        "UpdateExpression": "SET #_v=:_w,#_0=:_0",
        "ConditionExpression": "#_v=:_v AND (balance < :most)",
        "ExpressionAttributeNames": { "#_v": "version", "#_0": "balance" },
        "ExpressionAttributeValues":
            { ":_v": { "N": "1" }, ":_w": { "N": "2" }, ":_0": { "N": "105" }, ":most": { "N": "1000" } },
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    });
    assert_eq!((update.operation.as_str(), update.body), ("UpdateItem", expected));
}

#[tokio::test]
async fn nothing_is_sent_if_nothing_changed() {
    let (stage, accounts) = stage().await;
    let impossible = Condition::new("attribute_not_exists(id)");
    let account = accounts.update("alice", |_| {}).condition(impossible).await.unwrap();
    assert_eq!(account, alice(1));
    let back_and_forth = |account: &mut Account| {
        account.balance += 1;
        account.balance -= 1;
        Ok::<_, Error>(())
    };
    assert_eq!(accounts.try_update("alice", back_and_forth).await.unwrap(), alice(1));
    assert_eq!(stage.sent(), [READ, READ]);
    assert_eq!(stage.stored_alice().await["version"], 1);
}

#[tokio::test]
async fn what_a_closure_does_to_the_version_is_ignored() {
    let (stage, accounts) = stage().await;
    let account = accounts.update("alice", |account| account.version = 77).await.unwrap();
    assert_eq!(account, alice(1), "a changed version alone is no change");
    assert_eq!(stage.sent(), [READ]);
    let change = |account: &mut Account| {
        account.version = 77;
        account.balance = 1;
    };
    let account = accounts.update("alice", change).await.unwrap();
    assert_eq!((account.balance, account.version), (1, 2));
    assert_eq!(stage.sent()[1], r#"UpdateItem {id: "alice"} SET version=2,balance=1 IF version=1"#);
}

#[tokio::test]
async fn a_closure_that_changes_the_key_is_refused() {
    let (stage, accounts) = stage().await;
    let change = |account: &mut Account| {
        account.id = "bob".into();
        account.balance = 0;
    };
    for error in [
        accounts.update("alice", change).await.unwrap_err(),
        accounts.update("alice", |account| account.id = "bob".into()).await.unwrap_err(),
    ] {
        let Error::InvalidItem { table, attribute, .. } = &error else { panic!("{error:?}") };
        assert_eq!((&**table, &**attribute), (accounts.name(), "id"));
        assert!(error.to_string().contains("key"), "{error}");
    }
    assert_eq!(stage.sent(), [READ, READ]);
    assert_eq!(stage.stored_alice().await["balance"], 100);
}

#[derive(Debug, PartialEq)]
enum Refused {
    Overdrawn,
    Store(String),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Store(error.to_string())
    }
}

#[tokio::test]
async fn a_closure_that_refuses_writes_nothing() {
    let (stage, accounts) = stage().await;
    let withdraw = |account: &mut Account| {
        account.balance -= 500;
        if account.balance < 0 { Err(Refused::Overdrawn) } else { Ok(()) }
    };
    assert_eq!(accounts.try_update("alice", withdraw).await.unwrap_err(), Refused::Overdrawn);
    assert_eq!(stage.sent(), [READ]);
    assert_eq!(stage.stored_alice().await["balance"], 100);
    assert_eq!(accounts.try_update("bob", withdraw).await, Err(Refused::Store(Error::NotFound.to_string())));

    stage.put(json!({ "id": "alice", "balance": 500, "version": 8 })).await;
    assert_eq!(accounts.try_update("alice", withdraw).await.unwrap(), Account { balance: 0, ..alice(9) });
}

#[tokio::test]
async fn a_closure_refuses_on_the_item_that_won_the_conflict() {
    if engines::skipped(&["dynalite"], engines::TELLS_NO_ITEM) {
        return;
    }
    let (stage, accounts) = stage().await;
    stage.put_before("UpdateItem", json!({ "id": "alice", "balance": 10, "version": 2 }));
    let withdraw = |account: &mut Account| {
        if account.balance < 50 {
            return Err(Refused::Overdrawn);
        }
        account.balance -= 50;
        Ok(())
    };
    assert_eq!(accounts.try_update("alice", withdraw).await, Err(Refused::Overdrawn));
    assert_eq!(stage.operations(), ["GetItem", "UpdateItem"]);
    assert_eq!(stage.stored_alice().await["balance"], 10);
}

#[tokio::test]
async fn an_item_that_is_not_there_is_not_found() {
    let (stage, accounts) = stage().await;
    let mut runs = 0;
    let error = accounts.update("bob", |_| runs += 1).await.unwrap_err();
    assert!(matches!(error, Error::NotFound), "{error:?}");
    assert_eq!((runs, stage.operations()), (0, vec!["GetItem".to_owned()]));
}

#[tokio::test]
async fn an_item_that_is_deleted_before_the_write_is_not_found() {
    let (stage, accounts) = stage().await;
    stage.remove_before("UpdateItem", json!({ "id": "alice" }));
    let mut runs = 0;
    let change = |account: &mut Account| {
        runs += 1;
        account.balance = 0;
    };
    let error = accounts.update("alice", change).await.unwrap_err();
    assert!(matches!(error, Error::NotFound), "{error:?}");
    assert_eq!(runs, 1);
    assert_eq!(stage.operations(), ["GetItem", "UpdateItem", "GetItem"]);
    assert_eq!(stage.stored_alice().await, json!(null));
}

#[tokio::test]
async fn a_condition_that_does_not_hold_ends_an_update() {
    if engines::skipped(&["dynalite"], engines::TELLS_NO_ITEM) {
        return;
    }
    let (stage, accounts) = stage().await;
    let condition = || Condition::new("balance >= :b").value(":b", 1000);
    let mut runs = 0;
    let change = |account: &mut Account| {
        runs += 1;
        account.balance = 0;
    };
    let error = accounts.update("alice", change).condition(condition()).await.unwrap_err();
    let Error::ConditionFailed(conflict) = &error else { panic!("{error:?}") };
    assert_eq!((conflict.expected(), conflict.actual()), (1, Some(1)));
    assert_eq!(conflict.current::<Account>().unwrap(), alice(1));
    assert_eq!(runs, 1, "a condition that fails is no conflict");
    let change = |account: &mut Account| {
        account.balance = 0;
        Ok::<_, Error>(())
    };
    let error = accounts.try_update("alice", change).condition(condition()).await.unwrap_err();
    assert!(matches!(error, Error::ConditionFailed(_)), "{error:?}");
    assert_eq!(stage.operations(), ["GetItem", "UpdateItem", "GetItem", "UpdateItem"]);
    assert_eq!(stage.stored_alice().await["balance"], 100);
}

#[tokio::test]
async fn a_closure_that_panics_writes_nothing_and_leaves_no_lock() {
    let (stage, accounts) = stage().await;
    let call = accounts.update("alice", |account: &mut Account| {
        account.balance = 0;
        panic!("as the test wants");
    });
    let panicked = tokio::spawn(call.into_future()).await.unwrap_err();
    assert!(panicked.is_panic());
    assert_eq!(stage.sent(), [READ]);
    let account = accounts.update("alice", |account| account.balance += 1).await.unwrap();
    assert_eq!(account, Account { balance: 101, ..alice(2) });
}

#[tokio::test]
async fn an_item_that_does_not_fit_is_not_given_to_the_closure() {
    let (stage, accounts) = stage().await;
    stage.put(json!({ "id": "alice", "balance": "a lot", "version": 1 })).await;
    let mut runs = 0;
    let error = accounts.update("alice", |_| runs += 1).await.unwrap_err();
    let Error::InvalidItem { table, attribute, problem } = &error else { panic!("{error:?}") };
    assert_eq!((&**table, &**attribute), (accounts.name(), "balance"));
    assert!(problem.contains("a string"), "{problem}");
    assert_eq!((runs, stage.operations()), (0, vec!["GetItem".to_owned()]));
}
