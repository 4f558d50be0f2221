use dynalock::Versioned;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Versioned)]
struct Order {
    #[dynalock(partition_key)]
    id: Vec<u8>,
    #[dynalock(sort_key)]
    line: Option<String>,
    #[dynalock(version)]
    version: u64,
}

fn main() {}
