//! What the documentation shows compiles and runs, and futures go where futures go.

use std::{collections::HashMap, rc::Rc, time::Duration};

use dynalock::{Condition, Deleted, Error, Retry, Table, Versioned};
use dynalock_tests::engines;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, Versioned)]
struct Account {
    #[dynalock(partition_key)]
    id: String,
    balance: i64,
    #[dynalock(version)]
    version: u64,
}

#[derive(Debug)]
enum Refused {
    Overdrawn,
    #[expect(dead_code, reason = "shown if a test fails")]
    Store(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

fn account(id: &str) -> Account {
    Account { id: id.into(), balance: 100, version: 0 }
}

async fn accounts() -> Table<Account> {
    let client = engines::client().await;
    let accounts = Table::<Account>::new(&client, engines::table_name());
    accounts.create_table().await.unwrap();
    accounts
}

#[tokio::test]
async fn the_first_screen_works() -> Result<(), Refused> {
    let accounts = accounts().await;

    let mut alice = Account { id: "alice".into(), balance: 100, version: 0 };
    accounts.create(&mut alice).await?;
    assert_eq!(alice.version, 1);

    let mut alice = accounts.get("alice").await?.expect("exists");
    alice.balance -= 30;
    accounts.save(&mut alice).await?;
    assert_eq!((alice.balance, alice.version), (70, 2));

    let alice = accounts.update("alice", |a| a.balance += 5).await?;
    assert_eq!((alice.balance, alice.version), (75, 3));
    let withdraw = |a: &mut Account| {
        if a.balance < 50 {
            return Err(Refused::Overdrawn);
        }
        a.balance -= 50;
        Ok(())
    };
    let alice = accounts.try_update("alice", withdraw).await?;
    assert_eq!((alice.balance, alice.version), (25, 4));
    let refused = accounts.try_update("alice", withdraw).await;
    assert!(matches!(refused, Err(Refused::Overdrawn)), "{refused:?}");
    assert_eq!(accounts.delete(&alice).await?, Deleted::Now);
    Ok(())
}

#[tokio::test]
async fn the_other_calls_work() -> dynalock::Result<()> {
    if engines::skipped(&["aws"], engines::MAY_READ_OLD) {
        return Ok(());
    }
    let accounts = accounts().await;
    let name = "alice".to_owned();
    let alice = accounts.update_or_create("alice", || account("alice"), |a| a.balance += 1).await?;
    let mut alice = accounts.get(&name).eventually_consistent().await?.unwrap_or(alice);
    accounts.replace(&mut alice).await?;
    accounts.touch(&mut alice).await?;
    accounts
        .save(&mut alice)
        .condition(Condition::new("balance >= :min").value(":min", 10))
        .condition(Condition::new("#i = :id").name("#i", "id").value(":id", &name))
        .retry(Retry::none())
        .await?;
    let patient = Retry::default().attempts(20).deadline(Duration::from_secs(5));
    let alice = accounts.update(&name, |a| a.balance += 5).retry(patient).await?;
    assert_eq!((alice.balance, alice.version), (106, 5));
    let many = accounts.get_many(["bob", "alice"]).retry(patient).await?;
    assert!(many[0].is_none() && many[1].as_ref().is_some_and(|alice| alice.version == 5));

    let mut stale = Account { version: 2, ..alice };
    match accounts.save(&mut stale).await {
        Err(Error::Conflict(c)) => {
            let theirs: Account = c.current()?;
            assert_eq!((c.expected(), c.actual(), theirs.balance), (2, Some(5), 106));
        }
        other => panic!("{other:?}"),
    }
    Ok(())
}

#[tokio::test]
async fn a_write_is_a_builder_of_the_sdk() -> Result<(), Box<dyn std::error::Error>> {
    let client = engines::client().await;
    let table = engines::table_name();
    let accounts = Table::<Account>::new(&client, &table);
    accounts.create_table().await?;
    let mut alice = account("alice");
    accounts.create(&mut alice).await?;
    alice.balance = 1;
    let write = alice.save_write()?;
    let request = write.update_item(&client, &table);
    request.send().await?;
    assert_eq!(accounts.get("alice").await?.expect("exists").balance, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_can_be_spawned() {
    let accounts = accounts().await;
    tokio::spawn(accounts.update_or_create("alice", || account("alice"), |_| {}).into_future())
        .await
        .unwrap()
        .unwrap();
    let got = tokio::spawn(accounts.get("alice").into_future());
    let updated = tokio::spawn(accounts.update("alice", |a| a.balance += 1).into_future());
    let tried = tokio::spawn(accounts.try_update("alice", |_| Ok::<_, Error>(())).into_future());
    let many = tokio::spawn(accounts.get_many(["alice"]).into_future());
    assert!(got.await.unwrap().unwrap().is_some());
    assert_eq!(updated.await.unwrap().unwrap().balance, 101);
    assert_eq!(tried.await.unwrap().unwrap().id, "alice");
    assert_eq!(many.await.unwrap().unwrap().len(), 1);

    let written = tokio::spawn(async move {
        accounts.create_table().await?;
        let mut bob = account("bob");
        accounts.create(&mut bob).await?;
        accounts.save(&mut bob).await?;
        accounts.replace(&mut bob).await?;
        accounts.touch(&mut bob).await?;
        let mut others = [account("carol"), account("dave")];
        accounts.create_all(&mut others).on_completed(|place, _| assert!(place < 2)).await.into_result()?;
        accounts.save_all(&mut others).concurrency(1).await.into_result()?;
        accounts.delete_all(&others).retry(Retry::default()).await.into_result()?;
        accounts.delete(&bob).condition(Condition::new("attribute_exists(id)")).await
    });
    assert_eq!(written.await.unwrap().unwrap(), Deleted::Now);
}

#[tokio::test]
async fn many_calls_can_be_joined() {
    let accounts = accounts().await;
    let mut objects: Vec<Account> = (0..10).map(|number| account(&format!("a{number}"))).collect();
    let creates: Vec<_> = objects.iter_mut().map(|object| accounts.create(object).into_future()).collect();
    for create in creates {
        create.await.unwrap();
    }
    assert!(objects.iter().all(|object| object.version == 1));
    let mut tasks = tokio::task::JoinSet::new();
    for object in &objects {
        tasks.spawn(accounts.update(&object.id, |a| a.balance += 1).into_future());
    }
    let updated = tasks.join_all().await;
    assert!(updated.iter().all(|updated| updated.as_ref().is_ok_and(|a| a.balance == 101)));
    let (first, second) = tokio::join!(accounts.get("a0").into_future(), accounts.get("a1").into_future());
    assert!(first.unwrap().is_some() && second.unwrap().is_some());
}

#[tokio::test]
async fn a_batch_takes_whatever_holds_its_objects() -> dynalock::Result<()> {
    let accounts = accounts().await;
    let mut listed = vec![account("a"), account("b")];
    accounts.create_all(&mut listed).await.into_result()?;
    accounts.save_all(&mut listed[1..]).await.into_result()?;
    let mut named: HashMap<_, _> = listed.into_iter().map(|account| (account.id.clone(), account)).collect();
    accounts.save_all(named.values_mut().filter(|account| account.version == 1)).await.into_result()?;
    assert!(named.values().all(|account| account.version == 2));

    let mut failed = Vec::new();
    let stale = [account("a"), Account { version: 2, ..account("b") }];
    let deleted = accounts.delete_all(&stale).on_completed(|place, outcome| {
        if outcome.is_err() {
            failed.push(place);
        }
    });
    for outcome in &deleted.await {
        assert!(matches!(outcome, Ok(Deleted::Now) | Err(Error::Conflict(_))), "{outcome:?}");
    }
    assert_eq!(failed, [0]);
    Ok(())
}

#[tokio::test]
async fn a_closure_may_borrow_what_is_around_it() {
    let accounts = accounts().await;
    accounts.create(&mut account("alice")).await.unwrap();
    let (mut runs, by) = (0, 5);
    let update = accounts.update("alice", |a| {
        runs += 1;
        a.balance += by;
    });
    assert_eq!(update.await.unwrap().balance, 105);
    assert_eq!(runs, 1);
}

#[tokio::test]
async fn an_error_that_is_not_send_can_be_awaited_in_place() {
    #[derive(Debug)]
    struct Local(#[expect(dead_code, reason = "it only makes the type stay on its thread")] Rc<()>);

    impl From<Error> for Local {
        fn from(_: Error) -> Self {
            Self(Rc::new(()))
        }
    }

    let accounts = accounts().await;
    accounts.create(&mut account("alice")).await.unwrap();
    assert!(accounts.try_update("alice", |_| Err(Local(Rc::new(())))).await.is_err());
    let changed = accounts.try_update("alice", |a| {
        a.balance = 1;
        Ok::<_, Local>(())
    });
    assert_eq!(changed.await.unwrap().balance, 1);
}

fn is_send<T: Send>(value: T) -> T {
    value
}

#[tokio::test]
async fn calls_and_their_futures_are_send_and_small() {
    let accounts = accounts().await;
    let mut alice = account("alice");
    accounts.create(&mut alice).await.unwrap();

    macro_rules! small {
        ($($call:expr;)*) => {$(
            let call = is_send($call);
            assert!(size_of_val(&call) <= 1024, "the builder of {}: {}", stringify!($call), size_of_val(&call));
            let future = is_send(call.into_future());
            assert!(size_of_val(&future) <= 1024, "the future of {}: {}", stringify!($call), size_of_val(&future));
            drop(future);
            let awaiting = async { $call.await };
            assert!(size_of_val(&awaiting) <= 1024, "awaiting {}: {}", stringify!($call), size_of_val(&awaiting));
            drop(awaiting);
        )*};
    }
    small! {
        accounts.get("alice");
        accounts.get_many(["alice"]);
        accounts.create(&mut alice);
        accounts.save(&mut alice);
        accounts.replace(&mut alice);
        accounts.touch(&mut alice);
        accounts.delete(&alice);
        accounts.create_all([&mut alice]);
        accounts.save_all([&mut alice]).on_completed(|_, _| {});
        accounts.delete_all([&alice]);
        accounts.update("alice", |a| a.balance += 1);
        accounts.try_update("alice", |_| Ok::<_, Error>(()));
        accounts.update_or_create("alice", || account("alice"), |_| {});
        accounts.save(&mut alice).condition(Condition::new("a = :a").value(":a", 1)).retry(Retry::none());
    }
    is_send(accounts.create_table()).await.unwrap();
}

#[test]
fn a_table_is_shared_between_threads_whatever_its_items_are() {
    fn is_shared<T: Clone + Send + Sync>() {}
    is_shared::<Table<Rc<()>>>();
    is_shared::<Table<Account>>();
}

#[test]
fn errors_go_wherever_errors_go() {
    fn is_error<T: std::error::Error + Send + Sync + 'static>() {}
    is_error::<Error>();
    assert!(size_of::<Error>() <= 64);
}
