use dynalock::Versioned;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Versioned)]
struct Order {
    #[dynalock(partition_key)]
    id: String,
    #[dynalock(version, start = now)]
    version: u64,
}

fn main() {}
