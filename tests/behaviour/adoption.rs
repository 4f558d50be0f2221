//! Items from before there was a version: without one, with NULL, or with 0.

use dynalock::{Condition, Deleted, Error, Table};
use dynalock_tests::engines;
use serde_json::{Value, json};

use crate::fixtures::{Account, Call, Stage, alice, refused};

const UNVERSIONED: &str = r#"attribute_exists(id) AND (attribute_not_exists(version) OR version=0 OR attribute_type(version,"NULL"))"#;

/// The forms of an item that was never written under a version, and the condition by which `update` tells each.
fn forms() -> [(Value, &'static str); 3] {
    [
        (json!({ "id": "alice", "balance": 100 }), "attribute_exists(id) AND attribute_not_exists(version)"),
        (json!({ "id": "alice", "balance": 100, "version": null }), r#"attribute_type(version,"NULL")"#),
        (json!({ "id": "alice", "balance": 100, "version": 0 }), "version=0"),
    ]
}

#[tokio::test]
async fn an_item_without_a_version_reads_as_version_0() {
    let (stage, accounts) = Stage::of::<Account>().await;
    for (item, _) in forms() {
        stage.put(item).await;
        assert_eq!(accounts.get("alice").await.unwrap(), Some(alice(0)));
    }
}

#[tokio::test]
async fn every_write_adopts_such_an_item() {
    for (item, _) in forms() {
        for call in Call::ALL {
            let (stage, accounts) = Stage::of::<Account>().await;
            stage.put(item.clone()).await;
            let mut account = alice(0);
            call.of(&accounts, &mut account).await.unwrap();
            assert_eq!(account, alice(1));
            let request = match call {
                Call::Save => r#"UpdateItem {id: "alice"} SET version=1,balance=100 REMOVE note"#,
                Call::Replace => r#"PutItem {balance: 100, id: "alice", version: 1}"#,
                Call::Touch => r#"UpdateItem {id: "alice"} SET version=1"#,
            };
            assert_eq!(stage.sent(), [format!("{request} IF {UNVERSIONED}")]);
            let stored = json!({ "id": "alice", "balance": 100, "version": 1 });
            assert_eq!(stage.stored_alice().await, stored, "{call:?} of {item}");
        }
    }
}

#[tokio::test]
async fn a_delete_at_version_0_deletes_such_an_item() {
    for (item, _) in forms() {
        let (stage, accounts) = Stage::of::<Account>().await;
        stage.put(item.clone()).await;
        assert_eq!(accounts.delete(&alice(0)).await.unwrap(), Deleted::Now, "{item}");
        assert_eq!(stage.sent(), [format!(r#"DeleteItem {{id: "alice"}} IF {UNVERSIONED}"#)]);
        assert_eq!(accounts.delete(&alice(0)).await.unwrap(), Deleted::AlreadyGone, "{item}");
    }
}

#[tokio::test]
async fn a_write_at_version_0_never_creates() {
    for call in Call::ALL {
        let (stage, accounts) = Stage::of::<Account>().await;
        let error = refused(&mut alice(0), async |account| call.of(&accounts, account).await).await;
        assert!(matches!(error, Error::NotFound), "{call:?}: {error:?}");
        assert_eq!(stage.stored_alice().await, json!(null), "{call:?}");
        assert_eq!(stage.requests().len(), 2, "the write, and a read since it told no item");
    }
}

#[tokio::test]
async fn a_write_at_version_0_conflicts_with_an_item_that_has_a_version() {
    if engines::skipped(&["dynalite"], engines::TELLS_NO_ITEM) {
        return;
    }
    for call in Call::ALL {
        let (stage, accounts) = Stage::of::<Account>().await;
        stage.put(json!({ "id": "alice", "balance": 5, "version": 1 })).await;
        let error = refused(&mut alice(0), async |account| call.of(&accounts, account).await).await;
        let Error::Conflict(conflict) = &error else { panic!("{call:?}: {error:?}") };
        assert_eq!((conflict.expected(), conflict.actual()), (0, Some(1)));
        assert_eq!(stage.requests().len(), 1);
        assert_eq!(stage.stored_alice().await["balance"], 5);
    }
    let (stage, accounts) = Stage::of::<Account>().await;
    stage.put(json!({ "id": "alice", "balance": 5, "version": 1 })).await;
    let error = accounts.delete(&alice(0)).await.unwrap_err();
    assert!(matches!(error, Error::Conflict(_)), "{error:?}");
}

#[tokio::test]
async fn a_write_under_a_version_conflicts_with_an_item_that_has_none() {
    for (item, _) in forms() {
        for call in Call::ALL {
            let (stage, accounts) = Stage::of::<Account>().await;
            stage.put(item.clone()).await;
            let error = refused(&mut alice(1), async |account| call.of(&accounts, account).await).await;
            let Error::Conflict(conflict) = &error else { panic!("{call:?}: {error:?}") };
            assert_eq!((conflict.expected(), conflict.actual()), (1, Some(0)));
            assert_eq!(conflict.current::<Account>().unwrap(), alice(0));
            assert_eq!(stage.stored_alice().await, item);
        }
    }
}

#[tokio::test]
async fn a_condition_at_version_0_fails_as_such() {
    for (item, _) in forms() {
        for call in Call::ALL {
            let (stage, accounts) = Stage::of::<Account>().await;
            stage.put(item.clone()).await;
            let condition = || Condition::new("balance > :b").value(":b", 1000);
            let write = async |account: &mut _| call.with(&accounts, account, condition()).await;
            let error = refused(&mut alice(0), write).await;
            let Error::ConditionFailed(conflict) = &error else { panic!("{call:?} of {item}: {error:?}") };
            assert_eq!((conflict.expected(), conflict.actual()), (0, Some(0)));
            let error = accounts.delete(&alice(0)).condition(condition()).await.unwrap_err();
            assert!(matches!(error, Error::ConditionFailed(_)), "{error:?}");
            assert_eq!(stage.stored_alice().await, item);
        }
    }
}

#[tokio::test]
async fn an_update_expects_exactly_what_it_read() {
    for (item, condition) in forms() {
        let (stage, accounts) = Stage::of::<Account>().await;
        stage.put(item.clone()).await;
        let account = accounts.update("alice", |account| account.balance += 1).await.unwrap();
        assert_eq!(account, Account { balance: 101, ..alice(1) });
        assert_eq!(
            stage.sent(),
            [
                r#"GetItem {id: "alice"} consistently"#.to_owned(),
                format!(r#"UpdateItem {{id: "alice"}} SET version=1,balance=101 IF {condition}"#),
            ]
        );
        assert_eq!(stage.stored_alice().await, json!({ "id": "alice", "balance": 101, "version": 1 }));
    }
}

#[tokio::test]
async fn an_update_sees_that_another_application_has_begun_to_adopt_the_item() {
    if engines::skipped(&["dynalite"], engines::TELLS_NO_ITEM) {
        return;
    }
    let forms = forms();
    for (read, _) in &forms {
        for (then, _) in forms.iter().filter(|(then, _)| then != read) {
            let (stage, accounts): (_, Table<Account>) = Stage::of().await;
            stage.put(read.clone()).await;
            let mut adopted = then.clone();
            adopted["balance"] = json!(500);
            stage.put_before("UpdateItem", adopted);
            let mut runs = 0;
            let change = |account: &mut Account| {
                runs += 1;
                account.balance += 1;
            };
            let account = accounts.update("alice", change).await.unwrap();
            assert_eq!((account.balance, runs), (501, 2), "{read} became {then}");
            assert_eq!(stage.operations(), ["GetItem", "UpdateItem", "UpdateItem"]);
        }
    }
}

#[tokio::test]
async fn an_update_at_version_0_tells_a_failed_condition_from_a_conflict() {
    if engines::skipped(&["dynalite"], engines::TELLS_NO_ITEM) {
        return;
    }
    for (item, condition) in forms() {
        let (stage, accounts) = Stage::of::<Account>().await;
        stage.put(item.clone()).await;
        let extra = Condition::new("balance > :b").value(":b", 1000);
        let update = accounts.update("alice", |account| account.balance += 1).condition(extra);
        let error = update.await.unwrap_err();
        assert!(matches!(error, Error::ConditionFailed(_)), "{error:?}");
        let sent = stage.sent();
        assert_eq!(sent.len(), 2);
        assert!(sent[1].ends_with(&format!("IF {condition} AND (balance > 1000)")), "{}", sent[1]);
        assert_eq!(stage.stored_alice().await, item);
    }
}
