//! The classic ways in which transactions that each look right come to a wrong end together.
//!
//! First each of them for certain: a rival acts between the first run's reads, or between its reads and its commit. Then the
//! same with many at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use aws_sdk_dynamodb::Client;
use dynalock::{Error, Table, Tx, transact};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::accounts::{Account, Refused, bank};
use crate::stage::Stage;

/// Doctors are on call if their balance is 1. Goes off call if another doctor stays.
async fn go_off(tx: &Tx, doctors: &Table<Account>, names: &[&str], me: &str) -> Result<Account, Refused> {
    let (mut on_call, mut mine) = (0, None);
    for name in names {
        let doctor = tx.get(doctors, *name).await?.ok_or(Refused::NoAccount)?;
        on_call += doctor.balance;
        if *name == me {
            mine = Some(doctor);
        }
    }
    if on_call < 2 {
        return Err(Refused::Overdrawn);
    }
    let mut mine = mine.ok_or(Refused::NoAccount)?;
    mine.balance = 0;
    Ok(mine)
}

#[tokio::test]
async fn of_two_doctors_on_call_one_stays() {
    let stage = Stage::with([("alice", 1), ("bob", 1)]).await;
    let (doctors, names, runs) = (&stage.accounts, ["alice", "bob"], AtomicU32::new(0));
    let answer = transact(&stage.client, async |tx| {
        let alice = go_off(&tx, doctors, &names, "alice").await?;
        tx.save(doctors, alice)?;
        if runs.fetch_add(1, Ordering::Relaxed) == 0 {
            transact(&stage.client, async |tx| {
                let bob = go_off(&tx, doctors, &names, "bob").await?;
                tx.save(doctors, bob)?;
                Ok::<_, Refused>(())
            })
            .await?;
        }
        Ok(())
    })
    .await;
    assert!(matches!(answer, Err(Refused::Overdrawn)), "{answer:?}");
    assert_eq!(runs.into_inner(), 1, "the second run sees that nobody else is on call");
    assert_eq!(stage.stored("alice").await["balance"], 1);
}

/// Lets the tasks begin at once, each with its number.
async fn all_at_once<F>(tasks: usize, task: impl Fn(usize) -> F) -> Vec<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    let (begin, mut set) = (Arc::new(Barrier::new(tasks)), JoinSet::new());
    for number in 0..tasks {
        let (begin, task) = (Arc::clone(&begin), task(number));
        set.spawn(async move {
            begin.wait().await;
            task.await
        });
    }
    set.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_doctors_on_call_one_stays() {
    const NAMES: [&str; 6] = ["alice", "bob", "carol", "dave", "erin", "frank"];
    for _ in 0..4 {
        let (client, doctors) = bank(NAMES.map(|name| (name, 1))).await;
        let answers = all_at_once(NAMES.len(), |number| {
            let (client, doctors) = (client.clone(), doctors.clone());
            async move {
                transact(&client, async |tx| {
                    let mine = go_off(&tx, &doctors, &NAMES, NAMES[number]).await?;
                    tx.save(&doctors, mine)?;
                    Ok::<_, Refused>(())
                })
                .await
            }
        })
        .await;
        let stayed = answers.iter().filter(|answer| matches!(answer, Err(Refused::Overdrawn))).count();
        let gone = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!((stayed, gone), (1, NAMES.len() - 1), "{answers:?}");
        let doctors = doctors.get_many(NAMES).await.unwrap();
        assert_eq!(doctors.into_iter().flatten().map(|doctor| doctor.balance).sum::<i64>(), 1);
    }
}

/// Changes both accounts, so that they are equal before and after.
async fn move_both(client: &Client, accounts: &Table<Account>) -> Result<(), Error> {
    transact(client, async |tx| {
        for id in ["alice", "bob"] {
            let mut account = tx.get(accounts, id).await?.expect("an account");
            account.balance += 1;
            tx.save(accounts, account)?;
        }
        Ok(())
    })
    .await
}

/// How a run ends that compares two items which were never unequal.
#[derive(Clone, Copy, Debug)]
enum End {
    Answer,
    Error,
    Write,
}

async fn compare(
    tx: &Tx,
    accounts: &Table<Account>,
    end: End,
    between: impl Future<Output = Result<(), Error>>,
) -> Result<(i64, i64), Refused> {
    let alice = tx.get(accounts, "alice").await?.ok_or(Refused::NoAccount)?;
    between.await?;
    let bob = tx.get(accounts, "bob").await?.ok_or(Refused::NoAccount)?;
    let both = (alice.balance, bob.balance);
    match end {
        End::Error if both.0 != both.1 => return Err(Refused::Overdrawn),
        End::Error | End::Answer => {}
        End::Write => {
            let mut carol = tx.get(accounts, "carol").await?.ok_or(Refused::NoAccount)?;
            carol.balance = bob.balance - alice.balance;
            tx.save(accounts, carol)?;
        }
    }
    Ok(both)
}

