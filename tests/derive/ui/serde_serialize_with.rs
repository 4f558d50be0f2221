use dynalock::Versioned;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Versioned)]
struct Order {
    #[dynalock(partition_key)]
    #[serde(serialize_with = "u64::serialize")]
    id: u64,
    #[dynalock(version)]
    version: u64,
}

fn main() {}
