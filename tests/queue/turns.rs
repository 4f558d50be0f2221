//! Callers of one item take turns, and hand on what they wrote.

use std::future::IntoFuture;

use dynalock::testing::Fault;
use dynalock::{Retry, Table, Versioned};
use dynalock_tests::polling::together;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::world::{DEADLINE, Journal, SECOND, World, add, add_each};

/// How long the first write takes in tests about who waits for it.
const LONG: std::time::Duration = std::time::Duration::from_secs(5);

pub(crate) async fn a_hundred_updates_take_turns_in_their_order_after_one_read() {
    let world = World::new().await;
    let clones: Vec<_> = (0..100).map(|entry| add(&world.table.clone(), entry)).collect();
    let ended = together(clones).await;
    assert_eq!(world.requests(), (1, 100));
    let all: Vec<u32> = (0..100).collect();
    for (journal, writes) in ended.into_iter().zip(1..) {
        let writes: u32 = writes;
        assert_eq!(journal.unwrap(), Journal::after(writes.into(), &all[..writes as usize]));
    }
    assert_eq!(world.stored().await, Journal::after(100, &all));
    world.assert_is_quiet().await;
}

/// The order of tasks is the runtime's affair, but each of them adds its entry to what the one before left.
pub(crate) async fn updates_of_many_tasks_are_all_applied_once() {
    let world = World::new().await;
    let tasks: JoinSet<_> = add_each(&world.table, 0..100).collect();
    let mut journals: Vec<_> = tasks.join_all().await.into_iter().map(Result::unwrap).collect();
    journals.sort_by_key(|journal| journal.version);
    let stored = world.stored().await;
    for (journal, writes) in journals.into_iter().zip(1..) {
        assert_eq!(journal, Journal::after(writes, &stored.entries[..usize::try_from(writes).unwrap()]));
    }
    assert_eq!(stored.entries.len(), 100);
    assert_eq!(world.sent.count("UpdateItem"), 100, "nobody is in the way of anybody");
    world.assert_is_quiet().await;
}

/// Runs `call` while an update of "a" takes long, and returns how long it took.
async fn beside_a_long_write<T>(world: &World, call: impl IntoFuture<Output = dynalock::Result<T>>) -> u64 {
    world.faults.script("UpdateItem", [Fault::Delay(LONG)]);
    let patient = Retry::default().attempt_timeout(DEADLINE);
    let long = world.table.update("a", |journal| journal.entries.push(0)).retry(patient).into_future();
    let other = async {
        // Until the first one has read and is writing.
        tokio::time::sleep(SECOND).await;
        let begun = Instant::now();
        call.into_future().await.unwrap();
        begun.elapsed()
    };
    let (long, took) = tokio::join!(long, other);
    long.unwrap();
    took.as_secs()
}

const REST: u64 = LONG.as_secs() - SECOND.as_secs();

#[tokio::test(start_paused = true)]
async fn callers_of_other_items_do_not_wait() {
    let world = World::new().await;
    world.rival.create(&mut Journal::empty("b")).await.unwrap();
    let add = |journal: &mut Journal| journal.entries.push(1);
    assert_eq!(beside_a_long_write(&world, world.table.update("b", add)).await, 0);
    let fresh = || Journal::empty("c");
    assert_eq!(beside_a_long_write(&world, world.table.update_or_create("c", fresh, add)).await, 0);
}

#[tokio::test(start_paused = true)]
async fn clones_share_the_queue_whatever_their_retries() {
    let world = World::new().await;
    let clone = world.table.clone();
    assert_eq!(beside_a_long_write(&world, add(&clone, 1)).await, REST);
    let patient = world.table.clone().with_retry(Retry::default().attempts(100));
    assert_eq!(beside_a_long_write(&world, add(&patient, 2)).await, REST);
    assert_eq!(world.stored().await.entries, [0, 1, 0, 2]);
}

/// They are to each other what another program is: the long write finds that it was overtaken, and is done again.
#[tokio::test(start_paused = true)]
async fn other_tables_of_the_name_share_no_queue() {
    let world = World::new().await;
    let other = Table::new(&world.client, "journals");
    assert_eq!(beside_a_long_write(&world, add(&other, 1)).await, 0);
    assert_eq!(beside_a_long_write(&world, add(&world.coalescing, 2)).await, 0);
    let apart = world.coalescing.clone().coalescing();
    assert_eq!(beside_a_long_write(&world, add(&apart, 3)).await, 0);
    assert_eq!(world.stored().await.entries, [1, 0, 2, 0, 3, 0]);
}

#[tokio::test(start_paused = true)]
async fn clones_of_a_coalescing_table_share_its_writes() {
    let world = World::new().await;
    let clones = [world.coalescing.clone(), world.coalescing.clone().with_retry(Retry::none())];
    let calls = clones.iter().chain([&world.coalescing]).zip(0..).map(|(table, entry)| add(table, entry));
    let ended = together(calls).await;
    assert!(ended.iter().all(Result::is_ok));
    assert_eq!(world.requests(), (1, 1));
    assert_eq!(world.stored().await, Journal::after(1, &[0, 1, 2]));
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
struct Line {
    #[dynalock(partition_key)]
    cart: String,
    #[dynalock(sort_key)]
    number: String,
    boxes: u32,
    #[dynalock(version)]
    version: u64,
}

/// Both parts of a key count, each for itself.
#[tokio::test(start_paused = true)]
async fn keys_that_only_look_alike_are_of_different_items() {
    let world = World::new().await;
    let lines = Table::<Line>::new(&world.client, "lines").coalescing();
    lines.create_table().await.unwrap();
    let keys = [("ab", "c"), ("a", "bc"), ("ab", "d"), ("b", "c")];
    let calls = keys.iter().chain(&keys).map(|&(cart, number)| {
        let fresh = move || Line { cart: cart.into(), number: number.into(), boxes: 0, version: 0 };
        lines.update_or_create((cart, number), fresh, |line| line.boxes += 1).into_future()
    });
    let ended = timeout(DEADLINE, together(calls)).await.unwrap();
    assert!(ended.iter().all(Result::is_ok));
    for key in keys {
        let line = lines.get(key).await.unwrap().unwrap();
        assert_eq!((line.boxes, line.version), (2, 1), "one write for both callers");
    }
}

/// The next one does not trust what was left to it long ago: with nobody in the queue, nothing is kept.
#[tokio::test(start_paused = true)]
async fn an_item_is_read_again_when_nobody_waited_for_it() {
    let world = World::new().await;
    for table in [&world.table, &world.coalescing] {
        for entry in 0..3 {
            add(table, entry).await.unwrap();
        }
    }
    assert_eq!(world.requests(), (6, 6));
}
