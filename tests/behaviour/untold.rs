//! A store that refuses a check and does not tell the item, as if it had never heard of `ALL_OLD`: `dynalite` is one, and the
//! others are made to seem so.

use dynalock::{Condition, Deleted, Error, Table};
use dynalock_tests::engines;
use serde_json::json;

use crate::fixtures::{Account, Call, Stage, alice, refused};

const READ: &str = r#"GetItem {id: "alice"} consistently"#;

/// Alice's account is stored at version 2.
async fn stage() -> (Stage, Table<Account>) {
    let (stage, accounts) = Stage::of::<Account>().await;
    stage.put(json!({ "id": "alice", "balance": 100, "version": 2 })).await;
    (stage, accounts)
}

/// Lets the next reply to `operation` be a refusal without an item.
fn untold(stage: &Stage, operation: &'static str) {
    stage.wire.edit(operation, |_, mut refusal| {
        let item = refusal.as_object_mut().expect("an object").remove("Item");
        assert_eq!(item.is_none(), engines::name() == "dynalite", "this engine is not as it was");
        refusal
    });
}

fn operation(call: Call) -> &'static str {
    if call == Call::Replace { "PutItem" } else { "UpdateItem" }
}

/// The operation of the write, and that one read came after it.
fn is_read_once(stage: &Stage, write: &str) {
    let [refused, read] = stage.sent().try_into().expect("a write and a read");
    assert!(refused.starts_with(write), "{refused}");
    assert_eq!(read, READ);
    assert!(stage.wire.is_over());
}

#[tokio::test]
async fn a_refusal_that_tells_no_item_leads_to_one_consistent_read() {
    for call in Call::ALL {
        let (stage, accounts) = stage().await;
        untold(&stage, operation(call));
        let error = refused(&mut alice(1), async |account| call.of(&accounts, account).await).await;
        let Error::Conflict(conflict) = &error else { panic!("{call:?}: {error:?}") };
        assert_eq!((conflict.expected(), conflict.actual()), (1, Some(2)));
        assert_eq!(conflict.current::<Account>().unwrap(), alice(2));
        is_read_once(&stage, operation(call));

        untold(&stage, operation(call));
        let condition = Condition::new("balance > :least").value(":least", 1000);
        let error =
            refused(&mut alice(2), async |account| call.with(&accounts, account, condition).await).await;
        assert!(matches!(error, Error::ConditionFailed(_)), "{call:?}: {error:?}");
        is_read_once(&stage, operation(call));
        assert_eq!(stage.stored_alice().await["version"], 2);
    }

    let (stage, accounts) = stage().await;
    untold(&stage, "PutItem");
    let error = refused(&mut alice(0), async |account| accounts.create(account).await).await;
    let Error::AlreadyExists(conflict) = &error else { panic!("{error:?}") };
    assert_eq!(conflict.current::<Account>().unwrap(), alice(2));
    is_read_once(&stage, "PutItem");

    untold(&stage, "DeleteItem");
    let error = accounts.delete(&alice(1)).await.unwrap_err();
    assert!(matches!(error, Error::Conflict(_)), "{error:?}");
    is_read_once(&stage, "DeleteItem");

    // A rival writes between the read and the write.
    let rival = stage.rival_table::<Account>();
    stage.wire.before("UpdateItem", async move {
        rival.save(&mut Account { balance: 7, ..alice(2) }).await.unwrap();
    });
    let updated = accounts.update("alice", |account| account.balance += 1).await.unwrap();
    assert_eq!(updated, Account { balance: 8, ..alice(4) });

    assert_eq!(accounts.delete(&updated).await.unwrap(), Deleted::Now);
    let _ = stage.sent();
    let error = refused(&mut alice(4), async |account| accounts.save(account).await).await;
    assert!(matches!(error, Error::NotFound), "{error:?}");
    is_read_once(&stage, "UpdateItem");
}
