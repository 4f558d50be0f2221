//! Answers that write nothing rest on what was stored while the call was under way: refusals, changes of nothing, absence,
//! and items that cannot be read.

use std::future::IntoFuture;

use aws_sdk_dynamodb::types::AttributeValue;
use dynalock::{Error, Table};
use dynalock_tests::polling::together;

use crate::world::{Answer, Journal, Refused, World, add, add_below};

/// Adds an entry, in a call that may refuse though it does not.
fn try_add(table: &Table<Journal>, entry: u32) -> Answer<'static, Journal, Refused> {
    add_below(table, usize::MAX, entry)
}

pub(crate) async fn a_refusal_leaves_no_trace_in_a_batch() {
    let world = World::new().await;
    let table = &world.coalescing;
    let calls = [try_add(table, 1), add_below(table, 2, 2), try_add(table, 3), add_below(table, 0, 4)];
    let ended = world.behind_a_write(table, together(calls)).await;
    let [one, two, three, four] = ended.try_into().unwrap();
    assert_eq!(one.unwrap().entries, [0, 1]);
    assert_eq!(three.unwrap(), Journal::after(2, &[0, 1, 3]));
    for refused in [two, four] {
        assert_eq!(refused.unwrap_err().saw(), [0, 1, 3], "it rests on what is stored");
    }
    assert_eq!(world.written(), [vec![0], vec![0, 1, 3]]);
    assert_eq!(world.sent.count("GetItem"), 1, "what was written is known");
    world.assert_is_quiet().await;
}

