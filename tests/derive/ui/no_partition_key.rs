use dynalock::Versioned;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Versioned)]
struct Order {
    #[dynalock(sort_key)]
    line: u32,
    #[dynalock(version)]
    version: u64,
}

fn main() {}
