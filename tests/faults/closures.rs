//! Row 31: a closure that panics or refuses.

use dynalock::Error;
use dynalock::testing::Fault;
use dynalock_tests::polling::unless_it_panics;

use crate::world::{Account, Refused, World};

pub(crate) async fn a_refusal_is_returned_and_nothing_is_sent() {
    let world = World::new().await;
    let mut runs = 0;
    let refused = world.table.try_update("alice", |alice| {
        runs += 1;
        alice.balance -= 500;
        if alice.balance < 0 { Err(Refused::Overdrawn) } else { Ok(()) }
    });
    assert!(matches!(refused.await, Err(Refused::Overdrawn)));
    assert_eq!(runs, 1);
    assert_eq!(world.sent.operations(), ["GetItem"]);
    assert_eq!(world.stored("alice").await, Some(Account::alice()));
}

/// A refusal answers the state as it is then: after a conflict, the one that the rival left.
#[tokio::test(start_paused = true)]
async fn a_refusal_after_a_conflict_rests_on_what_the_rival_wrote() {
    let world = World::new().await;
    let mut seen = Vec::new();
    let withdraw = world.table.try_update("alice", |alice| {
        seen.push(alice.balance);
        alice.balance -= 50;
        if alice.balance < 0 { Err(Refused::Overdrawn) } else { Ok(()) }
    });
    let rival = async {
        world.rival.update("alice", |alice| alice.balance = 10).await.unwrap();
    };
    let result = world.overtaken(withdraw.into_future(), "UpdateItem", rival).await;
    assert!(matches!(result, Err(Refused::Overdrawn)));
    assert_eq!(seen, [100, 10]);
    assert_eq!(world.stored("alice").await.unwrap().balance, 10);
}

/// After a doubt a closure never runs again, not even to refuse.
#[tokio::test(start_paused = true)]
async fn a_lost_reply_reaches_the_closures_error_by_from() {
    let world = World::new().await;
    world.faults.script("UpdateItem", [Fault::ReplyLost]);
    let mut runs = 0;
    let result = world.bare.try_update("alice", |alice| {
        runs += 1;
        alice.balance -= 50;
        Ok::<_, Refused>(())
    });
    assert!(matches!(result.await, Err(Refused::Failed(Error::OutcomeUnknown(_)))));
    assert_eq!((runs, world.stored("alice").await.unwrap().balance), (1, 50));
}

async fn assert_works_on(world: &World) {
    assert_eq!(world.stored("alice").await, Some(Account::alice()));
    assert_eq!(world.sent.operations(), ["GetItem"], "nothing is written");
    let alice = world.table.update("alice", |alice| alice.balance += 1).await.unwrap();
    assert_eq!(alice.balance, 101);
}

pub(crate) async fn a_panic_writes_nothing_and_blocks_nobody() {
    let world = World::new().await;
    let panic = |alice: &mut Account| {
        alice.balance = 0;
        panic!("by the closure");
    };
    assert!(unless_it_panics(world.table.update("alice", panic).into_future()).await.is_none());
    assert_works_on(&world).await;

    let world = World::new().await;
    let panic = |_: &mut Account| -> Result<(), Error> { panic!("by the closure") };
    assert!(unless_it_panics(world.table.try_update("alice", panic).into_future()).await.is_none());
    assert_works_on(&world).await;

    let world = World::new().await;
    let fresh = || -> Account { panic!("by the closure") };
    assert!(
        unless_it_panics(world.table.update_or_create("bob", fresh, |_| ()).into_future()).await.is_none()
    );
    assert_works_on(&world).await;
}

/// The same in a task of its own, where tokio catches the panic.
pub(crate) async fn a_panic_in_a_task_writes_nothing_and_blocks_nobody() {
    let world = World::new().await;
    let update = world.table.update("alice", |_| panic!("by the closure")).into_future();
    assert!(tokio::spawn(update).await.unwrap_err().is_panic());
    assert_works_on(&world).await;
}
