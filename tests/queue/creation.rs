//! Items that are not there yet.

use dynalock::testing::Fault;
use dynalock::{Error, Table};
use dynalock_tests::polling::together;

use crate::world::{Answer, Journal, World, add};

/// Adds an entry to the journal, or to a new one.
fn add_or_create(table: &Table<Journal>, entry: u32) -> Answer<'static> {
    let add = move |journal: &mut Journal| journal.entries.push(entry);
    table.update_or_create("a", || Journal::empty("a"), add).into_future()
}

/// A world without the journal.
async fn world() -> World {
    let world = World::new().await;
    let journal = world.stored().await;
    world.rival.delete(&journal).await.unwrap();
    world
}

pub(crate) async fn one_create_carries_all_that_come_after_it() {
    let world = world().await;
    let table = &world.coalescing;
    let calls = [add(table, 0), add_or_create(table, 1), add(table, 2), add_or_create(table, 3)];
    let [first, one, two, three] = together(calls).await.try_into().unwrap();
    assert!(matches!(first, Err(Error::NotFound)), "it came when there was nothing: {first:?}");
    assert_eq!(world.sent.operations(), ["GetItem", "PutItem"]);
    let unsaved = |entries: &[u32]| Journal { version: 0, ..Journal::after(0, entries) };
    assert_eq!(one.unwrap(), unsaved(&[1]));
    let mut two = two.unwrap();
    assert_eq!(two, unsaved(&[1, 2]));
    assert_eq!(three.unwrap(), Journal::after(0, &[1, 2, 3]));
    assert_eq!(world.stored().await, Journal::after(0, &[1, 2, 3]));
    // The version of those before the last one was never stored.
    assert!(matches!(table.save(&mut two).await, Err(Error::Conflict(_))));
    assert!(matches!(table.create(&mut two).await, Err(Error::AlreadyExists(_))));
    world.assert_is_quiet().await;
}

/// The version that a closure gives a fresh object is none that was ever stored: saving it must not undo what others did.
#[tokio::test(start_paused = true)]
async fn only_the_last_of_a_create_holds_a_version() {
    let world = world().await;
    let table = &world.coalescing;
    let create = |entry| {
        let fresh = || Journal { version: 11, ..Journal::empty("a") };
        table.update_or_create("a", fresh, move |journal| journal.entries.push(entry)).into_future()
    };
    let [one, two] = together([create(1), create(2)]).await.try_into().unwrap();
    let (mut one, two) = (one.unwrap(), two.unwrap());
    assert_eq!((one.version, two.version), (0, 1));
    add(table, 3).await.unwrap();
    assert_eq!(world.stored().await.version, 11);
    assert!(matches!(table.save(&mut one).await, Err(Error::Conflict(_))));
    assert_eq!(world.stored().await.entries, [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn one_after_the_other_the_first_creates_and_the_rest_update() {
    let world = world().await;
    let calls = (1..=3).map(|entry| add_or_create(&world.table, entry));
    let ended = together(calls).await;
    for (journal, writes) in ended.into_iter().zip(0..) {
        assert_eq!(journal.unwrap(), Journal::after(writes, &[1, 2, 3][..=usize::try_from(writes).unwrap()]));
    }
    assert_eq!(world.sent.operations(), ["GetItem", "PutItem", "UpdateItem", "UpdateItem"]);
}

/// Who is faster is another program, which also may create it: then all are put on top of that.
pub(crate) async fn a_batch_that_finds_the_item_created_is_made_again_on_top_of_it() {
    let world = world().await;
    let table = &world.coalescing;
    let mut rivals = Journal { entries: vec![50], ..Journal::empty("a") };
    let create = async { world.rival.create(&mut rivals).await.unwrap() };
    let calls = [add_or_create(table, 1), add(table, 2), add_or_create(table, 3)];
    let ended = world.overtaken(together(calls), "PutItem", create).await;
    let ended: Vec<_> = ended.into_iter().map(|journal| journal.unwrap().entries).collect();
    assert_eq!(ended, [vec![50, 1], vec![50, 1, 2], vec![50, 1, 2, 3]]);
    assert_eq!(world.sent.operations(), ["GetItem", "PutItem", "UpdateItem"]);
    assert_eq!(world.stored().await, Journal::after(1, &[50, 1, 2, 3]));
}

/// It is not sent again: a read finds it, or nobody can tell, and each of them hears that.
pub(crate) async fn a_create_of_several_whose_reply_is_lost_is_applied_once() {
    for lost in [Fault::ReplyLost, Fault::Truncated, Fault::ConnectionRefused] {
        let world = world().await;
        let table = &world.coalescing;
        world.faults.script("PutItem", [lost]);
        let ended = together([add_or_create(table, 1), add(table, 2)]).await;
        assert!(ended.iter().all(Result::is_ok), "{ended:?}");
        assert_eq!(world.stored().await, Journal::after(0, &[1, 2]));
        assert!(world.faults.is_over());
    }
    let world = world().await;
    let table = &world.coalescing;
    world.faults.script("PutItem", [Fault::RequestLost]);
    for answer in together([add_or_create(table, 1), add(table, 2)]).await {
        assert!(matches!(answer, Err(Error::OutcomeUnknown(_))), "{answer:?}");
    }
    assert_eq!(world.sent.operations(), ["GetItem", "PutItem", "GetItem"]);
    assert!(world.rival.get("a").await.unwrap().is_none());
}

/// A fresh item with another key is the fault of its caller alone.
#[tokio::test(start_paused = true)]
async fn a_fresh_item_with_another_key_fails_only_its_own_call() {
    let world = world().await;
    let table = &world.coalescing;
    let wrong = table.update_or_create("a", || Journal::empty("b"), |_| ()).into_future();
    let calls: [Answer<'_>; 3] = [wrong, add_or_create(table, 1), add(table, 2)];
    let [wrong, one, two] = together(calls).await.try_into().unwrap();
    assert!(matches!(wrong, Err(Error::InvalidItem { .. })));
    assert_eq!((one.unwrap().version, two.unwrap().version), (0, 1));
    assert_eq!(world.stored().await, Journal::after(0, &[1, 2]));
}
