//! How many may wait, and that nothing is kept of those who waited.

use std::future::poll_fn;
use std::task::Poll;

use dynalock::Error;
use dynalock_tests::polling::together;
use tokio::task::JoinSet;

use crate::world::{Answer, Journal, World, add, busy};

const LIMIT: usize = 10_000;

/// Polls each of `calls` once.
async fn poll_once(calls: &mut [Answer<'_>]) {
    poll_fn(|context| {
        assert!(calls.iter_mut().all(|call| call.as_mut().poll(context).is_pending()));
        Poll::Ready(())
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn more_than_10_000_callers_of_an_item_are_refused() {
    for coalesces in [false, true] {
        let world = World::new().await;
        world.rival.create(&mut Journal::empty("b")).await.unwrap();
        let table = if coalesces { &world.coalescing } else { &world.table };
        let mut calls: Vec<_> = (0..LIMIT).map(|_| add(table, 1)).collect();
        poll_once(&mut calls).await;
        let sent = world.sent.sent().len();
        let error = add(table, 2).await.unwrap_err();
        assert!(matches!(error, Error::Busy { .. }), "{error:?}");
        assert!(error.is_retryable());
        let expected = "table \"journals\": 10,000 calls of this process wait for the same item already";
        assert_eq!(error.to_string(), expected);
        assert_eq!(world.sent.sent().len(), sent, "nothing is sent");

        // It is about one item and one table, and passes with the next one that is through.
        table.update("b", |journal| journal.entries.push(3)).await.unwrap();
        add(&table.clone().coalescing(), 4).await.unwrap();
        calls.pop();
        calls.push(add(table, 5));
        poll_once(&mut calls[LIMIT - 1..]).await;
        assert!(matches!(add(table, 2).await, Err(Error::Busy { .. })));
        assert_eq!(busy(table), 1);
        drop(calls);
        world.assert_is_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_table_shows_how_many_items_are_busy_and_not_which() {
    let world = World::new().await;
    assert_eq!(format!("{:?}", world.table), r#"Table { name: "journals", busy_items: 0, .. }"#);
    let keys = ["a", "b", "c"];
    let calls = || keys.map(|key| world.table.update(key, |_| ()).into_future());
    let mut waiting: Vec<_> = calls().into_iter().chain(calls()).collect();
    poll_once(&mut waiting).await;
    assert_eq!(busy(&world.table), 3);
    assert_eq!(busy(&world.coalescing), 0);
    let ended = together(waiting).await;
    assert_eq!(ended.iter().filter(|answer| answer.is_ok()).count(), 2);
    assert_eq!(busy(&world.table), 0);
}

/// Each member of a write holds its object until it is answered: 64 MiB of them at the most.
#[tokio::test(start_paused = true)]
async fn the_members_of_a_write_are_limited_by_the_size_of_the_item() {
    let world = World::new().await;
    world.rival.update("a", |journal| journal.note = "x".repeat(390 * 1024)).await.unwrap();
    let ended = together((0..500).map(|entry| add(&world.coalescing, entry))).await;
    assert!(ended.iter().all(Result::is_ok));
    let writes: Vec<_> = world.written().iter().map(Vec::len).collect();
    assert_eq!(writes, [168, 336, 500], "64 MiB are 168 objects of 390 KB");
}

/// However callers of many items come and go, and whichever of them goes last.
pub(crate) async fn no_queue_is_left_when_all_callers_are_gone() {
    let world = World::new().await;
    for table in [&world.table, &world.coalescing] {
        for round in 0..8 {
            let mut tasks = JoinSet::new();
            for key in 0..25 {
                for caller in 0..3 {
                    let key = format!("{round} {key}");
                    let id = key.clone();
                    let create = move || Journal::empty(&id);
                    let add = move |journal: &mut Journal| journal.entries.push(caller);
                    tasks.spawn(table.update_or_create(key, create, add).into_future());
                }
            }
            if round % 2 == 0 {
                tasks.join_next().await;
                tasks.shutdown().await;
            } else {
                assert!(tasks.join_all().await.iter().all(Result::is_ok));
            }
            assert_eq!(busy(table), 0);
        }
    }
}
