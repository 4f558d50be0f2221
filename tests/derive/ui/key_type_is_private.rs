use dynalock::Versioned;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Versioned)]
pub struct Order {
    #[dynalock(partition_key)]
    id: Id,
    #[dynalock(version)]
    version: u64,
}

#[derive(Serialize, Deserialize)]
struct Id(String);
fn main() {}
