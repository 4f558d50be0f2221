use dynalock::Versioned;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Versioned)]
#[serde(transparent)]
struct Order {
    #[dynalock(partition_key)]
    #[dynalock(version)]
    id: u64,
}

fn main() {}
