//! A `transact` that changes one item and reads no other goes out as one conditional write: its stamp, and not a token,
//! tells what became of it. One that creates an item is a transaction, since a create must not be sent again without a token.

use std::future::IntoFuture;

use dynalock::testing::{Fault, Reply};
use dynalock::{Error, Table, transact};
use dynalock_tests::runtimes::retry;

use super::WRITE;
use crate::world::{Account, Bare, Holder, Stamps, World, both, breakdown_after, refusal};

/// Adds 5 to the account, which is made if it is not there, and returns the result and how often the closure ran.
async fn add<T: Holder>(world: &World, table: &Table<T>, id: &str) -> (Result<(), Error>, u32) {
    let mut runs = 0;
    let transaction = transact(&world.client, |tx| {
        runs += 1;
        async move {
            let stored = tx.get(table, id).await?;
            let is_new = stored.is_none();
            let mut account = stored.unwrap_or_else(|| T::from(Account::bob()));
            account.add(5);
            if is_new { tx.create(table, account) } else { tx.save(table, account) }
        }
    });
    let result = transaction.retry(retry(&[])).await;
    if id == "alice" {
        assert_eq!(world.sent.count(WRITE), 0, "half the cost of a transaction");
    } else {
        assert_eq!(world.sent.count("PutItem"), 0, "no create without a token");
    }
    (result, runs)
}

async fn add_to(world: &World, id: &str) -> (Result<(), Error>, u32) {
    match world.stamps {
        Stamps::On => add::<Account>(world, &world.table, id).await,
        Stamps::Off => add::<Bare>(world, &world.bare, id).await,
    }
}

/// Adds 5 to the account into `faults`, and lets `rival` write before the next attempt arrives.
async fn raced(
    world: &World,
    id: &str,
    faults: &[Fault],
    rival: impl Future<Output = ()>,
) -> (Result<(), Error>, u32) {
    let operation = if id == "bob" { WRITE } else { "UpdateItem" };
    world.faults.script(operation, faults.iter().cloned());
    world.overtaken(add_to(world, id), operation, rival).await
}

async fn rivals_write(world: &World, times: u32) {
    for _ in 0..times {
        world.rival.update("alice", |alice| alice.balance -= 1).await.unwrap();
    }
}

/// Rows 3 to 6, 17 and 40.
#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_found_out_by_the_stamp_and_is_unknown_without() {
    let strange = Fault::After(Reply::new(400, "RequestAborted"));
    let faults = [Fault::ReplyLost, breakdown_after(), Fault::NeverReplies, Fault::Truncated, strange];
    for (fault, stamps) in both(faults) {
        for (id, operation, balance) in [("alice", "UpdateItem", 105), ("bob", WRITE, 12)] {
            let world = World::of(stamps).await;
            world.faults.script(operation, [fault.clone()]);
            let (result, runs) = add_to(&world, id).await;
            match &result {
                Ok(()) if stamps == Stamps::On || id == "bob" => {}
                Err(Error::OutcomeUnknown(_)) if stamps == Stamps::Off && id == "alice" => {}
                other => panic!("{id} {fault:?} {stamps:?}: {other:?}"),
            }
            assert_eq!((runs, world.sent.count(operation)), (1, 2), "{id} {fault:?}");
            assert_eq!(world.stored(id).await.unwrap().balance, balance, "{id} {fault:?}: once");
        }
    }
}

/// Rows 8 and 9, with four slots.
pub(crate) async fn a_stamp_that_rivals_overwrote_leaves_the_outcome_unknown_and_runs_no_closure_again() {
    for rivals in 1..=6 {
        let world = World::new().await;
        let faults = [Fault::ReplyLost];
        let (result, runs) = raced(&world, "alice", &faults, rivals_write(&world, rivals)).await;
        match &result {
            Ok(()) if rivals <= 3 => {}
            Err(Error::OutcomeUnknown(_)) if rivals > 3 => {}
            other => panic!("{rivals} rivals: {other:?}"),
        }
        assert_eq!(runs, 1, "{rivals} rivals");
        let stored = world.stored("alice").await.unwrap();
        assert_eq!((stored.balance, stored.version), (105 - i64::from(rivals), u64::from(2 + rivals)));
    }
}

/// Row 12.
pub(crate) async fn a_rival_that_is_known_to_have_come_first_runs_the_closure_again() {
    for (lost, stamps) in both([Fault::ConnectionRefused, Fault::RequestLost]) {
        let unknown = matches!(lost, Fault::RequestLost) && stamps == Stamps::Off;
        let world = World::of(stamps).await;
        let (result, runs) =
            raced(&world, "alice", std::slice::from_ref(&lost), rivals_write(&world, 1)).await;
        let balance = world.stored("alice").await.unwrap().balance;
        if unknown {
            assert!(matches!(result, Err(Error::OutcomeUnknown(_))), "{result:?}");
            assert_eq!((runs, balance), (1, 99));
        } else {
            result.unwrap();
            assert_eq!((runs, balance), (2, 104));
        }

        let world = World::of(stamps).await;
        let rival = async {
            world.rival.create(&mut Account::bob()).await.unwrap();
        };
        let (result, runs) = raced(&world, "bob", &[lost], rival).await;
        let balance = world.stored("bob").await.unwrap().balance;
        result.unwrap();
        assert_eq!((runs, balance), (2, 12));
    }
}

/// Row 21: what was read is no longer there, so the closure reads again and decides afresh.
#[tokio::test(start_paused = true)]
async fn a_rivals_delete_runs_the_closure_again_unless_a_reply_was_lost() {
    for (faults, unknown) in [(&[][..], false), (&[Fault::RequestLost], true)] {
        let world = World::new().await;
        let mut runs = 0;
        let table = &world.table;
        world.faults.script("UpdateItem", faults.iter().cloned());
        let transaction = transact(&world.client, |tx| {
            runs += 1;
            async move {
                let Some(mut alice) = tx.get(table, "alice").await? else { return Ok(false) };
                alice.balance += 5;
                tx.save(table, alice)?;
                Ok::<_, Error>(true)
            }
        });
        let rival = async {
            world.rival.delete(&Account::alice()).await.unwrap();
        };
        let result = world.overtaken(transaction.into_future(), "UpdateItem", rival).await;
        match &result {
            Ok(was_there) => assert!(!unknown && !was_there),
            Err(error) => assert!(unknown && matches!(error, Error::OutcomeUnknown(_)), "{error:?}"),
        }
        assert_eq!(runs, if unknown { 1 } else { 2 });
        assert_eq!(world.stored("alice").await, None);
    }
}

/// Row 24.
#[tokio::test(start_paused = true)]
async fn another_transaction_in_the_way_runs_no_closure_again() {
    let world = World::new().await;
    world.faults.script("UpdateItem", vec![refusal("TransactionConflictException"); 4]);
    let (result, runs) = add_to(&world, "alice").await;
    result.unwrap();
    assert_eq!((runs, world.sent.count("UpdateItem")), (1, 5));
    assert_eq!(world.stored("alice").await.unwrap().balance, 105);
}
