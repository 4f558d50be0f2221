//! Stalls of the store and loads above its capacity: those who can still be answered are served, and a queue does not outlive
//! its cause.

use std::future::IntoFuture;
use std::time::Duration;

use dynalock::{Retry, Table};
use dynalock_tests::engines::Store;
use dynalock_tests::load::{Ends, Load, Patience};
use dynalock_tests::middleware::Middleware;
use dynalock_tests::recording::Recording;
use dynalock_tests::stalling::Stalling;
use serde::{Deserialize, Serialize};

use crate::world::{MS, SECOND};

#[derive(Debug, Clone, Serialize, Deserialize, dynalock::Versioned)]
struct Counter {
    #[dynalock(partition_key)]
    id: String,
    count: usize,
    #[dynalock(version)]
    version: u64,
}

/// A counter in a store that is 5 ms away.
struct Scene {
    way: Stalling,
    sent: Recording,
    table: Table<Counter>,
}

/// How long the callers wait.
const PATIENCE: Duration = Duration::from_millis(300);

const BOTH: [Patience; 2] = [Patience::Deadline(PATIENCE), Patience::Dropped(PATIENCE)];

impl Scene {
    async fn new(coalesces: bool) -> Self {
        let store = Store::memory();
        let (way, sent) = (Stalling::new(5 * MS), Recording::default());
        let config = store.config().http_client(sent.wrap(way.wrap(store.http_client())));
        let client = aws_sdk_dynamodb::Client::from_conf(config.build());
        let table = Table::new(&client, "counters");
        table.create_table().await.unwrap();
        table.create(&mut Counter { id: "a".into(), count: 0, version: 0 }).await.unwrap();
        let table = if coalesces { table.coalescing() } else { table };
        Self { way, sent, table }
    }

    /// Offers a load of updates, and returns how they ended in each tenth of a second. Each that was applied counts once.
    async fn offer(&self, rate: u32, lasts: Duration, patience: Patience) -> Vec<Ends> {
        let load = Load { rate, lasts, span: 100 * MS, patience };
        let ends = load
            .offer(|patience| {
                let retry = match patience {
                    Patience::Deadline(deadline) => Retry::default().deadline(deadline),
                    Patience::Dropped(_) => Retry::default(),
                };
                self.table.update("a", |counter| counter.count += 1).retry(retry).into_future()
            })
            .await;
        let all: Ends = ends.iter().sum();
        let applied = self.table.get("a").await.unwrap().unwrap().count;
        assert!(applied >= all.ok && applied <= all.ok + all.unknown + all.dropped, "{applied} of {all:?}");
        ends
    }
}

/// Row 42: one stall, as long as the patience of more than those who come meanwhile, and a load below the capacity.
async fn stall(coalesces: bool, rate: u32) {
    for patience in BOTH {
        let scene = Scene::new(coalesces).await;
        let stall = async {
            tokio::time::sleep(500 * MS).await;
            scene.way.stall(700 * MS);
        };
        // 0.5 s of calm, 0.7 s of the stall, 2 s to recover, and what comes then.
        let (ends, ()) = tokio::join!(scene.offer(rate, 3700 * MS, patience), stall);
        let later: Ends = ends[32..].iter().sum();
        println!("{rate}/s, {patience:?}: {:?}", ends.iter().map(Ends::percent_ok).collect::<Vec<_>>());
        assert!(later.percent_ok() >= 95, "{rate}/s, {patience:?}: {later:?}");
        assert_eq!(later.failed, 0, "{rate}/s, {patience:?}: {later:?}");
        let reads = scene.sent.count("GetItem");
        println!("{reads} reads");
    }
}

#[tokio::test(start_paused = true)]
async fn turns_recover_from_a_stall() {
    stall(false, 130).await;
}

#[tokio::test(start_paused = true)]
async fn coalesced_writes_recover_from_a_stall_at_1_000_calls_a_second() {
    stall(true, 1_000).await;
}

#[tokio::test(start_paused = true)]
async fn coalesced_writes_recover_from_a_stall_at_10_000_calls_a_second() {
    stall(true, 10_000).await;
}

#[tokio::test(start_paused = true)]
async fn coalesced_writes_recover_from_a_stall_at_20_000_calls_a_second() {
    stall(true, 20_000).await;
}

/// Row 43: turns take 5 ms each, so that the store takes 200 of them a second.
#[tokio::test(start_paused = true)]
async fn at_four_times_the_capacity_goodput_is_at_its_peak_and_the_rest_is_refused() {
    for patience in BOTH {
        let mut goodput = vec![];
        for rate in [100, 200, 400, 800] {
            let scene = Scene::new(false).await;
            let ends: Ends = scene.offer(rate, 5 * SECOND, patience).await.iter().sum();
            println!("{rate}/s, {patience:?}: {ends:?}");
            goodput.push(ends);
        }
        let peak = goodput.iter().map(|ends| ends.ok).max().unwrap();
        let last = goodput.last().unwrap();
        assert!(last.ok * 10 >= peak * 9, "{patience:?}: {last:?} of {peak}");
        assert_eq!((last.unknown, last.failed), (0, 0), "{patience:?}");
    }
}
