//! Items from before there was a version: none, NULL or 0.

use std::sync::atomic::{AtomicU32, Ordering};

use dynalock::{Error, transact};
use serde_json::{Value, json};

use crate::stage::Stage;

/// Items without a version, and the condition under which they still are as they were read.
fn items() -> [(Value, &'static str); 3] {
    [
        (json!({ "id": "old", "balance": 1 }), "attribute_exists(id) AND attribute_not_exists(version)"),
        (json!({ "id": "old", "balance": 1, "version": null }), "attribute_type(version,NULL)"),
        (json!({ "id": "old", "balance": 1, "version": 0 }), "version=0"),
    ]
}

#[tokio::test]
async fn a_saved_item_is_checked_to_be_just_as_it_was_read() {
    for (item, condition) in items() {
        let stage = Stage::with([("alice", 100)]).await;
        stage.put(item.clone()).await;
        let accounts = &stage.accounts;
        transact(&stage.client, async |tx| {
            let mut old = tx.get(accounts, "old").await?.unwrap();
            assert_eq!(old.version, 0, "{item}");
            old.balance = 7;
            tx.save(accounts, old)
        })
        .await
        .unwrap();
        assert_eq!(stage.sent(), ["GetItem old".to_owned(), format!("UpdateItem old IF {condition}")]);
        assert_eq!(stage.stored("old").await, json!({ "id": "old", "balance": 7, "version": 1 }));
    }
}

#[tokio::test]
async fn every_action_is_checked_to_be_just_as_it_was_read() {
    for (item, condition) in items() {
        let stage = Stage::with([("alice", 100)]).await;
        for kind in ["Put", "Delete", "ConditionCheck"] {
            stage.put(item.clone()).await;
            let accounts = &stage.accounts;
            transact(&stage.client, async |tx| {
                let alice = tx.get(accounts, "alice").await?.unwrap();
                tx.save(accounts, alice)?;
                let old = tx.get(accounts, "old").await?.unwrap();
                match kind {
                    "Put" => tx.replace(accounts, old),
                    "Delete" => tx.delete(accounts, old),
                    _ => Ok(()),
                }
            })
            .await
            .unwrap();
            let write = stage.sent().pop().unwrap();
            assert!(write.ends_with(&format!("{kind} old IF {condition}")), "{write}");
            let version = stage.stored("old").await["version"].clone();
            let expected = match kind {
                "Put" => json!(1),
                "Delete" => Value::Null,
                _ => item["version"].clone(),
            };
            assert_eq!(version, expected, "{kind} of {item}");
        }
    }
}

/// As an application that writes 0 where it finds no version, or one that raises it to 1.
#[tokio::test]
async fn a_rival_that_adopts_the_item_is_noticed() {
    for (item, _) in items() {
        for adopted in [json!(0), json!(1), Value::Null] {
            if adopted == item["version"] && item.get("version").is_some() {
                continue;
            }
            for is_written in [true, false] {
                let stage = Stage::with([("alice", 100)]).await;
                stage.put(item.clone()).await;
                let (accounts, runs) = (&stage.accounts, AtomicU32::new(0));
                let seen = transact(&stage.client, async |tx| {
                    let mut old = tx.get(accounts, "old").await?.unwrap();
                    if runs.fetch_add(1, Ordering::Relaxed) == 0 {
                        stage.put(json!({ "id": "old", "balance": 2, "version": adopted })).await;
                    }
                    tx.get(accounts, "alice").await?;
                    let seen = old.balance;
                    old.balance += 10;
                    if is_written {
                        tx.save(accounts, old)?;
                    }
                    Ok::<_, Error>(seen)
                })
                .await
                .unwrap();
                assert_eq!((seen, runs.into_inner()), (2, 2), "{item} adopted with version {adopted}");
                let balance = if is_written { 12 } else { 2 };
                assert_eq!(stage.stored("old").await["balance"], balance);
            }
        }
    }
}
