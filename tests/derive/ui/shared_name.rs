use dynalock::Versioned;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Versioned)]
struct Order {
    #[dynalock(partition_key)]
    id: String,
    #[dynalock(version)]
    version: u64,
    #[serde(rename = "version")]
    revision: u64,
}

fn main() {}
