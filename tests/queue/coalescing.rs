//! Callers that wait share a write.

use dynalock::Error;
use dynalock_tests::polling::together;
use tokio::task::JoinSet;

use crate::world::{Journal, STEP, World, add, add_each};

pub(crate) async fn callers_that_wait_share_one_write() {
    let world = World::new().await;
    let table = &world.coalescing;
    let ended = world.behind_a_write(table, together(add_each(table, 1..100))).await;
    assert_eq!(world.requests(), (1, 2), "one read, the write that was under way, and one for all others");
    let all: Vec<u32> = (0..100).collect();
    for (journal, entries) in ended.into_iter().zip(2..) {
        let writes = if entries == 100 { 2 } else { 1 };
        assert_eq!(journal.unwrap(), Journal::after(writes, &all[..entries]));
    }
    assert_eq!(world.stored().await, Journal::after(2, &all));
    world.assert_is_quiet().await;
}

/// Whoever comes while a write is under way is in the next one, and not in a later one.
#[tokio::test(start_paused = true)]
async fn each_write_carries_all_who_came_during_the_one_before() {
    let world = World::new().await;
    let table = &world.coalescing;
    let second = async {
        let gate = world.faults.hold_up("UpdateItem");
        let third = async {
            gate.reached().await;
            let go_on = async { gate.open() };
            tokio::join!(together(add_each(table, 10..20)), go_on).0
        };
        tokio::join!(together(add_each(table, 1..10)), third)
    };
    world.behind_a_write(table, second).await;
    let all: Vec<u32> = (0..20).collect();
    assert_eq!(world.written(), [&all[..1], &all[..10], &all]);
    assert_eq!(world.stored().await, Journal::after(3, &all));
}

pub(crate) async fn updates_of_many_tasks_are_all_applied_in_few_writes() {
    let world = World::new().await;
    let tasks: JoinSet<_> = add_each(&world.coalescing, 0..200).collect();
    let mut journals: Vec<_> = tasks.join_all().await.into_iter().map(Result::unwrap).collect();
    journals.sort_by_key(|journal| journal.entries.len());
    let stored = world.stored().await;
    for (journal, entries) in journals.iter().zip(1..) {
        assert_eq!(journal.entries, stored.entries[..entries], "as its own closure left it");
    }
    let writes = world.sent.count("UpdateItem");
    assert_eq!((stored.entries.len(), stored.version), (200, 1 + STEP * writes as u64));
    let written: Vec<_> = world.written().iter().map(Vec::len).collect();
    assert!(written.is_sorted_by(|earlier, later| earlier < later), "{written:?}");
    for (journal, entries) in journals.iter().zip(1..) {
        // The version that its write found, or for the last one in a write the one that it left.
        let writes = written.iter().filter(|written| **written <= entries).count();
        assert_eq!(journal.version, 1 + STEP * writes as u64, "{entries}");
    }
    world.assert_is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn only_the_last_of_a_batch_holds_what_is_stored() {
    let world = World::new().await;
    let table = &world.coalescing;
    let ended = world.behind_a_write(table, together(add_each(table, [1, 2, 3]))).await;
    let ended: Vec<_> = ended.into_iter().map(Result::unwrap).collect();
    let [mut one, mut two, mut three] = ended.try_into().unwrap();
    for journal in [&mut one, &mut two] {
        let before = journal.clone();
        journal.entries.push(77);
        let changed = journal.clone();
        let error = table.save(journal).await.unwrap_err();
        let Error::Conflict(conflict) = error else { panic!("{error:?}") };
        assert_eq!((conflict.expected(), conflict.actual()), (before.version, Some(1 + 2 * STEP)));
        assert_eq!(*journal, changed);
    }
    three.entries.push(4);
    table.save(&mut three).await.unwrap();
    assert_eq!(world.stored().await, Journal::after(3, &[0, 1, 2, 3, 4]));
}

/// Alone, an update is what it is in any other table.
#[tokio::test(start_paused = true)]
async fn a_caller_that_is_alone_reads_and_writes() {
    let world = World::new().await;
    assert_eq!(add(&world.coalescing, 1).await.unwrap(), Journal::after(1, &[1]));
    assert_eq!(world.requests(), (1, 1));
}

/// The changes of a batch add up: what one sets, another may change again or take away.
#[tokio::test(start_paused = true)]
async fn what_one_sets_another_may_take_away() {
    let world = World::new().await;
    let table = &world.coalescing;
    let note =
        |note: &'static str| table.update("a", move |journal| journal.note = note.into()).into_future();
    let ended = world.behind_a_write(table, together([note("x"), note("y"), note(""), note("z")])).await;
    let notes: Vec<_> = ended.iter().map(|journal| journal.as_ref().unwrap().note.as_str()).collect();
    assert_eq!(notes, ["x", "y", "", "z"]);
    assert_eq!(world.stored().await.note, "z");
    let ended = world.behind_a_write(table, together([note("x"), note("")])).await;
    assert!(ended.iter().all(Result::is_ok));
    assert_eq!(world.stored().await, Journal::after(4, &[0, 0]));
    assert_eq!(world.sent.count("UpdateItem"), 4);
}
