use dynalock::Versioned;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Versioned)]
struct Order {
    #[dynalock(partition_key)]
    id: String,
    #[dynalock(partition_key)]
    name: String,
    #[dynalock(version)]
    version: u64,
}

fn main() {}
