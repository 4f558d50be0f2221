use dynalock::Versioned;
use serde::{Deserialize, Serialize};

type Name = Option<String>;

#[derive(Serialize, Deserialize, Versioned)]
struct Order {
    #[dynalock(partition_key)]
    id: Name,
    #[dynalock(version)]
    version: u64,
}

fn main() {}
