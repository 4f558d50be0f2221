use dynalock::Versioned;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Versioned)]
struct Order {
    #[dynalock(partition_key)]
    id: String,
    #[dynalock(version)]
    #[serde(skip_serializing, default)]
    version: u64,
}

fn main() {}
