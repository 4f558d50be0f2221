//! Other programs that write the same item.

use std::future::IntoFuture;
use std::sync::Mutex;

use dynalock::testing::{Fault, Reply};
use dynalock::{Error, Retry};
use dynalock_tests::polling::together;
use dynalock_tests::runtimes::retry;
use tokio::task::JoinSet;

use crate::world::{Journal, MS, World, add, add_each};

/// The item that the refused write returned is the one that all of them change, without another read.
pub(crate) async fn a_batch_that_is_overtaken_is_made_again_in_the_same_order() {
    let world = World::new().await;
    let table = &world.coalescing;
    let runs = Mutex::new(vec![]);
    let call = |entry| {
        let runs = &runs;
        let change = move |journal: &mut Journal| {
            runs.lock().unwrap().push(entry);
            journal.entries.push(entry);
        };
        table.update("a", change).into_future()
    };
    let others =
        async { world.overtaken(together((1..=4).map(call)), "UpdateItem", world.rival_adds(50)).await };
    let ended = world.behind_a_write(table, others).await;
    let all = [0, 50, 1, 2, 3, 4];
    for (journal, entries) in ended.into_iter().zip(3..) {
        assert_eq!(journal.unwrap(), Journal::after(if entries == 6 { 3 } else { 2 }, &all[..entries]));
    }
    assert_eq!(*runs.lock().unwrap(), [1, 2, 3, 4, 1, 2, 3, 4]);
    assert_eq!(world.written(), [vec![0], vec![0, 1, 2, 3, 4], all.to_vec()]);
    assert_eq!(world.sent.count("GetItem"), 1);
    world.assert_is_quiet().await;
}

/// Without coalescing it is the first in line who was overtaken, and stays it.
pub(crate) async fn a_caller_that_is_overtaken_keeps_its_turn() {
    let world = World::new().await;
    let calls = together(add_each(&world.table, 1..=3));
    let ended = world.overtaken(calls, "UpdateItem", world.rival_adds(50)).await;
    for (journal, entries) in ended.into_iter().zip(2..) {
        assert_eq!(journal.unwrap().entries, [50, 1, 2, 3][..entries]);
    }
    assert_eq!(world.requests(), (1, 4));
    world.assert_is_quiet().await;
}

/// Lets the rival overtake the next `times` writes.
async fn overtake(world: &World, times: u32) {
    for time in 0..times {
        world.overtake("UpdateItem", world.rival_adds(50 + time)).await;
    }
}

/// Twice at once with the item that came with the refusal; then it waits, holding nothing, and reads.
#[tokio::test(start_paused = true)]
async fn after_two_conflicts_the_item_is_read_again_after_a_delay() {
    for coalesces in [false, true] {
        let world = World::new().await;
        let table = if coalesces { &world.coalescing } else { &world.table };
        let slow = Retry::default().backoff(1000 * MS, 1000 * MS);
        let first = table.update("a", |journal| journal.entries.push(1)).retry(slow).into_future();
        let (ended, ()) = tokio::join!(together([first, add(table, 2)]), overtake(&world, 3));
        assert!(ended.iter().all(Result::is_ok));
        assert_eq!(world.stored().await.entries, [50, 51, 52, 1, 2]);
        assert_eq!(world.requests(), (2, if coalesces { 4 } else { 5 }));
        world.assert_is_quiet().await;
    }
}

/// Who leads others comes up with fresh items three times after each delay; who is alone, once.
#[tokio::test(start_paused = true)]
async fn after_a_delay_only_who_leads_others_tries_at_once_again() {
    for (callers, reads) in [(1, 5), (2, 3)] {
        let world = World::new().await;
        let calls = together(add_each(&world.table, 1..=callers));
        let (ended, ()) = tokio::join!(calls, overtake(&world, 6));
        assert!(ended.iter().all(Result::is_ok), "{ended:?}");
        assert_eq!(world.requests(), (reads, 6 + callers as usize), "{callers} callers");
        world.assert_is_quiet().await;
    }
}

/// Each caller has its own attempts: who has none left goes, and the others go on.
#[tokio::test(start_paused = true)]
async fn a_sender_without_attempts_left_answers_conflict_and_takes_nobody_with_it() {
    for coalesces in [false, true] {
        let world = World::new().await;
        let table = if coalesces { &world.coalescing } else { &world.table };
        let sender = add(&table.clone().with_retry(Retry::none()), 1);
        let calls = together([sender, add(table, 2), add(table, 3)]);
        let (ended, ()) = tokio::join!(calls, overtake(&world, 1));
        let [one, two, three] = ended.try_into().unwrap();
        let Err(Error::Conflict(conflict)) = one else { panic!("{one:?}") };
        assert_eq!((conflict.attempts(), conflict.expected(), conflict.actual()), (1, 1, Some(11)));
        assert!(two.is_ok() && three.is_ok());
        assert_eq!(world.stored().await.entries, [50, 2, 3]);
        world.assert_is_quiet().await;
    }
}

