use dynalock::Versioned;

#[derive(serde::Serialize, serde::Deserialize, Versioned)]
#[dynalock(sort_key, stamps = -1)]
struct Order {
    #[dynalock(partition_key)]
    id: bool,
    #[dynalock(versoin)]
    version: u64,
    #[dynalock(step = 2)]
    _stamp1: u8,
}

fn main() {}
