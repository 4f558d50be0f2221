use dynalock::Versioned;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Versioned)]
#[dynalock(verison)]
struct Order {
    #[dynalock(partition_key)]
    #[dynalock(stamp = 4)]
    id: String,
    version: u64,
}

fn main() {}
