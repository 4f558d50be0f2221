//! A request that was given up for lost reaches the store in the end.

use dynalock::testing::Fault;
use dynalock::{Deleted, Error, Versioned};
use dynalock_tests::runtimes::{retry, sdk_attempts};
use serde::{Deserialize, Serialize};

use crate::calls::{Call, Done};
use crate::rivals::raced;
use crate::world::{Account, Stamps, World, both};

/// Delivered when [`everything_arrives`].
const LATE: Fault = Fault::RequestLost;

async fn everything_arrives(world: &World) {
    assert!(world.transit.deliver_lost().await > 0, "nothing was late");
}

/// Row 14: the re-send was applied, and the first request comes after it. (Of a create there is no other one.)
pub(crate) async fn a_late_duplicate_after_ok_has_no_effect() {
    for (call, stamps) in both(Call::ALL.into_iter().filter(|call| !call.creates())) {
        let world = World::of(stamps).await;
        world.faults.script(call.operation(), vec![LATE; 4]);
        let ended = call.run(&world).await;
        ended.assert_applied(call, &world).await;
        everything_arrives(&world).await;
        assert_eq!(call.applies(&world).await, 1, "{call:?}");
    }
}

/// Row 14, after the item went on.
pub(crate) async fn a_late_duplicate_does_not_undo_what_came_after() {
    for (call, stamps) in both(Call::CHANGES) {
        let world = World::of(stamps).await;
        world.faults.script(call.operation(), [LATE]);
        call.run(&world).await.assert_applied(call, &world).await;
        let next = world.rival.update("alice", |alice| alice.balance = 0).await.unwrap();
        everything_arrives(&world).await;
        assert_eq!(world.stored("alice").await, Some(next), "{call:?}");
    }
}

/// Row 15: what lost the race stays lost, however late it comes.
pub(crate) async fn a_late_duplicate_after_a_lost_race_has_no_effect() {
    for (call, stamps) in both([Call::Save, Call::Replace, Call::Touch, Call::Delete]) {
        let world = World::of(stamps).await;
        let theirs = world.rival.update("alice", |alice| alice.balance = 0).await.unwrap();
        world.faults.script(call.operation(), [LATE]);
        let ended = call.run(&world).await;
        match &ended.result {
            Err(Error::Conflict(_)) if call != Call::Delete && stamps == Stamps::On => {}
            Err(Error::OutcomeUnknown(_)) if call == Call::Delete || stamps == Stamps::Off => {}
            other => panic!("{call:?} {stamps:?}: {other:?}"),
        }
        ended.assert_untouched(call);
        everything_arrives(&world).await;
        assert_eq!(world.stored("alice").await, Some(theirs), "{call:?}");
    }
}

/// Row 15, for calls that go on from the conflict: the request that lost comes after the one that went through.
pub(crate) async fn a_late_duplicate_after_a_closure_ran_again_has_no_effect() {
    for call in [Call::Update, Call::TryUpdate, Call::UpdateExisting] {
        let world = World::new().await;
        let rival = async {
            world.rival.update("alice", |alice| alice.balance = 0).await.unwrap();
        };
        let ended = raced(call, &world, &[LATE], rival).await;
        assert_eq!((ended.result.unwrap(), ended.runs), (Done::Written(3), 2), "{call:?}");
        everything_arrives(&world).await;
        assert_eq!(world.stored("alice").await, Some(Account { balance: 5, version: 3, ..Account::alice() }));
    }
}

/// An unknown outcome may still become an effect: one, and of this very write.
#[tokio::test(start_paused = true)]
async fn a_late_request_after_an_unknown_outcome_is_applied_at_most_once() {
    for (call, stamps) in both(Call::ALL) {
        let world = World::of(stamps).await;
        world
            .faults
            .script(call.operation(), vec![LATE; if call.creates() { 1 } else { 3 * sdk_attempts() }]);
        let ended = call.run_with(&world, retry(&[]).attempts(3)).await;
        ended.assert_refused(call, &world, |error| matches!(error, Error::OutcomeUnknown(_))).await;
        everything_arrives(&world).await;
        assert_eq!(call.applies(&world).await, 1, "{call:?}");
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
struct Order {
    #[dynalock(partition_key)]
    id: String,
    balance: i64,
    #[dynalock(version, start = "clock")]
    version: u64,
}

/// Row 16: versions that begin with the clock never come back, so nothing late fits the new item.
pub(crate) async fn a_late_write_or_delete_does_not_touch_a_new_item_that_starts_with_the_clock() {
    let world = World::new().await;
    let (ours, rivals) = (world.table_of::<Order>(), world.rival_of::<Order>());
    for delete in [true, false] {
        let mut order = Order { id: "o".into(), balance: 1, version: 0 };
        rivals.create(&mut order).await.unwrap();
        let first = order.version;
        if delete {
            world.faults.script("DeleteItem", [LATE]);
            assert_eq!(ours.delete(&order).await.unwrap(), Deleted::Now);
        } else {
            world.faults.script("UpdateItem", [LATE]);
            ours.save(&mut order).await.unwrap();
            rivals.delete(&order).await.unwrap();
        }
        let mut new = Order { balance: 2, ..order };
        rivals.create(&mut new).await.unwrap();
        assert!(new.version > first);
        everything_arrives(&world).await;
        assert_eq!(rivals.get("o").await.unwrap(), Some(new.clone()));
        rivals.delete(&new).await.unwrap();
    }
}

/// Row 16, the hole that the docs tell of: with `start = 1` a new item has the versions of the old one.
pub(crate) async fn a_late_delete_removes_a_new_item_that_starts_at_1() {
    let world = World::new().await;
    world.faults.script("DeleteItem", [LATE]);
    let ended = Call::Delete.run(&world).await;
    assert_eq!(ended.result.unwrap(), Done::Gone(Deleted::Now));
    world.rival.create(&mut Account::alice()).await.unwrap();
    everything_arrives(&world).await;
    assert_eq!(world.stored("alice").await, None);
}
