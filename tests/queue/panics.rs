//! Closures that panic in their turn.

use dynalock::Table;
use dynalock_tests::polling::{together, unless_it_panics};
use tokio::task::JoinSet;

use crate::world::{Answer, Journal, World, add};

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
