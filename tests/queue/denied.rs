//! Policies that forbid a failed check to return the item: what is learnt of that is nobody's answer.

use dynalock::testing::{Fault, Reply};
use dynalock::{Condition, Retry};
use dynalock_tests::polling::together;

use crate::world::{SECOND, World, add};

/// Denies a batch of several with and without the item, and lets its sender's time end before it has written again.
fn deny(world: &World) {
    let denied = || Fault::Instead(Reply::new(400, "AccessDeniedException"));
    world.faults.script("UpdateItem", [denied(), denied()]);
    world.faults.script("GetItem", [Fault::Pass, Fault::NeverReplies]);
}

fn short() -> Retry {
    Retry::default().attempt_timeout(100 * SECOND).deadline(2 * SECOND)
}

#[tokio::test(start_paused = true)]
async fn a_denied_batch_is_not_the_answer_of_its_sender() {
    let world = World::new().await;
    let table = &world.coalescing;
    deny(&world);
    let sender = table.update("a", |journal| journal.entries.push(1)).retry(short()).into_future();
    let [sender, two] = together([sender, add(table, 2)]).await.try_into().unwrap();
    assert!(two.is_ok(), "{two:?}");
    let error = sender.unwrap_err();
    assert!(error.is_retryable(), "nobody denied what it wrote: {error:?}");
    world.assert_is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_denied_batch_is_not_the_answer_of_who_sends_it_for_others() {
    let world = World::new().await;
    let table = &world.coalescing;
    deny(&world);
    let condition = Condition::new("attribute_exists(id)");
    let alone = table.update("a", |journal| journal.entries.push(3)).condition(condition).retry(short());
    let calls = [add(table, 1), add(table, 2), alone.into_future()];
    let [one, two, alone] = together(calls).await.try_into().unwrap();
    assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
    let error = alone.unwrap_err();
    assert!(error.is_retryable(), "nobody denied what it wrote: {error:?}");
    world.assert_is_quiet().await;
}

/// Others still have the time to find out what became of it.
#[tokio::test(start_paused = true)]
async fn a_sender_that_is_denied_the_item_leaves_the_write_to_the_others() {
    let world = World::new().await;
    let table = &world.coalescing;
    world.faults.deny_item();
    world.faults.script("UpdateItem", [Fault::NeverReplies]);
    let sender = table.update("a", |journal| journal.entries.push(1)).retry(short()).into_future();
    let ended = together([sender, add(table, 2), add(table, 3)]).await;
    assert!(ended[1].is_ok() && ended[2].is_ok(), "{ended:?}");
    assert_eq!(world.stored().await.entries, [1, 2, 3]);
}