/// What others sent for a caller costs it no attempt.
#[tokio::test(start_paused = true)]
async fn a_member_without_retries_is_in_the_second_batch_too() {
    let world = World::new().await;
    let table = &world.coalescing;
    let once = add(&table.clone().with_retry(Retry::none()), 2);
    let (ended, ()) = tokio::join!(together([add(table, 1), once]), overtake(&world, 1));
    assert!(ended.iter().all(Result::is_ok), "{ended:?}");
    assert_eq!(world.stored().await.entries, [50, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn callers_without_retries_take_turns_where_nobody_else_writes() {
    let world = World::new().await;
    for table in [&world.table, &world.coalescing] {
        let table = table.clone().with_retry(Retry::none());
        let ended = together(add_each(&table, 0..20)).await;
        assert!(ended.iter().all(Result::is_ok));
    }
    assert_eq!(world.stored().await.entries.len(), 40);
}

/// Three programs, each with many callers; one of them coalesces.
pub(crate) async fn programs_that_queue_within_lose_nothing_to_each_other() {
    let world = World::new().await;
    let patient = retry(&[]).attempts(u32::MAX);
    let others = World::on(world.store.clone());
    let tables = [&world.table, &world.coalescing, &others.coalescing];
    let mut tasks = JoinSet::new();
    for (table, first) in tables.into_iter().zip([100, 200, 300]) {
        let table = table.clone().with_retry(patient);
        for entry in first..first + 30 {
            tasks.spawn(add(&table, entry));
        }
    }
    let journals: Vec<_> = tasks.join_all().await.into_iter().map(Result::unwrap).collect();
    let stored = world.stored().await;
    for journal in &journals {
        assert!(stored.entries.starts_with(&journal.entries), "a view of what was stored");
    }
    let mut entries = stored.entries;
    entries.sort_unstable();
    let all: Vec<u32> = [100, 200, 300].into_iter().flat_map(|first| first..first + 30).collect();
    assert_eq!(entries, all);
    world.assert_is_quiet().await;
    others.assert_is_quiet().await;
}

/// Who goes on with the write of a caller that is gone has its own attempts left, and not what that one had.
#[tokio::test(start_paused = true)]
async fn who_goes_on_with_a_write_keeps_its_own_attempts() {
    let world = World::new().await;
    let table = &world.coalescing;
    let gone = tokio::sync::Notify::new();
    let sender = async {
        tokio::select! {
            ended = add(table, 1) => panic!("it ended: {ended:?}"),
            () = gone.notified() => {}
        }
    };
    let retry = Retry::default().attempts(3);
    let member = table.update("a", |journal| journal.entries.push(2)).retry(retry).into_future();
    let rivals = async {
        overtake(&world, 4).await;
        let drop_it = async {
            gone.notify_one();
            world.rival_adds(60).await;
        };
        world.overtake("UpdateItem", drop_it).await;
    };
    let ((), member, ()) = tokio::join!(sender, member, rivals);
    assert_eq!(member.unwrap().entries.last(), Some(&2));
    world.assert_is_quiet().await;
}

/// A write that failed with the attempts of a caller that is gone says nothing of the attempts of those who waited for it.
#[tokio::test(start_paused = true)]
async fn who_goes_on_with_a_write_that_fails_tries_its_own() {
    let world = World::new().await;
    let table = &world.coalescing;
    let gone = tokio::sync::Notify::new();
    let once = |entry| {
        let call = table.update("a", move |journal| journal.entries.push(entry)).retry(Retry::none());
        call.into_future()
    };
    let sender = async {
        tokio::select! {
            ended = once(1) => panic!("it ended: {ended:?}"),
            () = gone.notified() => {}
        }
    };
    let gate = world.faults.hold_up("UpdateItem");
    let throttle = async {
        gate.reached().await;
        // As many as the SDK sends in one attempt.
        world.faults.script("UpdateItem", (0..3).map(|_| Fault::Instead(Reply::throttled())));
        gone.notify_one();
        gate.open();
    };
    let ((), member, ()) = tokio::join!(sender, once(2), throttle);
    assert_eq!(member.unwrap().entries.last(), Some(&2));
    assert!(world.faults.is_over());
    world.assert_is_quiet().await;
}
