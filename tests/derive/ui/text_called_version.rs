use dynalock::Versioned;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Versioned)]
struct Release {
    #[dynalock(partition_key)]
    package: String,
    version: String,
}

fn main() {}
