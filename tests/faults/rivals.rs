//! Another writer comes between two attempts.

use aws_sdk_dynamodb::types::AttributeValue;
use dynalock::testing::Fault;
use dynalock::{Deleted, Error, Table, Versioned};
use dynalock_tests::runtimes::retry;
use serde::{Deserialize, Serialize};

use crate::calls::{Call, Done, Ended};
use crate::foreign::{Foreign, Item, number};
use crate::world::{Account, Holder, Stamps, World, both, breakdown};

/// Runs `call` into `faults`, and lets `rival` write before the next attempt arrives.
pub(crate) async fn raced(
    call: Call,
    world: &World,
    faults: &[Fault],
    rival: impl Future<Output = ()>,
) -> Ended {
    match world.stamps {
        Stamps::On => raced_on(&world.table, call, world, faults, rival).await,
        Stamps::Off => raced_on(&world.bare, call, world, faults, rival).await,
    }
}

/// As `raced`, for items of any struct.
pub(crate) async fn raced_on<T: Holder>(
    table: &Table<T>,
    call: Call,
    world: &World,
    faults: &[Fault],
    rival: impl Future<Output = ()>,
) -> Ended {
    world.faults.script(call.operation(), faults.iter().cloned());
    let next = faults.last().map_or(call.operation(), |fault| call.next_after(fault));
    world.overtaken(call.run_on(table, retry(faults)), next, rival).await
}

async fn rival_writes(world: &World) {
    world.rival.update("alice", |alice| alice.balance = -1).await.unwrap();
}

/// Row 12, without stamps: a rival made the step into the very version that the lost request wanted, and nothing tells
/// whose it is.
pub(crate) async fn a_rivals_write_after_a_lost_request_leaves_the_outcome_unknown_where_there_are_no_stamps()
{
    for call in Call::CHANGES {
        for lost in [Fault::RequestLost, breakdown()] {
            let world = World::of(Stamps::Off).await;
            let ended = raced(call, &world, &[lost], rival_writes(&world)).await;
            assert!(matches!(ended.result, Err(Error::OutcomeUnknown(_))), "{call:?}: {ended:?}");
            ended.assert_untouched(call);
            assert_eq!(
                world.stored("alice").await.unwrap(),
                Account { balance: -1, version: 2, ..Account::alice() }
            );
        }
    }
}

/// Row 12, cleanly: nothing was in doubt, so the closure runs again on what the rival wrote.
pub(crate) async fn a_rivals_write_after_a_refused_connection_is_a_conflict_and_never_lost() {
    for call in Call::CHANGES {
        let world = World::new().await;
        let ended = raced(call, &world, &[Fault::ConnectionRefused], rival_writes(&world)).await;
        let stored = world.stored("alice").await.unwrap();
        if call.reads_first() {
            assert_eq!(ended.result.unwrap(), Done::Written(3), "{call:?}");
            assert_eq!(ended.runs, 2, "{call:?}");
            assert_eq!(stored, Account { balance: 4, version: 3, ..Account::alice() });
        } else {
            let Err(Error::Conflict(conflict)) = &ended.result else { panic!("{call:?}: {ended:?}") };
            assert_eq!((conflict.expected(), conflict.actual()), (1, Some(2)));
            assert_eq!(conflict.current::<Account>().unwrap(), stored);
            assert_eq!(stored, Account { balance: -1, version: 2, ..Account::alice() });
            ended.assert_untouched(call);
        }
    }
}

/// Row 13.
pub(crate) async fn a_rival_that_writes_identical_content_is_a_conflict() {
    let world = World::new().await;
    let mut ours = Account { balance: 55, ..Account::alice() };
    world.rival.save(&mut ours.clone()).await.unwrap();
    let error = world.table.save(&mut ours).await.unwrap_err();
    assert!(matches!(error, Error::Conflict(_)), "{error:?}");
    assert_eq!(ours.version, 1);
}

