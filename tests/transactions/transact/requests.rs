//! What is sent for each kind of run, as the documentation of `transact` lists it.

use dynalock::{Error, transact};

use crate::accounts::{Account, Refused};
use crate::stage::Stage;

#[tokio::test]
async fn an_undisturbed_transfer_takes_two_reads_and_one_write() {
    let stage = Stage::with([("alice", 100), ("bob", 0)]).await;
    let accounts = &stage.accounts;
    transact(&stage.client, async |tx| {
        let mut from = tx.get(accounts, "alice").await?.ok_or(Refused::NoAccount)?;
        let mut to = tx.get(accounts, "bob").await?.ok_or(Refused::NoAccount)?;
        from.balance -= 10;
        to.balance += 10;
        tx.save(accounts, from)?;
        tx.save(accounts, to)?;
        Ok::<_, Refused>(())
    })
    .await
    .unwrap();
    let write = "TransactWriteItems: Update alice IF version=1, Update bob IF version=1";
    assert_eq!(stage.sent(), ["GetItem alice", "GetItem bob", write]);
}

#[tokio::test]
async fn one_changed_item_alone_is_one_conditional_write() {
    let stage = Stage::with([("alice", 100)]).await;
    let accounts = &stage.accounts;
    let read = async |tx: &dynalock::Tx, id: &str| tx.get(accounts, id).await;
    transact(&stage.client, async |tx| tx.save(accounts, read(&tx, "alice").await?.unwrap())).await.unwrap();
    assert_eq!(stage.sent(), ["GetItem alice", "UpdateItem alice IF version=1"]);
    transact(&stage.client, async |tx| tx.replace(accounts, read(&tx, "alice").await?.unwrap()))
        .await
        .unwrap();
    assert_eq!(stage.sent(), ["GetItem alice", "PutItem alice IF version=2"]);
}

/// Without a token it must not be sent again after a lost reply.
#[tokio::test]
async fn a_lone_create_goes_as_a_transaction() {
    let stage = Stage::with([]).await;
    let accounts = &stage.accounts;
    let read = async |tx: &dynalock::Tx, id: &str| tx.get(accounts, id).await;
    transact(&stage.client, async |tx| {
        assert_eq!(read(&tx, "carol").await?, None);
        tx.create(accounts, Account::new("carol", 1))
    })
    .await
    .unwrap();
    assert_eq!(stage.sent(), ["GetItem carol", "TransactWriteItems: Put carol IF attribute_not_exists(id)"]);
    transact(&stage.client, async |tx| tx.create(accounts, Account::new("dave", 1))).await.unwrap();
    assert_eq!(
        stage.sent(),
        ["TransactWriteItems: Put dave IF attribute_not_exists(id)"],
        "nothing was read"
    );
}

/// Whose delete it was could not be told after a lost reply.
#[tokio::test]
async fn a_lone_delete_goes_as_a_transaction() {
    let stage = Stage::with([("alice", 100)]).await;
    let accounts = &stage.accounts;
    transact(&stage.client, async |tx| {
        let alice = tx.get(accounts, "alice").await?.unwrap();
        tx.delete(accounts, alice)
    })
    .await
    .unwrap();
    assert_eq!(stage.sent(), ["GetItem alice", "TransactWriteItems: Delete alice IF version=1"]);
    assert_eq!(accounts.get("alice").await.unwrap(), None);
}

#[tokio::test]
async fn what_is_only_read_is_checked_where_something_is_written() {
    let stage = Stage::with([("alice", 100), ("bob", 0)]).await;
    let accounts = &stage.accounts;
    transact(&stage.client, async |tx| {
        tx.get(accounts, "bob").await?;
        tx.get(accounts, "nobody").await?;
        let alice = tx.get(accounts, "alice").await?.unwrap();
        tx.save(accounts, alice)
    })
    .await
    .unwrap();
    let write = "TransactWriteItems: ConditionCheck bob IF version=1, \
                 ConditionCheck nobody IF attribute_not_exists(id), Update alice IF version=1";
    assert_eq!(stage.sent(), ["GetItem bob", "GetItem nobody", "GetItem alice", write]);
}

#[tokio::test]
async fn one_read_and_no_write_sends_nothing_more() {
    let stage = Stage::with([("alice", 100)]).await;
    let accounts = &stage.accounts;
    for (id, expected) in [("alice", Some(100)), ("nobody", None)] {
        let read = transact(&stage.client, async |tx| tx.get(accounts, id).await).await.unwrap();
        assert_eq!(read.map(|account| account.balance), expected);
        assert_eq!(stage.sent(), [format!("GetItem {id}")]);
    }
}

#[tokio::test]
async fn several_reads_and_no_write_are_checked_by_one_read_of_all() {
    let stage = Stage::with([("alice", 100), ("bob", 3)]).await;
    let accounts = &stage.accounts;
    let total = transact(&stage.client, async |tx| {
        let mut total = 0;
        for id in ["alice", "bob", "nobody"] {
            total += tx.get(accounts, id).await?.map_or(0, |account| account.balance);
        }
        Ok::<_, Error>(total)
    })
    .await
    .unwrap();
    assert_eq!(total, 103);
    let check = "TransactGetItems: Get alice, Get bob, Get nobody";
    assert_eq!(stage.sent(), ["GetItem alice", "GetItem bob", "GetItem nobody", check]);
}

#[tokio::test]
async fn an_error_writes_nothing_and_is_checked_only_where_more_than_one_item_was_read() {
    let stage = Stage::with([("alice", 100), ("bob", 0)]).await;
    let accounts = &stage.accounts;
    for (ids, check) in
        [(&["alice", "bob"][..], Some("TransactGetItems: Get alice, Get bob")), (&["bob"], None)]
    {
        let refused = transact(&stage.client, async |tx| {
            for id in ids {
                let mut account = tx.get(accounts, *id).await?.ok_or(Refused::NoAccount)?;
                account.balance += 1;
                tx.save(accounts, account)?;
            }
            tx.create(accounts, Account::new("carol", 1))?;
            Err::<(), _>(Refused::Overdrawn)
        })
        .await;
        assert!(matches!(refused, Err(Refused::Overdrawn)), "{refused:?}");
        let reads = ids.iter().map(|id| format!("GetItem {id}"));
        assert_eq!(stage.sent(), reads.chain(check.map(str::to_owned)).collect::<Vec<_>>());
    }
    assert_eq!(stage.rival.get("alice").await.unwrap().unwrap().version, 1);
    assert_eq!(stage.rival.get("bob").await.unwrap().unwrap().version, 1);
    assert_eq!(stage.rival.get("carol").await.unwrap(), None);
}

#[tokio::test]
async fn a_run_that_touches_no_item_sends_nothing() {
    let stage = Stage::with([]).await;
    let answer = transact(&stage.client, async |_| Ok::<_, Error>(7)).await.unwrap();
    assert_eq!((answer, stage.sent().len()), (7, 0));
    let refused = transact(&stage.client, async |_| Err::<(), _>(Refused::Overdrawn)).await;
    assert!(matches!(refused, Err(Refused::Overdrawn)));
    assert_eq!(stage.sent(), [""; 0]);
}
