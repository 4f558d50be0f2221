use dynalock::Versioned;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Versioned)]
struct Order {
    #[dynalock(partition_key)]
    id: String,
    #[dynalock(version)]
    #[serde(skip_serializing_if = "unstored")]
    version: u64,
}

fn unstored(version: &u64) -> bool { *version == 0 }
fn main() {}
