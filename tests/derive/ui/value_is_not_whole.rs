use dynalock::Versioned;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Versioned)]
#[dynalock(stamps = 1.5)]
struct Order {
    #[dynalock(partition_key)]
    id: String,
    #[dynalock(version, start = 1.5, step = 0.5)]
    version: u64,
}

fn main() {}
