//! What holds on one kind of store in particular, whichever is chosen.

use dynalock::{Error, Table, embedded::Engine};
use dynalock_tests::engines::Store;
use tempfile::TempDir;

use crate::fixtures::{Account, Stage, alice};

#[tokio::test]
async fn items_and_versions_survive_a_restart() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("accounts.db");
    let open = || Table::<Account>::new(&Engine::on_disk(&path).unwrap().client(), "accounts");

    let accounts = open();
    accounts.create_table().await.unwrap();
    let mut held = alice(0);
    accounts.create(&mut held).await.unwrap();
    let mut gone = Account { id: "bob".into(), ..alice(0) };
    accounts.create(&mut gone).await.unwrap();
    accounts.update("alice", |account| account.balance += 1).await.unwrap();
    accounts.delete(&gone).await.unwrap();
    drop(accounts);

    let accounts = open();
    accounts.create_table().await.unwrap();
    let conflict = accounts.save(&mut held).await.unwrap_err();
    assert!(matches!(&conflict, Error::Conflict(conflict) if conflict.actual() == Some(2)), "{conflict:?}");
    assert!(matches!(accounts.save(&mut gone).await, Err(Error::NotFound)));
    let account = accounts.update("alice", |account| account.balance += 1).await.unwrap();
    assert_eq!(account, Account { balance: 102, ..alice(3) });
    drop(accounts);

    assert_eq!(open().get("alice").await.unwrap(), Some(account));
}

/// Every kind of request once, over a socket.
#[tokio::test]
async fn every_call_works_over_tcp() {
    let (stage, accounts) = Stage::of_on::<Account>(&Store::tcp()).await;
    let mut account = alice(0);
    accounts.create(&mut account).await.unwrap();
    let mut old = account.clone();
    accounts.save(&mut account).await.unwrap();
    accounts.replace(&mut account).await.unwrap();
    accounts.touch(&mut account).await.unwrap();
    let updated = accounts.update("alice", |account| account.balance = 1).await.unwrap();
    assert_eq!(updated, Account { balance: 1, ..alice(5) });
    let error = accounts.save(&mut old).await.unwrap_err();
    let Error::Conflict(conflict) = &error else { panic!("{error:?}") };
    assert_eq!(conflict.current::<Account>().unwrap(), updated);
    let many = accounts.get_many(["bob", "alice"]).await.unwrap();
    assert_eq!(many, [None, Some(updated.clone())]);
    assert_eq!(accounts.delete(&updated).await.unwrap(), dynalock::Deleted::Now);
    assert!(matches!(accounts.save(&mut account).await, Err(Error::NotFound)));
    assert_eq!(stage.operations().len(), 11);
}
