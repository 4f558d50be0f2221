use dynalock::Versioned;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Versioned)]
#[serde(rename_all(serialize = "camelCase"))]
struct Order {
    #[dynalock(partition_key)]
    order_id: String,
    #[dynalock(version)]
    row_version: u64,
}

fn main() {}
