use dynalock::Versioned;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Versioned)]
struct Order {
    #[dynalock]
    id: String,
    #[dynalock = "version"]
    version: u64,
}

fn main() {}
