use dynalock::Versioned;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Versioned)]
struct Order {
    #[dynalock(partition_key)]
    id: [u8; 16],
    #[dynalock(sort_key)]
    line: Vec<u8>,
    #[dynalock(version)]
    version: u64,
}

fn main() {}