/// What one refuses because of the others in its batch, it may do on what is stored if they failed.
#[tokio::test(start_paused = true)]
async fn a_refusal_because_of_a_change_that_is_never_made_does_not_stand() {
    let world = World::new().await;
    let table = &world.coalescing;
    let rejected = table.update("a", |journal| {
        journal.entries.push(1);
        journal.note = "x".repeat(400 * 1024);
    });
    let rejected = async { rejected.await.map_err(Refused::Failed) };
    let calls: [Answer<'_, _, Refused>; 2] = [Box::pin(rejected), add_below(table, 2, 2)];
    let ended = world.behind_a_write(table, together(calls)).await;
    assert!(matches!(ended[0], Err(Refused::Failed(Error::InvalidRequest { .. }))));
    assert_eq!(ended[1].as_ref().unwrap().entries, [0, 2]);
}

pub(crate) async fn a_change_of_nothing_is_answered_with_what_is_stored() {
    let world = World::new().await;
    let table = &world.coalescing;
    let look = || table.update("a", |_| {}).into_future();
    let calls = [look(), add(table, 1), look(), add(table, 2)];
    let ended = world.behind_a_write(table, together(calls)).await;
    let [first, one, between, two] = ended.try_into().unwrap();
    // The one that came first found nothing of the others in what it was handed, and that was stored after it came.
    assert_eq!(first.unwrap(), Journal::after(1, &[0]));
    assert_eq!(one.unwrap(), Journal::after(1, &[0, 1]));
    assert_eq!(two.unwrap(), Journal::after(2, &[0, 1, 2]));
    assert_eq!(between.unwrap(), Journal::after(2, &[0, 1, 2]), "and not what was to be written");
    assert_eq!(world.written(), [vec![0], vec![0, 1, 2]]);
    world.assert_is_quiet().await;
}

/// Runs a call that comes while `before` has its write under way, and is handed what comes of that. Just before, `changed`
/// changes what is stored; meanwhile, `rival` may do so again.
async fn handed_over<T, E>(
    world: &World,
    table: &Table<Journal>,
    before: impl Future<Output = ()>,
    changed: impl Future<Output = ()>,
    call: impl Future<Output = Result<T, E>>,
    rival: impl Future<Output = ()>,
) -> Result<T, E> {
    let writing = world.faults.hold_up("UpdateItem");
    let late = async {
        // Without anybody who waits when it has read, it would keep nothing for others.
        let look = table.try_update("a", |_| Err(Refused::By(vec![])));
        tokio::select! {
            answer = look.into_future() => panic!("the turn of another: {answer:?}"),
            () = writing.reached() => {}
        }
        changed.await;
        let go_on = async {
            writing.open();
            rival.await;
        };
        tokio::join!(call, go_on).0
    };
    tokio::join!(before, late).1
}

pub(crate) async fn a_change_of_nothing_on_an_item_that_was_handed_over_is_read_and_run_again() {
    for coalesces in [false, true] {
        let world = World::new().await;
        let table = if coalesces { &world.coalescing } else { &world.table };
        let before = async { drop(add(table, 1).await.unwrap()) };
        let mut seen = vec![];
        let look = table.update("a", |journal| seen.push(journal.version)).into_future();
        let rival = world.overtake("GetItem", world.rival_adds(50));
        let found = handed_over(&world, table, before, async {}, look, rival).await.unwrap();
        assert_eq!(found, Journal::after(2, &[1, 50]));
        assert_eq!(seen, [11, 21], "what it was handed was stored before the rival came");
        world.assert_is_quiet().await;
    }
}

/// A refused write that is told no item reads once, and whoever came before it was sent needs no other proof.
pub(crate) async fn an_absence_is_handed_over_to_those_who_were_there() {
    for coalesces in [false, true] {
        let world = World::new().await;
        let table = if coalesces { &world.coalescing } else { &world.table };
        let delete = world.overtake("UpdateItem", delete(&world));
        // All of them wait when the first one is sent.
        let (ended, ()) = tokio::join!(together([add(table, 1), add(table, 2), add(table, 3)]), delete);
        for answer in ended {
            assert!(matches!(answer, Err(Error::NotFound)), "{answer:?}");
        }
        assert_eq!(world.requests(), (2, 1), "none of the others asked for it");
        world.rival.create(&mut Journal::empty("a")).await.unwrap();
        world.assert_is_quiet().await;
    }
}

async fn delete(world: &World) {
    let journal = world.stored().await;
    world.rival.delete(&journal).await.unwrap();
}

pub(crate) async fn an_absence_is_asked_for_again_by_who_came_later() {
    for coalesces in [false, true] {
        let world = World::new().await;
        let table = if coalesces { &world.coalescing } else { &world.table };
        let before = async { assert!(matches!(add(table, 1).await, Err(Error::NotFound))) };
        let create = async {
            // The refused write reads first.
            world.overtake("GetItem", async {}).await;
            let create = async { world.rival.create(&mut Journal::empty("a")).await.unwrap() };
            world.overtake("GetItem", create).await;
        };
        let late = add(table, 2);
        let answer = handed_over(&world, table, before, delete(&world), late, create).await;
        assert_eq!(answer.unwrap(), Journal::after(1, &[2]), "coalescing: {coalesces}");
        world.assert_is_quiet().await;
    }
}

/// Stores an item whose entries are no list, as a later version.
async fn spoil(world: &World) {
    let put = world.store.client().put_item().table_name("journals");
    let put = put.item("id", AttributeValue::S("a".into())).item("entries", AttributeValue::Bool(true));
    put.item("version", AttributeValue::N("100".into())).send().await.unwrap();
}

async fn repair(world: &World) {
    let put = world.store.client().put_item().table_name("journals");
    let put = put.item("id", AttributeValue::S("a".into())).item("entries", AttributeValue::L(vec![]));
    put.item("version", AttributeValue::N("101".into())).send().await.unwrap();
}

pub(crate) async fn an_item_that_cannot_be_read_is_told_to_each_and_read_again_by_who_came_later() {
    for coalesces in [false, true] {
        let world = World::new().await;
        let table = if coalesces { &world.coalescing } else { &world.table };
        let is_invalid = |answer| {
            let Err(Error::InvalidItem { table, attribute, .. }) = answer else { panic!("{answer:?}") };
            assert_eq!((&*table, &*attribute), ("journals", "entries"));
        };
        let before = async {
            let both = together([add(table, 1), add(table, 2)]).await;
            both.into_iter().for_each(is_invalid);
        };
        let repair = Box::pin(world.overtake("GetItem", repair(&world)));
        let journal =
            Box::pin(handed_over(&world, table, before, spoil(&world), add(table, 3), repair)).await.unwrap();
        assert_eq!((journal.entries, journal.version), (vec![3], 111));
        world.assert_is_quiet().await;
    }
}
