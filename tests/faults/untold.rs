//! A store that refuses a failed check without telling the item: one read tells, then the table of verdicts answers.

use dynalock::testing::Fault;
use dynalock::{Condition, Deleted, Error, Result};

use crate::calls::{Call, Done};
use crate::world::{Account, Stamps, World, always, both, refusal};

/// A world in which alice has moved on to version 2, and bob exists.
async fn moved_on() -> World {
    let world = World::new().await;
    world.rival.update("alice", |alice| alice.balance = 1).await.unwrap();
    world.rival.create(&mut Account::bob()).await.unwrap();
    world
}

const HELD: [Call; 5] = [Call::Create, Call::Save, Call::Replace, Call::Touch, Call::Delete];

/// Row 26.
pub(crate) async fn one_consistent_read_finds_the_item_that_a_clean_refusal_did_not_tell() {
    for call in HELD {
        let world = moved_on().await;
        world.faults.script(call.operation(), [Fault::ItemWithheld]);
        let ended = call.run(&world).await;
        let conflict = match &ended.result {
            Err(Error::AlreadyExists(there)) if call == Call::Create => there,
            Err(Error::Conflict(conflict)) if call != Call::Create => conflict,
            other => panic!("{call:?}: {other:?}"),
        };
        let stored = world.stored(call.id()).await.unwrap();
        assert_eq!(conflict.current::<Account>().unwrap(), stored, "{call:?}");
        ended.assert_untouched(call);
        assert_eq!(world.sent.operations(), [call.operation(), "GetItem"]);
        assert_eq!(world.sent.sent()[1].body["ConsistentRead"], true, "{call:?}");
    }
}

/// Row 26, after a doubt.
pub(crate) async fn a_read_after_a_doubt_finds_the_rivals_stamp_or_leaves_the_outcome_unknown() {
    for (call, stamps) in both(HELD) {
        let world = World { stamps, ..moved_on().await };
        world.faults.script(call.operation(), [Fault::RequestLost]);
        let mut operations = vec![call.operation(), "GetItem"];
        if call != Call::Create {
            world.faults.script(call.operation(), [Fault::ItemWithheld]);
            operations.insert(0, call.operation());
        }
        let ended = call.run(&world).await;
        match &ended.result {
            Err(Error::OutcomeUnknown(_)) if call == Call::Delete || stamps == Stamps::Off => {}
            Err(Error::AlreadyExists(_)) if call == Call::Create && stamps == Stamps::On => {}
            Err(Error::Conflict(_)) if Call::CHANGES.contains(&call) && stamps == Stamps::On => {}
            other => panic!("{call:?} {stamps:?}: {other:?}"),
        }
        ended.assert_untouched(call);
        assert_eq!(world.sent.operations(), operations);
    }
}

/// Row 26, where the read finds that the item in the way is gone.
pub(crate) async fn a_create_that_an_item_refused_which_is_gone_is_sent_again() {
    let world = World::new().await;
    world.rival.create(&mut Account::bob()).await.unwrap();
    world.faults.script("PutItem", [Fault::ItemWithheld]);
    let reads = world.faults.hold_up("GetItem");
    let mut bob = Account { balance: 8, ..Account::bob() };
    let (created, ()) = tokio::join!(world.table.create(&mut bob).into_future(), async {
        reads.reached().await;
        let theirs = world.rival.get("bob").await.unwrap().unwrap();
        world.rival.delete(&theirs).await.unwrap();
        reads.open();
    });
    created.unwrap();
    assert_eq!((bob.version, world.stored("bob").await), (1, Some(bob)));
    assert_eq!(world.sent.operations()[..3], ["PutItem", "GetItem", "PutItem"]);
}

/// Row 26, after a lost reply: what the read finds has the stamp. (A create reads in any case.)
pub(crate) async fn a_read_after_a_lost_reply_finds_the_stamp() {
    for (call, stamps) in both(HELD.into_iter().filter(|call| !call.creates())) {
        let world = World::of(stamps).await;
        world.faults.script(call.operation(), [Fault::ReplyLost, Fault::ItemWithheld]);
        call.run(&world).await.assert_lost(call, &world).await;
        assert_eq!(world.sent.operations(), [call.operation(), call.operation(), "GetItem"]);
    }
}

/// Row 26, with a condition that the caller gave.
pub(crate) async fn a_read_tells_that_the_condition_and_not_the_version_was_wrong() {
    for lost in [Fault::ConnectionRefused, Fault::RequestLost] {
        let world = World::new().await;
        world.faults.script("UpdateItem", [lost, Fault::ItemWithheld]);
        let rich = Condition::new("balance > :least").value(":least", 1000);
        let error = world.table.touch(&mut Account::alice()).condition(rich).await.unwrap_err();
        assert!(matches!(error, Error::ConditionFailed(_)), "{error:?}");
    }
}

