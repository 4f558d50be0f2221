use dynalock::Versioned;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Versioned)]
#[dynalock(stamps = 1)]
#[dynalock(stamps = 2)]
struct Order {
    #[dynalock(partition_key, partition_key)]
    id: String,
    #[dynalock(version, start = 1, start = 2)]
    version: u64,
}

fn main() {}
