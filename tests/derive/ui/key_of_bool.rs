use dynalock::Versioned;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Versioned)]
struct Order {
    #[dynalock(partition_key)]
    id: bool,
    #[dynalock(sort_key)]
    line: (u8, f64),
    #[dynalock(version)]
    version: u64,
}

fn main() {}