#[tokio::test]
async fn what_a_run_answers_refuses_or_writes_was_never_torn() {
    for end in [End::Answer, End::Error, End::Write] {
        let stage = Stage::with([("alice", 7), ("bob", 7), ("carol", 0)]).await;
        let (accounts, runs) = (&stage.accounts, AtomicU32::new(0));
        let seen = transact(&stage.client, async |tx| {
            let first = runs.fetch_add(1, Ordering::Relaxed) == 0;
            let between = async { if first { move_both(&stage.client, accounts).await } else { Ok(()) } };
            compare(&tx, accounts, end, between).await
        })
        .await;
        assert!(matches!(seen, Ok((8, 8))), "{end:?}: {seen:?}");
        assert_eq!(runs.into_inner(), 2, "{end:?}");
        assert_eq!(stage.stored("carol").await["balance"], 0, "{end:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_reader_of_two_moving_items_finds_them_torn() {
    let (client, accounts) = bank([("alice", 7), ("bob", 7), ("carol", 0)]).await;
    let writers_left = Arc::new(AtomicU32::new(2));
    let answers = all_at_once(5, |number| {
        let (client, accounts, writers_left) = (client.clone(), accounts.clone(), Arc::clone(&writers_left));
        async move {
            if number < 2 {
                for _ in 0..20 {
                    move_both(&client, &accounts).await?;
                }
                writers_left.fetch_sub(1, Ordering::Relaxed);
            }
            let end = [End::Answer, End::Error, End::Write][number.saturating_sub(2)];
            while writers_left.load(Ordering::Relaxed) > 0 {
                let between = || async {
                    tokio::task::yield_now().await;
                    Ok(())
                };
                let seen =
                    transact(&client, async |tx| compare(&tx, &accounts, end, between()).await).await?;
                assert_eq!(seen.0, seen.1, "{end:?}");
            }
            Ok::<_, Refused>(())
        }
    })
    .await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let carol = accounts.get("carol").await.unwrap().unwrap();
    assert_eq!(carol.balance, 0, "what was written was never torn either");
}

/// Creates a user and the item that claims the user's e-mail address, unless the address is taken.
async fn sign_up(tx: &Tx, table: &Table<Account>, user: i64) -> Result<(), Refused> {
    if tx.get(table, "email: a@example.com").await?.is_some() {
        return Err(Refused::Overdrawn);
    }
    tx.create(table, Account::new("email: a@example.com", user))?;
    tx.create(table, Account::new(&format!("user {user}"), user))?;
    Ok(())
}

#[tokio::test]
async fn an_address_that_was_free_when_it_was_read_is_not_claimed_twice() {
    let stage = Stage::with([]).await;
    let (table, runs) = (&stage.accounts, AtomicU32::new(0));
    let answer = transact(&stage.client, async |tx| {
        runs.fetch_add(1, Ordering::Relaxed);
        sign_up(&tx, table, 1).await?;
        transact(&stage.client, async |tx| sign_up(&tx, table, 2).await).await
    })
    .await;
    assert!(matches!(answer, Err(Refused::Overdrawn)), "{answer:?}");
    assert_eq!(runs.into_inner(), 2);
    assert_eq!(stage.stored("email: a@example.com").await["balance"], 2);
    assert_eq!(stage.rival.get("user 1").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_users_with_one_address_one_signs_up() {
    for _ in 0..4 {
        let (client, table) = bank([]).await;
        let answers = all_at_once(8, |user| {
            let (client, table) = (client.clone(), table.clone());
            async move {
                let user = i64::try_from(user).unwrap();
                let answer = transact(&client, async |tx| sign_up(&tx, &table, user).await).await;
                (user, answer)
            }
        })
        .await;
        let claimed = table.get("email: a@example.com").await.unwrap().unwrap();
        for (user, answer) in answers {
            let is_owner = claimed.balance == user;
            assert!(
                matches!((&answer, is_owner), (Ok(()), true) | (Err(Refused::Overdrawn), false)),
                "{answer:?}"
            );
            assert_eq!(table.get(format!("user {user}")).await.unwrap().is_some(), is_owner);
        }
    }
}

/// Alice's money may be spent while nobody holds it, and held while it is there.
#[tokio::test]
async fn an_absence_that_a_write_rests_on_still_holds_when_it_is_committed() {
    let stage = Stage::with([("alice", 1)]).await;
    let (accounts, held) = (&stage.accounts, AtomicBool::new(false));
    let spent = transact(&stage.client, async |tx| {
        if tx.get(accounts, "hold").await?.is_some() {
            return Err(Refused::Overdrawn);
        }
        let mut alice = tx.get(accounts, "alice").await?.ok_or(Refused::NoAccount)?;
        if !held.swap(true, Ordering::Relaxed) {
            transact(&stage.client, async |tx| {
                let alice = tx.get(accounts, "alice").await?.ok_or(Refused::NoAccount)?;
                tx.create(accounts, Account::new("hold", alice.balance))?;
                Ok::<_, Refused>(())
            })
            .await?;
        }
        alice.balance = 0;
        tx.save(accounts, alice)?;
        Ok(())
    })
    .await;
    assert!(matches!(spent, Err(Refused::Overdrawn)), "{spent:?}");
    assert_eq!(stage.stored("alice").await["balance"], 1);
}
