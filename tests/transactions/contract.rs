//! What the documentation shows compiles and runs, and transactions go where futures go.

use std::future::IntoFuture;

use dynalock::{Error, Transaction, transact};

use crate::accounts::{Account, Refused, bank};

#[tokio::test]
async fn held_items_are_written_together() {
    let (client, accounts) = bank([("alice", 100), ("bob", 0), ("hold", 1), ("limit", 50)]).await;
    let mut from = accounts.get("alice").await.unwrap().unwrap();
    let mut to = accounts.get("bob").await.unwrap().unwrap();
    let hold = accounts.get("hold").await.unwrap().unwrap();
    let limit = accounts.get("limit").await.unwrap().unwrap();
    let mut entry = Account::new("entry", 10);
    from.balance -= 10;
    to.balance += 10;
    Transaction::new(&client)
        .save(&accounts, &mut from)
        .save(&accounts, &mut to)
        .create(&accounts, &mut entry)
        .check(&accounts, &limit)
        .delete(&accounts, &hold)
        .commit()
        .await
        .unwrap();
    assert_eq!((from.version, to.version, entry.version), (2, 2, 1));
    for object in [&from, &to, &entry] {
        assert_eq!(accounts.get(&object.id).await.unwrap().as_ref(), Some(object));
    }
    assert_eq!(accounts.get("hold").await.unwrap(), None);
    assert_eq!(accounts.get("limit").await.unwrap(), Some(limit));
}

#[tokio::test]
async fn a_closure_moves_money_and_returns_what_it_likes() -> Result<(), Refused> {
    let (client, accounts) = bank([("alice", 100), ("bob", 0)]).await;
    let accounts = &accounts;
    let left: i64 = transact(&client, move |tx| async move {
        let mut from = tx.get(accounts, "alice").await?.ok_or(Refused::NoAccount)?;
        let mut to = tx.get(accounts, "bob").await?.ok_or(Refused::NoAccount)?;
        from.balance -= 10;
        to.balance += 10;
        let left = from.balance;
        tx.save(accounts, from)?;
        tx.save(accounts, to)?;
        Ok::<_, Refused>(left)
    })
    .await?;
    assert_eq!(left, 90);
    let bob = accounts.get("bob").await?.unwrap();
    assert_eq!((bob.balance, bob.version), (10, 2));
    Ok(())
}

/// Both kinds of closure, and both kinds of transaction, on another thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_can_be_spawned() {
    let (client, accounts) = bank([("alice", 100), ("bob", 0)]).await;
    let (tasks_client, table) = (client.clone(), accounts.clone());
    let with_block = tokio::spawn(async move {
        let table = &table;
        transact(&tasks_client, move |tx| async move {
            let mut alice = tx.get(table, "alice").await?.ok_or(Refused::NoAccount)?;
            alice.balance += 1;
            tx.save(table, alice)?;
            Ok::<_, Refused>(())
        })
        .await
    });
    with_block.await.unwrap().unwrap();
    let (tasks_client, table) = (client.clone(), accounts.clone());
    let with_async_closure = tokio::spawn(async move {
        transact(&tasks_client, async |tx| {
            let mut alice = tx.get(&table, "alice").await?.ok_or(Refused::NoAccount)?;
            alice.balance += 1;
            tx.save(&table, alice)?;
            Ok::<_, Refused>(())
        })
        .await
    });
    with_async_closure.await.unwrap().unwrap();
    let (tasks_client, table) = (client.clone(), accounts.clone());
    let committed = tokio::spawn(async move {
        let mut alice = table.get("alice").await?.expect("alice");
        let mut carol = Account::new("carol", 1);
        Transaction::new(&tasks_client).save(&table, &mut alice).create(&table, &mut carol).commit().await?;
        Ok::<_, Error>(alice)
    });
    let alice = committed.await.unwrap().unwrap();
    assert_eq!((alice.balance, alice.version), (102, 4));
    let task = transact(&client, async |tx| tx.get(&accounts, "carol").await).into_future();
    assert_eq!(task.await.unwrap().map(|carol| carol.balance), Some(1));
}
