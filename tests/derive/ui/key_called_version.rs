use dynalock::Versioned;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Versioned)]
struct Release {
    #[dynalock(partition_key)]
    package: String,
    #[dynalock(sort_key)]
    version: u64,
}

fn main() {}
