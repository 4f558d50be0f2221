//! What a later read says about a write that ended in `OutcomeUnknown`.

use std::time::Duration;

use dynalock::testing::Fault;
use dynalock::{Error, Retry, UnknownOutcome};
use dynalock_tests::runtimes::sdk_attempts;

use crate::calls::Call;
use crate::foreign::{Foreign, number};
use crate::world::{Account, Stamps, World};

const MINUTE: Duration = Duration::from_mins(1);

/// Runs `call` into `fault` until it gives up without knowing.
async fn unknown(call: Call, world: &World, fault: Fault) -> Box<UnknownOutcome> {
    // As many as the SDK makes for one attempt of ours, or for the read after a create, so that none of them finds anything out.
    if call.creates() {
        call.strike(world, &fault, vec![Fault::RequestLost; sdk_attempts()]);
    } else {
        world.faults.script(call.operation(), vec![fault; sdk_attempts()]);
    }
    match call.run_with(world, Retry::none()).await.result {
        Err(Error::OutcomeUnknown(unknown)) => unknown,
        other => panic!("{call:?}: {other:?}"),
    }
}

/// What a read with the SDK says.
async fn found_out(unknown: &UnknownOutcome, world: &World) -> Option<bool> {
    let read = world.store.client().get_item().table_name(unknown.table());
    let read = read.set_key(Some(unknown.key().clone())).consistent_read(true);
    unknown.was_applied(read.send().await.unwrap().item.as_ref())
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_stamp_is_there_was_applied() {
    for call in Call::STAMPED {
        let world = World::new().await;
        let unknown = unknown(call, &world, Fault::ReplyLost).await;
        assert_eq!(found_out(&unknown, &world).await, Some(true), "{call:?}");
        for _ in 0..3 {
            world.rival.update(call.id(), |item| item.balance += 1).await.unwrap();
            assert_eq!(found_out(&unknown, &world).await, Some(true), "{call:?}");
        }
        // The fourth rival overwrites the stamp.
        world.rival.update(call.id(), |item| item.balance += 1).await.unwrap();
        assert_eq!(found_out(&unknown, &world).await, None, "{call:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_version_another_one_made_was_not_applied_and_never_will_be() {
    for call in Call::CHANGES {
        let world = World::new().await;
        let unknown = unknown(call, &world, Fault::DeliveredLate(MINUTE)).await;
        world.rival.update("alice", |alice| alice.balance = -1).await.unwrap();
        assert_eq!(found_out(&unknown, &world).await, Some(false), "{call:?}");
        tokio::time::sleep(2 * MINUTE).await;
        assert_eq!(world.stored("alice").await.unwrap().balance, -1, "{call:?}: what is late stays out");
        assert_eq!(found_out(&unknown, &world).await, Some(false), "{call:?}");
    }
    let world = World::new().await;
    let unknown = unknown(Call::Create, &world, Fault::RequestLost).await;
    world.rival.create(&mut Account::bob()).await.unwrap();
    assert_eq!(found_out(&unknown, &world).await, Some(false));
}

/// A foreign writer leaves no stamp, but at our very version ours would be there.
#[tokio::test(start_paused = true)]
async fn a_version_of_ours_without_our_stamp_is_another_writers() {
    for call in Call::CHANGES {
        let world = World::new().await;
        let unknown = unknown(call, &world, Fault::RequestLost).await;
        Foreign::of(&world).put_known("alice", 3, 2).await;
        assert_eq!(found_out(&unknown, &world).await, Some(false), "{call:?}");
        Foreign::of(&world).put_known("alice", 3, 3).await;
        assert_eq!(found_out(&unknown, &world).await, None, "{call:?}");
    }
}

/// At the expected version the request may still be under way, and then be applied.
#[tokio::test(start_paused = true)]
async fn an_item_at_the_expected_version_says_nothing_yet() {
    for call in Call::CHANGES {
        let world = World::new().await;
        let unknown = unknown(call, &world, Fault::DeliveredLate(MINUTE)).await;
        assert_eq!((unknown.expected(), unknown.intended()), (1, Some(2)));
        assert_eq!(found_out(&unknown, &world).await, None, "{call:?}");
        tokio::time::sleep(2 * MINUTE).await;
        assert_eq!(found_out(&unknown, &world).await, Some(true), "{call:?}: it came after all");
    }
    let world = World::new().await;
    let unknown = unknown(Call::Create, &world, Fault::DeliveredLate(MINUTE)).await;
    assert_eq!(found_out(&unknown, &world).await, None);
    tokio::time::sleep(2 * MINUTE).await;
    assert_eq!(found_out(&unknown, &world).await, Some(true));
}

/// The same for a write with a condition that does not hold in the item that was read: no check failed on that one.
#[tokio::test(start_paused = true)]
async fn a_condition_that_does_not_hold_at_the_expected_version_says_nothing_yet() {
    let world = World::new().await;
    world.faults.script("UpdateItem", vec![Fault::RequestLost; sdk_attempts()]);
    let rich = dynalock::Condition::new("balance > :least").value(":least", 1000);
    let error = world.table.touch(&mut Account::alice()).condition(rich).retry(Retry::none()).await;
    let Err(Error::OutcomeUnknown(unknown)) = error else { panic!("{error:?}") };
    assert_eq!(found_out(&unknown, &world).await, None);
}

#[tokio::test(start_paused = true)]
async fn an_item_that_is_gone_says_nothing() {
    for call in Call::ALL {
        let world = World::new().await;
        let unknown = unknown(call, &world, Fault::ReplyLost).await;
        if let Some(stored) = world.stored(call.id()).await {
            world.rival.delete(&stored).await.unwrap();
        }
        assert_eq!(found_out(&unknown, &world).await, None, "{call:?}");
    }
}

/// A delete leaves nothing to find, so neither the item nor its absence tells who did it.
#[tokio::test(start_paused = true)]
async fn a_delete_stays_unknown_whatever_is_stored() {
    for fault in [Fault::ReplyLost, Fault::RequestLost] {
        let world = World::new().await;
        let unknown = unknown(Call::Delete, &world, fault).await;
        assert_eq!((unknown.expected(), unknown.intended()), (1, None));
        assert_eq!(found_out(&unknown, &world).await, None);
        world.rival.update_or_create("alice", Account::alice, |alice| alice.balance = 1).await.unwrap();
        assert_eq!(found_out(&unknown, &world).await, None);
        world.rival.update("alice", |alice| alice.balance = 2).await.unwrap();
        assert_eq!(found_out(&unknown, &world).await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn without_stamps_only_a_version_in_between_tells() {
    let world = World::of(Stamps::Off).await;
    let unknown = unknown(Call::Update, &world, Fault::ReplyLost).await;
    for (version, says) in [(1, None), (2, None), (3, None)] {
        let mut item = Foreign::of(&world).item("alice").await.unwrap();
        item.insert("version".into(), number(version));
        assert_eq!(unknown.was_applied(Some(&item)), says, "version {version}");
    }
}
