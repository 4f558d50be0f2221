//! Callers on several of tokio's runtimes, of which one ends, or is not driven any more, while a request is under way on it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use dynalock::testing::Fault;
use dynalock_tests::polling::polled;
use tokio::runtime::{Builder, Runtime};

use crate::world::{Answer, DEADLINE, Journal, World, add};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime")
}

/// Polls `call` a few times, which is enough for it to get as far as it can.
fn begin(runtime: &Runtime, call: &mut Answer<'_>) {
    runtime.block_on(async {
        for _ in 0..20 {
            assert!(polled(&mut *call, 1).await.is_none(), "it is over");
            tokio::task::yield_now().await;
        }
    });
}

/// What `call` comes to within a minute.
fn ended(runtime: &Runtime, call: Answer<'_>) -> Journal {
    let answer = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async { tokio::time::timeout(2 * DEADLINE, call).await })
    }));
    answer.expect("a panic").expect("it waits for ever").unwrap()
}

/// What becomes of the first runtime while the request is under way.
#[derive(Debug, Clone, Copy)]
enum First {
    Ends,
    IsIdle,
}

impl First {
    /// Ends `runtime`, or returns it, for as long as it is to be idle.
    fn befalls(self, runtime: Runtime) -> Option<Runtime> {
        match self {
            Self::Ends => {
                runtime.shutdown_background();
                None
            }
            Self::IsIdle => Some(runtime),
        }
    }
}

fn hand_over(operation: &str, first: First) {
    let (one, two) = (runtime(), runtime());
    let world = one.block_on(World::new());
    world.faults.script(operation, [Fault::NeverReplies]);
    let mut leader = add(&world.table, 1);
    begin(&one, &mut leader);
    assert!(world.faults.is_over());
    let mut waiting = add(&world.table, 2);
    begin(&two, &mut waiting);
    let idle = first.befalls(one);
    drop(leader);
    assert_eq!(ended(&two, waiting).entries.last(), Some(&2), "{operation}, {first:?}");
    drop(idle);
}

#[test]
fn write_of_a_runtime_that_ended() {
    hand_over("UpdateItem", First::Ends);
}

#[test]
fn read_of_a_runtime_that_ended() {
    hand_over("GetItem", First::Ends);
}

#[test]
fn write_of_an_idle_runtime() {
    hand_over("UpdateItem", First::IsIdle);
}

#[test]
fn read_of_an_idle_runtime() {
    hand_over("GetItem", First::IsIdle);
}

fn shared(first: First) {
    let (one, two) = (runtime(), runtime());
    let world = one.block_on(World::new());
    let gate = world.faults.hold_up("UpdateItem");
    let mut before = add(&world.coalescing, 0);
    begin(&one, &mut before);
    let mut sender = add(&world.coalescing, 1);
    begin(&one, &mut sender);
    let mut member = add(&world.coalescing, 2);
    begin(&two, &mut member);
    gate.open();
    one.block_on(before).unwrap();
    world.faults.script("UpdateItem", [Fault::NeverReplies]);
    begin(&one, &mut sender);
    begin(&two, &mut member);
    begin(&one, &mut sender);
    assert!(world.faults.is_over());
    assert_eq!(world.written().last(), Some(&vec![0, 1, 2]));
    let idle = first.befalls(one);
    drop(sender);
    assert_eq!(ended(&two, member).entries.last(), Some(&2), "{first:?}");
    assert_eq!(ended(&two, world.rival.update("a", |_| ()).into_future()).entries, [0, 1, 2], "{first:?}");
    drop(idle);
}

fn shared_create(first: First) {
    let (one, two) = (runtime(), runtime());
    let world = one.block_on(World::new());
    let create = |entry| -> Answer<'static> {
        let change = move |journal: &mut Journal| journal.entries.push(entry);
        world.coalescing.update_or_create("b", || Journal::empty("b"), change).into_future()
    };
    let gate = world.faults.hold_up("GetItem");
    let (mut sender, mut member) = (create(1), create(2));
    begin(&one, &mut sender);
    begin(&two, &mut member);
    gate.open();
    world.faults.script("PutItem", [Fault::NeverReplies]);
    begin(&one, &mut sender);
    begin(&two, &mut member);
    begin(&one, &mut sender);
    assert!(world.faults.is_over());
    let idle = first.befalls(one);
    drop(sender);
    assert_eq!(ended(&two, member).entries, [1, 2], "{first:?}");
    assert_eq!(world.sent.count("PutItem"), 1, "{first:?}");
    drop(idle);
}

#[test]
fn shared_create_of_a_runtime_that_ended() {
    shared_create(First::Ends);
}

#[test]
fn shared_create_of_an_idle_runtime() {
    shared_create(First::IsIdle);
}

#[test]
fn shared_write_of_a_runtime_that_ended() {
    shared(First::Ends);
}

#[test]
fn shared_write_of_an_idle_runtime() {
    shared(First::IsIdle);
}
