use dynalock::Versioned;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Versioned)]
#[dynalock(table = "orders")]
struct Order {
    #[dynalock(partition_key, encrypted)]
    id: String,
    #[dynalock(version)]
    version: u64,
}

fn main() {}
