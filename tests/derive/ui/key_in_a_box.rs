use dynalock::Versioned;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Versioned)]
struct Order {
    #[dynalock(partition_key)]
    id: Box<[u8]>,
    #[dynalock(sort_key)]
    line: std::borrow::Cow<'static, [u16]>,
    #[dynalock(version)]
    version: u64,
}

fn main() {}
