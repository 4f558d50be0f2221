use dynalock::Versioned;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Versioned)]
struct Order {
    #[dynalock(partition_key)]
    #[serde(with = "Vec::<u8>")]
    id: Vec<u8>,
    #[dynalock(version)]
    version: u64,
}

fn main() {}
