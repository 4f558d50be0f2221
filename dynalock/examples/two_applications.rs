//! Two applications change one item at the same time, and neither loses an update.
//!
//! `cargo run --example two_applications --features embedded`

mod common;

use std::error::Error;
use std::sync::Arc;

use common::DynamoDb;
use dynalock::{Retry, Table, Versioned};
use serde::{Deserialize, Serialize};
use tokio::sync::Barrier;
use tokio::task::JoinHandle;

#[derive(Debug, Clone, Serialize, Deserialize, Versioned)]
struct Order {
    #[dynalock(partition_key)]
    id: String,
    status: String,
    boxes: u32,
    #[dynalock(version)]
    version: u64,
}

const TABLE: &str = "dynalock-two-applications";
const UPDATES: u32 = 100;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let dynamodb = DynamoDb::chosen()?;
    println!("Applications A and B share one item on {}.\n", dynamodb.describe());

    let setup = Table::<Order>::new(&dynamodb.client(), TABLE);
    setup.create_table().await?;
    setup.create(&mut Order { id: "order-1".into(), status: "new".into(), boxes: 1, version: 0 }).await?;

    stale_write(&dynamodb).await?;
    race(&dynamodb).await?;

    dynamodb.client().delete_table().table_name(TABLE).send().await?;
    Ok(())
}

/// Both read the order, A saves first, and B's save is refused: step by step.
async fn stale_write(dynamodb: &DynamoDb) -> Result<(), Box<dyn Error>> {
    let turns = Arc::new(Barrier::new(2));
    let (orders_a, orders_b) = (orders(dynamodb), orders(dynamodb));
    println!("1. Both read, both change, both save\n");
    row("", "application A", "application B", "stored");
    row("", &"-".repeat(WIDTH), &"-".repeat(WIDTH), &"-".repeat(WIDTH));

    let turn = Arc::clone(&turns);
    let a = tokio::spawn(async move {
        let mut order = read(&orders_a).await?;
        row("1", &format!("reads {}", text(&order)), "", "");
        turn.wait().await; // A has read
        turn.wait().await; // B has read
        order.status = "paid".into();
        orders_a.save(&mut order).await?;
        row("3", "sets status to paid, saves: ok", "", &text(&order));
        turn.wait().await; // A has saved
        Ok::<_, dynalock::Error>(())
    });

    let turn = turns;
    let b = tokio::spawn(async move {
        turn.wait().await; // A has read
        let mut order = read(&orders_b).await?;
        row("2", "", &format!("reads {}", text(&order)), "");
        turn.wait().await; // B has read
        turn.wait().await; // A has saved
        order.boxes += 2;
        let refused = orders_b.save(&mut order).await;
        let Err(dynalock::Error::Conflict(conflict)) = refused else {
            panic!("the stale write must be refused, but was {refused:?}");
        };
        row("4", "", "adds 2 boxes, saves: REFUSED", "");
        let theirs: Order = conflict.current()?;
        row("", "", &format!("  it expected v{}, found v{}", conflict.expected(), theirs.version), "");
        row("5", "", &format!("sees  {}", text(&theirs)), "");
        order = theirs;
        order.boxes += 2;
        orders_b.save(&mut order).await?;
        row("6", "", "adds 2 boxes again, saves: ok", &text(&order));
        Ok::<_, dynalock::Error>(())
    });
    tokio::try_join!(ended(a), ended(b))?;
    println!("\n   A's payment and B's boxes are both there.\n");
    Ok(())
}

/// Both add boxes as fast as they can. `update` does by itself what B did above by hand.
async fn race(dynamodb: &DynamoDb) -> Result<(), Box<dyn Error>> {
    println!("2. Both call `update` {UPDATES} times at once: add 1 box\n");
    let before = read(&orders(dynamodb)).await?;
    let start = Arc::new(Barrier::new(2));
    let application = |name: &'static str| {
        let (orders, start) = (orders(dynamodb), Arc::clone(&start));
        tokio::spawn(async move {
            start.wait().await;
            let (mut runs, patient) = (0_u32, Retry::default().attempts(1000));
            for _ in 0..UPDATES {
                let update = orders.update("order-1", |order| {
                    runs += 1;
                    order.boxes += 1;
                });
                update.retry(patient).await?;
            }
            Ok::<_, dynalock::Error>((name, runs - UPDATES))
        })
    };
    let (a, b) = tokio::try_join!(ended(application("A")), ended(application("B")))?;
    for (name, again) in [a, b] {
        println!(
            "   application {name}: {UPDATES} updates, {again:>3} conflicts, each retried on the newer item"
        );
    }
    let after = read(&orders(dynamodb)).await?;
    let (added, versions) = (after.boxes - before.boxes, after.version - before.version);
    println!("\n   stored before: {}", text(&before));
    println!("   stored after:  {}", text(&after));
    println!("   {added} boxes added in {versions} versions, {} lost", 2 * UPDATES - added);
    Ok(())
}

/// What a task ended with. If one application fails, the other is not waited for.
async fn ended<T>(task: JoinHandle<dynalock::Result<T>>) -> Result<T, Box<dyn Error>> {
    Ok(task.await??)
}

/// Every application has a client of its own.
fn orders(dynamodb: &DynamoDb) -> Table<Order> {
    Table::new(&dynamodb.client(), TABLE)
}

async fn read(orders: &Table<Order>) -> dynalock::Result<Order> {
    orders.get("order-1").await?.ok_or(dynalock::Error::NotFound)
}

fn text(order: &Order) -> String {
    format!("v{}: {}, boxes: {}", order.version, order.status, order.boxes)
}

const WIDTH: usize = 30;

fn row(step: &str, a: &str, b: &str, stored: &str) {
    let row = format!("   {step:<2} {a:<WIDTH$}  {b:<WIDTH$}  {stored}");
    println!("{}", row.trim_end());
}