/// Row 18, and the same after a doubt, which remains where nothing tells whose item it is.
pub(crate) async fn a_rival_that_creates_first_is_told_unless_a_reply_was_lost_without_stamps() {
    let theirs = Account { balance: 999, ..Account::bob() };
    for (lost, stamps) in both([Fault::ConnectionRefused, Fault::RequestLost]) {
        let unknown = matches!(lost, Fault::RequestLost) && stamps == Stamps::Off;
        let world = World::of(stamps).await;
        let rival = async {
            world.rival.create(&mut theirs.clone()).await.unwrap();
        };
        let ended = raced(Call::Create, &world, &[lost], rival).await;
        match &ended.result {
            Err(Error::OutcomeUnknown(_)) if unknown => {}
            Err(Error::AlreadyExists(there)) if !unknown => {
                assert_eq!(there.current::<Account>().unwrap(), Account { version: 1, ..theirs.clone() });
            }
            other => panic!("{other:?}"),
        }
        ended.assert_untouched(Call::Create);
        assert_eq!(world.stored("bob").await.unwrap().balance, 999);
    }
}

/// `AlreadyExists` lets `update_or_create` change what is there.
#[tokio::test(start_paused = true)]
async fn update_or_create_changes_what_a_rival_created_meanwhile() {
    for lost in [Fault::ConnectionRefused, Fault::RequestLost] {
        let world = World::new().await;
        let rival = async {
            world.rival.create(&mut Account { balance: 30, ..Account::bob() }).await.unwrap();
        };
        let ended = raced(Call::CreateFresh, &world, &[lost], rival).await;
        assert_eq!((ended.result.unwrap(), ended.runs), (Done::Written(2), 2));
        assert_eq!(world.stored("bob").await.unwrap().balance, 35);
    }

    let world = World::of(Stamps::Off).await;
    let rival = async {
        world.rival.create(&mut Account { balance: 30, ..Account::bob() }).await.unwrap();
    };
    let ended = raced(Call::CreateFresh, &world, &[Fault::RequestLost], rival).await;
    assert!(matches!(ended.result, Err(Error::OutcomeUnknown(_))), "{ended:?}");
    assert_eq!((ended.runs, world.stored("bob").await.unwrap().balance), (1, 30));
}

/// Rows 19 and 50, after a rival's delete: whose it was is known only where nothing was in doubt.
pub(crate) async fn a_delete_that_comes_after_a_rivals_is_already_gone() {
    for (lost, gone) in [
        (Fault::ConnectionRefused, Deleted::AlreadyGone),
        (Fault::RequestLost, Deleted::NowOrBefore),
        (Fault::ReplyLost, Deleted::NowOrBefore),
    ] {
        let world = World::new().await;
        let rival = async {
            world.rival.delete(&Account::alice()).await.unwrap();
        };
        let ended = raced(Call::Delete, &world, &[lost], rival).await;
        assert_eq!(ended.result.unwrap(), Done::Gone(gone));
        assert_eq!(world.stored("alice").await, None);
    }
}

/// Row 20.
pub(crate) async fn a_delete_whose_reply_is_lost_before_a_rival_creates_again_is_unknown() {
    let world = World::new().await;
    let rival = async {
        let mut alice = Account { balance: 1, ..Account::alice() };
        world.rival.create(&mut alice).await.unwrap();
        world.rival.save(&mut alice).await.unwrap();
    };
    let ended = raced(Call::Delete, &world, &[Fault::ReplyLost], rival).await;
    assert!(matches!(ended.result, Err(Error::OutcomeUnknown(_))), "{ended:?}");
    assert_eq!(world.stored("alice").await.unwrap().version, 2);
}

/// Without a doubt, another version is a conflict for a delete too.
#[tokio::test(start_paused = true)]
async fn a_delete_of_an_item_that_a_rival_changed_is_a_conflict() {
    let world = World::new().await;
    let ended = raced(Call::Delete, &world, &[Fault::ConnectionRefused], rival_writes(&world)).await;
    assert!(matches!(ended.result, Err(Error::Conflict(_))), "{ended:?}");
    assert_eq!(world.stored("alice").await.unwrap().version, 2);
}

