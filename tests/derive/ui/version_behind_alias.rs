use dynalock::Versioned;
use serde::{Deserialize, Serialize};

type Count = String;

#[derive(Serialize, Deserialize, Versioned)]
struct Order {
    #[dynalock(partition_key)]
    id: String,
    #[dynalock(version)]
    version: Count,
}

fn main() {}
