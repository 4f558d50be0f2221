//! Many tasks count on one item, in three ways: what contention costs, and what sharing a table saves.
//!
//! `cargo run --example hot_counter --features embedded`

#[path = "../common/mod.rs"]
mod common;
mod distance;
mod lane;

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use common::DynamoDb;
use distance::Distance;
use dynalock::{Retry, Table, Versioned};
use lane::Lane;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

#[derive(Serialize, Deserialize, Versioned)]
struct Counter {
    #[dynalock(partition_key)]
    id: String,
    count: u32,
    #[dynalock(version)]
    version: u64,
}

const TABLE: &str = "dynalock-hot-counter";
const TASKS: u32 = 50;
const EACH: u32 = 4;

/// How the tasks come by their table.
#[derive(Clone, Copy)]
enum Way {
    /// Each has its own, as if it were another application.
    Apart,
    /// All share one, and so take turns.
    Shared,
    /// All share one that makes one write of the updates that wait.
    Coalescing,
}

const WAYS: [(Way, &str); 3] =
    [(Way::Apart, "a table each"), (Way::Shared, "one table"), (Way::Coalescing, "coalescing()")];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let dynamodb = DynamoDb::chosen()?;
    let milliseconds = if let DynamoDb::Embedded(_) = dynamodb { 4 } else { 0 };
    println!(
        "{TASKS} tasks add 1 to one item, {EACH} times each, in three ways, on {}{}.\n",
        dynamodb.describe(),
        if milliseconds > 0 { ", put 4 ms away" } else { "" },
    );
    let client = dynamodb.client();
    let counters = Table::<Counter>::new(&client, TABLE);
    counters.create_table().await?;
    let compared = compare(&client, &counters, milliseconds).await;
    client.delete_table().table_name(TABLE).send().await?;
    compared
}

/// Lets all tasks count in each way, and shows what that took.
async fn compare(
    client: &Client,
    counters: &Table<Counter>,
    milliseconds: u64,
) -> Result<(), Box<dyn Error>> {
    let mut lanes = Vec::new();
    for (way, name) in WAYS {
        counters.create(&mut Counter { id: name.into(), count: 0, version: 0 }).await?;
        let distance = Distance::new(client, Duration::from_millis(milliseconds));
        let lane = Arc::new(Lane::new(name, TASKS * EACH, distance.clone()));
        tokio::select! {
            counted = count(way, name, distance, &lane) => counted?,
            () = lane.show() => {}
        }
        lane.draw_last();
        lanes.push(lane);
    }

    println!("\n   way            updates/s   requests an update   longest wait   counted");
    let mut wrong = vec![];
    for lane in lanes {
        let counter = counters.get(lane.name).await?.ok_or("the counter is gone")?;
        println!("{}   {:>7}", lane.summary(), counter.count);
        if counter.count != TASKS * EACH {
            wrong.push(lane.name);
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("updates were lost or doubled: {wrong:?}").into()) }
}

/// Lets all tasks add, and returns when the last one is through.
async fn count(
    way: Way,
    id: &'static str,
    distance: Distance,
    lane: &Arc<Lane>,
) -> Result<(), Box<dyn Error>> {
    let client = distance.client();
    // Nobody is to give up, on however slow a machine.
    let patient = Retry::default().attempts(u32::MAX).deadline(Duration::from_mins(10));
    let table = || Table::<Counter>::new(&client, TABLE).with_retry(patient);
    let shared = match way {
        Way::Apart | Way::Shared => table(),
        Way::Coalescing => table().coalescing(),
    };
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let counters = if let Way::Apart = way { table() } else { shared.clone() };
        let lane = Arc::clone(lane);
        tasks.spawn(async move {
            for _ in 0..EACH {
                let began = Instant::now();
                counters.update(id, |counter| counter.count += 1).await?;
                lane.passed(began.elapsed());
            }
            Ok::<_, dynalock::Error>(())
        });
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    Ok(())
}
