#![deny(unused_must_use)]

use dynalock::{Table, Versioned};

#[derive(serde::Serialize, serde::Deserialize, Versioned)]
struct Order {
    #[dynalock(partition_key)]
    id: String,
    #[dynalock(version)]
    version: u64,
}

async fn save(orders: Table<Order>, mut held: Vec<Order>) {
    orders.save_all(&mut held).await;
}

fn main() {}
