use dynalock::Versioned;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Versioned)]
struct Order {
    #[dynalock(partition_key)]
    #[serde(rename(deserialize = "id", deserialize = "number"))]
    id: String,
    #[dynalock(version)]
    version: u64,
}

fn main() {}
