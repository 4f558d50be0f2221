//! Closures that panic in their turn.

use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use dynalock::{Error, Table};
use dynalock_tests::middleware::operation;
use dynalock_tests::polling::{together, unless_it_panics};
use tokio::task::JoinSet;

use crate::world::{Answer, Journal, World, add, busy};

/// Adds an entry, but panics in one of its runs, counted from 1.
fn panic_in(table: &Table<Journal>, run: u32, entry: u32) -> Answer<'static> {
    let mut runs = 0;
    let change = move |journal: &mut Journal| {
        runs += 1;
        journal.entries.push(entry);
        assert_ne!(runs, run, "by the closure");
    };
    table.update("a", change).into_future()
}

/// Whether it is the first, a middle or the last one, in its first run or after a conflict.
pub(crate) async fn a_closure_that_panics_changes_nothing_and_holds_up_nobody() {
    for coalesces in [false, true] {
        for (victim, run) in [(1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (3, 2)] {
            let world = World::new().await;
            let table = if coalesces { &world.coalescing } else { &world.table };
            let calls = (1..=3).map(|entry| {
                let call = if entry == victim { panic_in(table, run, entry) } else { add(table, entry) };
                unless_it_panics(call)
            });
            // The rival makes the first batch, or one write, run again.
            let rival = async {
                if run == 2 && (coalesces || victim == 1) {
                    world.overtake("UpdateItem", world.rival_adds(50)).await;
                }
            };
            let (ended, ()) = tokio::join!(together(calls), rival);
            let never_twice = run == 2 && !coalesces && victim != 1;
            for (answer, entry) in ended.into_iter().zip(1..) {
                assert_eq!(answer.is_none(), entry == victim && !never_twice, "{coalesces} {victim} {run}");
                assert!(answer.is_none_or(|answer| answer.is_ok()));
            }
            let mut stored = world.stored().await.entries;
            stored.retain(|entry| *entry < 50);
            // Those before the one in the middle come after those behind it.
            stored.sort_unstable();
            let others: Vec<u32> = (1..=3).filter(|entry| *entry != victim || never_twice).collect();
            assert_eq!(stored, others, "{coalesces} {victim} {run}");
            world.assert_is_quiet().await;
        }
    }
}

/// The same in tasks, where tokio catches the panic, and for what makes a new item.
pub(crate) async fn a_panic_in_a_task_holds_up_nobody() {
    let world = World::new().await;
    for table in [&world.table, &world.coalescing] {
        let mut tasks = JoinSet::new();
        for entry in 0..6 {
            match entry {
                1 | 4 => tasks.spawn(panic_in(table, 1, entry)),
                _ => tasks.spawn(add(table, entry)),
            };
            let fresh = move || {
                assert_ne!(entry, 1, "by the closure");
                Journal::empty("b")
            };
            tasks.spawn(table.update_or_create("b", fresh, |_| ()).into_future());
        }
        let mut panicked = 0;
        while let Some(ended) = tasks.join_next().await {
            match ended {
                Ok(answer) => drop(answer.unwrap()),
                Err(error) => panicked += u32::from(error.is_panic()),
            }
        }
        assert!((2..=3).contains(&panicked), "{panicked} panicked");
    }
    let mut entries = world.stored().await.entries;
    entries.sort_unstable();
    assert_eq!(entries, [0, 0, 2, 2, 3, 3, 5, 5]);
    world.assert_is_quiet().await;
}

/// An interceptor of the client's that panics once, when a request of `operation` is about to be sent.
#[derive(Debug)]
struct Panics {
    operation: &'static str,
    has_panicked: AtomicBool,
}

impl Intercept for Panics {
    fn name(&self) -> &'static str {
        "Panics"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let is_meant = operation(context.request()) == self.operation;
        let panics = is_meant && !self.has_panicked.swap(true, Ordering::Relaxed);
        assert!(!panics, "by the client");
        Ok(())
    }
}

/// The request was that of all who waited: a read is begun again, and the outcome of a write is unknown to each.
#[tokio::test(start_paused = true)]
async fn a_client_that_panics_holds_up_nobody() {
    for (coalesces, operation) in
        [(false, "GetItem"), (true, "GetItem"), (false, "UpdateItem"), (true, "UpdateItem")]
    {
        let world = World::new().await;
        let panics = Panics { operation, has_panicked: AtomicBool::new(false) };
        let config = world.client.config().to_builder().interceptor(panics);
        let table = Table::new(&Client::from_conf(config.build()), "journals");
        let table = if coalesces { table.coalescing() } else { table };
        let calls = (1..=3).map(|entry| unless_it_panics(add(&table, entry)));
        let [first, two, three] = together(calls).await.try_into().unwrap();
        assert!(first.is_none(), "it panicked");
        let others = [two.unwrap(), three.unwrap()];
        if coalesces && operation == "UpdateItem" {
            let is_unknown = |answer: &dynalock::Result<_>| matches!(answer, Err(Error::OutcomeUnknown(_)));
            assert!(others.iter().all(is_unknown), "{others:?}");
        } else {
            assert!(others.iter().all(Result::is_ok), "{others:?}");
        }
        assert_eq!(busy(&table), 0);
        add(&table, 4).await.unwrap();
        world.assert_is_quiet().await;
    }
}
