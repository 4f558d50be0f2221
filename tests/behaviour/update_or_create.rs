//! `update_or_create`: an update, or a create where there is nothing to update.

use dynalock::{Error, Table};
use dynalock_tests::engines;
use serde_json::json;

use crate::fixtures::{Account, Stage, alice};

fn fresh() -> Account {
    alice(0)
}

fn add_one(account: &mut Account) {
    account.balance += 1;
}

async fn stage() -> (Stage, Table<Account>) {
    Stage::of::<Account>().await
}

#[tokio::test]
async fn a_fresh_item_is_changed_and_stored_by_one_create() {
    let (stage, accounts) = stage().await;
    let account = accounts.update_or_create("alice", fresh, add_one).await.unwrap();
    assert_eq!(account, Account { balance: 101, ..alice(1) });
    assert_eq!(
        stage.sent(),
        [
            r#"GetItem {id: "alice"} consistently"#,
            r#"PutItem {balance: 101, id: "alice", version: 1} IF attribute_not_exists(id)"#,
        ]
    );
    assert_eq!(stage.stored_alice().await, json!({ "id": "alice", "balance": 101, "version": 1 }));
}

#[tokio::test]
async fn a_fresh_item_is_stored_even_if_the_change_changes_nothing() {
    let (stage, accounts) = stage().await;
    let account = accounts.update_or_create("alice", fresh, |_| {}).await.unwrap();
    assert_eq!(account, alice(1));
    assert_eq!(stage.stored_alice().await["version"], 1);
}

#[tokio::test]
async fn an_item_that_exists_is_updated_and_init_not_called() {
    let (stage, accounts) = stage().await;
    stage.put(json!({ "id": "alice", "balance": 5, "version": 3 })).await;
    let account = accounts.update_or_create("alice", || panic!("it exists"), add_one).await.unwrap();
    assert_eq!(account, Account { balance: 6, ..alice(4) });
    assert_eq!(stage.sent()[1], r#"UpdateItem {id: "alice"} SET version=4,balance=6 IF version=3"#);
}

#[tokio::test]
async fn the_version_that_init_or_the_change_leaves_is_ignored() {
    let (_stage, accounts) = stage().await;
    let change = |account: &mut Account| account.version = 55;
    let account = accounts.update_or_create("alice", || alice(7), change).await.unwrap();
    assert_eq!(account, alice(1));
}

#[tokio::test]
async fn an_item_that_is_created_in_between_is_updated() {
    if engines::skipped(&["dynalite"], engines::TELLS_NO_ITEM) {
        return;
    }
    let (stage, accounts) = stage().await;
    stage.put_before("PutItem", json!({ "id": "alice", "balance": 40, "version": 1 }));
    let mut seen = Vec::new();
    let change = |account: &mut Account| {
        seen.push(account.balance);
        account.balance += 1;
    };
    let account = accounts.update_or_create("alice", fresh, change).await.unwrap();
    assert_eq!(account, Account { balance: 41, ..alice(2) });
    assert_eq!(seen, [100, 40], "the change of the fresh item is gone with it");
    assert_eq!(
        stage.sent(),
        [
            r#"GetItem {id: "alice"} consistently"#,
            r#"PutItem {balance: 101, id: "alice", version: 1} IF attribute_not_exists(id)"#,
            r#"UpdateItem {id: "alice"} SET version=2,balance=41 IF version=1"#,
        ]
    );
}

#[tokio::test]
async fn an_item_that_is_deleted_in_between_is_created() {
    let (stage, accounts) = Stage::of_in_memory::<Account>().await;
    stage.put(json!({ "id": "alice", "balance": 5, "version": 3 })).await;
    stage.remove_before("UpdateItem", json!({ "id": "alice" }));
    tokio::time::pause();
    let account = accounts.update_or_create("alice", fresh, add_one).await.unwrap();
    assert_eq!(account, Account { balance: 101, ..alice(1) });
    let mut operations = stage.operations();
    assert_eq!(operations.pop().as_deref(), Some("PutItem"));
    assert_eq!(operations[..2], ["GetItem", "UpdateItem"]);
    assert!(operations[2..].iter().all(|operation| operation == "GetItem"), "{operations:?}");
    assert_eq!(stage.stored_alice().await["balance"], 101);
}

#[tokio::test]
async fn a_fresh_item_with_another_key_is_refused() {
    let (stage, accounts) = stage().await;
    for error in [
        accounts.update_or_create("bob", fresh, add_one).await.unwrap_err(),
        accounts.update_or_create("alice", fresh, |account| account.id = "bob".into()).await.unwrap_err(),
    ] {
        let Error::InvalidItem { table, attribute, .. } = &error else { panic!("{error:?}") };
        assert_eq!((&**table, &**attribute), (accounts.name(), "id"));
    }
    assert_eq!(stage.operations(), ["GetItem", "GetItem"]);
}
