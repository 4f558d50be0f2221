use dynalock::Versioned;
use serde::Serialize;

#[derive(Serialize, Versioned)]
struct Order<'a> {
    #[dynalock(partition_key)]
    id: &'a str,
    #[dynalock(version)]
    version: u64,
}

fn main() {}