/// Row 21.
pub(crate) async fn a_rivals_delete_is_not_found_unless_a_reply_was_lost() {
    let change = |call: &Call| *call != Call::UpdateExisting;
    for call in Call::CHANGES.into_iter().filter(change) {
        for (faults, unknown) in [(&[][..], false), (&[Fault::RequestLost], true)] {
            let world = World::new().await;
            let rival = async {
                world.rival.delete(&Account::alice()).await.unwrap();
            };
            let ended = raced(call, &world, faults, rival).await;
            match &ended.result {
                Err(Error::OutcomeUnknown(_)) if unknown => {}
                Err(Error::NotFound) if !unknown => {}
                other => panic!("{call:?}: {other:?}"),
            }
            ended.assert_untouched(call);
            assert_eq!(world.stored("alice").await, None, "{call:?}: nothing is resurrected");
        }
    }
}

/// Row 21, for a call that creates what it doesn't find: afresh after a clean answer, not after a doubt.
pub(crate) async fn update_or_create_creates_after_a_rivals_delete_unless_a_reply_was_lost() {
    for (faults, unknown) in [(&[][..], false), (&[Fault::RequestLost], true)] {
        let world = World::new().await;
        world.faults.script("UpdateItem", faults.iter().cloned());
        let call = world.table.update_or_create(
            "alice",
            || Account { balance: 0, ..Account::alice() },
            |alice| alice.balance += 5,
        );
        let rival = async {
            world.rival.delete(&Account::alice()).await.unwrap();
        };
        let result = world.overtaken(call.into_future(), "UpdateItem", rival).await;
        let stored = world.stored("alice").await;
        if unknown {
            assert!(matches!(result, Err(Error::OutcomeUnknown(_))), "{result:?}");
            assert_eq!(stored, None);
        } else {
            assert_eq!(result.unwrap().balance, 5);
            assert_eq!(stored, Some(Account { balance: 5, ..Account::alice() }));
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
struct Counter {
    #[dynalock(partition_key)]
    id: String,
    count: u32,
    #[dynalock(version, step = 2)]
    version: u64,
}

/// A version between ours and the one that we wanted is a rival's, and from there our step can never be made: a conflict
/// even after a doubt, and the closure may run again.
#[tokio::test(start_paused = true)]
async fn a_version_in_between_is_a_definite_conflict_even_after_a_lost_request() {
    let world = World::new().await;
    let (counters, rivals) = (world.table_of::<Counter>(), world.rival_of::<Counter>());
    rivals.create(&mut Counter { id: "c".into(), count: 0, version: 0 }).await.unwrap();
    let foreign = async {
        let one = AttributeValue::N("1".into());
        let ours = world.store.client().update_item().table_name("accounts");
        let ours = ours.key("id", AttributeValue::S("c".into()));
        let ours =
            ours.update_expression("ADD version :one, #c :one").expression_attribute_names("#c", "count");
        Box::pin(ours.expression_attribute_values(":one", one).send()).await.unwrap();
    };
    world.faults.script("UpdateItem", [Fault::RequestLost]);
    let mut runs = 0;
    let update = counters.update("c", |counter| {
        runs += 1;
        counter.count += 10;
    });
    let updated = world.overtaken(update.into_future(), "UpdateItem", foreign).await;
    assert_eq!(updated.unwrap(), Counter { id: "c".into(), count: 11, version: 4 });
    assert_eq!(runs, 2);
}

/// Row 35: a mapper adopts the item, between read and write, to version 0.
pub(crate) async fn an_adoption_to_version_0_between_read_and_write_is_a_conflict() {
    for (lost, unknown) in [(Fault::ConnectionRefused, false), (Fault::RequestLost, true)] {
        let world = World::new().await;
        let foreign = Foreign::of(&world);
        let id = AttributeValue::S("old".into());
        foreign.put(Item::from([("id".to_owned(), id), ("balance".to_owned(), number(1))])).await;
        world.faults.script("UpdateItem", [lost]);
        let mut runs = 0;
        let update = world.table.update("old", |old| {
            runs += 1;
            old.balance += 5;
        });
        let updated =
            world.overtaken(update.into_future(), "UpdateItem", foreign.put_known("old", 50, 0)).await;
        let stored = world.stored("old").await.unwrap();
        if unknown {
            assert!(matches!(updated, Err(Error::OutcomeUnknown(_))), "{updated:?}");
            assert_eq!((stored.balance, stored.version, runs), (50, 0, 1));
        } else {
            assert_eq!(updated.unwrap(), stored);
            assert_eq!((stored.balance, stored.version, runs), (55, 1, 2));
        }
    }
}
