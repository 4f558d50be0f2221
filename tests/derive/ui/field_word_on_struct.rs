use dynalock::Versioned;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Versioned)]
#[dynalock(version)]
struct Order {
    #[dynalock(partition_key)]
    id: String,
    version: u64,
}

fn main() {}
