//! Conditions are about what is stored, and not about what others are changing it to.

use dynalock::testing::Fault;
use dynalock::{Condition, Error, Retry, Table};
use dynalock_tests::polling::together;
use tokio::time::Instant;

use crate::world::{Answer, Journal, SECOND, World, add};

/// Adds an entry if there are `at_most` so many, as the store has it.
fn add_if(table: &Table<Journal>, at_most: usize, entry: u32) -> Answer<'static> {
    let short = Condition::new("size(entries) <= :most").value(":most", at_most);
    table.update("a", move |journal| journal.entries.push(entry)).condition(short).into_future()
}

pub(crate) async fn a_call_with_a_condition_is_written_alone_and_in_its_turn() {
    let world = World::new().await;
    let table = &world.coalescing;
    let calls = [add(table, 1), add(table, 2), add_if(table, 3, 3), add(table, 4), add(table, 5)];
    let ended = world.behind_a_write(table, together(calls)).await;
    assert!(ended.iter().all(Result::is_ok), "{ended:?}");
    let written = [vec![0], vec![0, 1, 2], vec![0, 1, 2, 3], vec![0, 1, 2, 3, 4, 5]];
    assert_eq!(world.written(), written);
    let conditions = world.sent.sent().into_iter().filter_map(|sent| {
        let condition = sent.body["ConditionExpression"].as_str()?;
        Some(condition.contains("size"))
    });
    assert_eq!(conditions.collect::<Vec<_>>(), [false, false, true, false]);
    assert_eq!(world.sent.count("GetItem"), 1, "each hands on what it wrote");
    world.assert_is_quiet().await;
}

/// Those before it are stored when it is judged, and those after it are not held against it.
/// Whoever is through goes, whatever the one that sent for it does next.
#[tokio::test(start_paused = true)]
async fn who_is_applied_does_not_wait_for_the_next_write() {
    let world = World::new().await;
    let table = &world.coalescing;
    let others = async {
        world.faults.script("UpdateItem", [Fault::Pass, Fault::Pass, Fault::Delay(20 * SECOND)]);
        let condition = Condition::new("attribute_exists(id)");
        let retry = Retry::default().attempt_timeout(100 * SECOND).deadline(100 * SECOND);
        let alone = table.update("a", |journal| journal.entries.push(3)).condition(condition).retry(retry);
        let begun = Instant::now();
        let timed =
            |answer: Answer<'static>| async move { (answer.await.is_ok(), begun.elapsed().as_secs()) };
        together([add(table, 1), add(table, 2), alone.into_future()].map(timed)).await
    };
    let ended = world.behind_a_write(table, others).await;
    assert_eq!(ended, [(true, 0), (true, 0), (true, 20)]);
}

#[tokio::test(start_paused = true)]
async fn a_condition_is_judged_on_what_is_stored_by_then() {
    let world = World::new().await;
    let table = &world.coalescing;
    let calls = [add(table, 1), add_if(table, 1, 2), add_if(table, 2, 3), add(table, 4)];
    let ended = world.behind_a_write(table, together(calls)).await;
    let [one, two, three, four] = ended.try_into().unwrap();
    assert_eq!(one.unwrap(), Journal::after(2, &[0, 1]));
    let Err(Error::ConditionFailed(failed)) = two else { panic!("{two:?}") };
    assert_eq!(failed.current::<Journal>().unwrap(), Journal::after(2, &[0, 1]));
    assert_eq!(three.unwrap(), Journal::after(3, &[0, 1, 3]));
    assert_eq!(four.unwrap(), Journal::after(4, &[0, 1, 3, 4]));
    world.assert_is_quiet().await;
}

/// Who sends the others' write before its own puts its condition on its own only, also when that is sent again.
#[tokio::test(start_paused = true)]
async fn a_condition_is_never_put_on_the_writes_of_others() {
    for lost in [Fault::Pass, Fault::ReplyLost, Fault::RequestLost] {
        let world = World::new().await;
        let table = &world.coalescing;
        let others = async {
            // The write that is under way meets the faults after it was held up.
            world.faults.script("UpdateItem", [Fault::Pass, lost.clone()]);
            together([add(table, 1), add_if(table, 0, 2), add(table, 3)]).await
        };
        let ended = world.behind_a_write(table, others).await;
        assert!(matches!(ended[1], Err(Error::ConditionFailed(_))), "{ended:?}");
        assert_eq!(world.stored().await.entries, [0, 1, 3]);
    }
}

/// After a conflict the condition is asked again, of what the rival left.
#[tokio::test(start_paused = true)]
async fn a_condition_is_asked_again_after_a_conflict() {
    let world = World::new().await;
    for (at_most, entries) in [(3, vec![50, 1]), (2, vec![50, 1, 50])] {
        let call = add_if(&world.coalescing, at_most, 1);
        let answer = world.overtaken(call, "UpdateItem", world.rival_adds(50)).await;
        assert_eq!(answer.is_ok(), at_most == 3);
        assert_eq!(world.stored().await.entries, entries);
    }
}