/// Row 26, where the item vanished.
pub(crate) async fn a_read_that_finds_nothing_is_not_found_or_already_gone() {
    for (lost, unknown) in [(Fault::ConnectionRefused, false), (Fault::RequestLost, true)] {
        for call in [Call::Save, Call::Replace, Call::Touch, Call::Delete] {
            let world = World::new().await;
            world.rival.delete(&Account::alice()).await.unwrap();
            world.faults.script(call.operation(), [lost.clone()]);
            let ended = call.run(&world).await;
            match &ended.result {
                Ok(Done::Gone(Deleted::AlreadyGone)) if call == Call::Delete && !unknown => {}
                Ok(Done::Gone(Deleted::NowOrBefore)) if call == Call::Delete && unknown => {}
                Err(Error::OutcomeUnknown(_)) if unknown && call != Call::Delete => {}
                Err(Error::NotFound) if !unknown && call != Call::Delete => {}
                other => panic!("{call:?}: {other:?}"),
            }
            assert_eq!(world.stored("alice").await, None);
        }
    }
}

/// Row 26, where the read fails too.
pub(crate) async fn a_read_that_fails_makes_a_conflict_without_an_item_or_an_unknown_outcome() {
    for (lost, unknown) in [(Fault::ConnectionRefused, false), (Fault::RequestLost, true)] {
        for read in [always(&refusal("AccessDeniedException")), always(&Fault::RequestLost)] {
            for call in HELD {
                let world = moved_on().await;
                world.faults.script(call.operation(), [lost.clone(), Fault::ItemWithheld]);
                world.faults.script("GetItem", read.clone());
                let ended = call.run(&world).await;
                match &ended.result {
                    Err(Error::OutcomeUnknown(_)) if unknown => {}
                    Err(Error::Conflict(conflict)) if !unknown => {
                        assert_eq!((conflict.actual(), conflict.item()), (None, None));
                        assert!(conflict.current::<Account>().is_err());
                    }
                    other => panic!("{call:?}: {other:?}"),
                }
                ended.assert_untouched(call);
            }
        }
    }
}

/// An `update` needs the item to go on, and reads it itself.
#[tokio::test(start_paused = true)]
async fn an_update_goes_on_from_a_conflict_without_an_item() {
    let world = World::new().await;
    let mut runs = 0;
    // Told nothing, and refused the read for what was not told: a conflict without an item.
    world.faults.script("UpdateItem", [Fault::ConnectionRefused, Fault::ItemWithheld]);
    world.faults.script("GetItem", [Fault::Pass, refusal("AccessDeniedException")]);
    let (rival, handle) = (world.rival.clone(), tokio::runtime::Handle::current());
    let update = world.table.update("alice", |alice| {
        runs += 1;
        alice.balance += 5;
        if runs == 1 {
            let rival = rival.clone();
            handle.spawn(async move { rival.update("alice", |alice| alice.balance = 1).await });
        }
    });
    assert_eq!((update.await.unwrap().balance, runs), (6, 2));
    assert!(world.faults.is_over());
}

/// Creates bob. The create is applied and its reply lost, and a rival deletes the item again before it is read.
async fn create_in_doubt(world: &World, condition: Option<Condition>) -> Result<()> {
    world.faults.script("PutItem", [Fault::ReplyLost]);
    let mut bob = Account::bob();
    let rival = async {
        let created = world.stored("bob").await.unwrap();
        world.rival.delete(&created).await.unwrap();
    };
    let create = world.table.create(&mut bob);
    let create = match condition {
        Some(condition) => create.condition(condition),
        None => create,
    };
    world.overtaken(create.into_future(), "GetItem", rival).await
}

/// A read that finds nothing must not let the create be sent once more: that would be its second effect, and undo the delete.
#[tokio::test(start_paused = true)]
async fn a_create_in_doubt_is_not_sent_again_because_a_read_finds_nothing() {
    let world = World::new().await;
    let result = create_in_doubt(&world, None).await;
    assert_eq!(world.stored("bob").await, None, "{result:?}");
    assert!(matches!(result, Err(Error::OutcomeUnknown(_))), "{result:?}");
}

/// The same with a condition: what the read finds says nothing about what was there when the check failed.
#[tokio::test(start_paused = true)]
async fn a_create_in_doubt_is_not_refused_because_a_read_finds_nothing() {
    let world = World::new().await;
    let condition = Condition::new("attribute_not_exists(balance)");
    let result = create_in_doubt(&world, Some(condition)).await;
    assert!(matches!(result, Err(Error::OutcomeUnknown(_))), "{result:?}");
}
