use dynalock::Versioned;

#[derive(serde::Serialize, serde::Deserialize, Versioned)]
struct Order {
    #[dynalock(partition_key)]
    id: String,
    #[dynalock(sort_key)]
    line: u32,
    #[dynalock(sort_key)]
    part: u32,
    #[dynalock(version)]
    version: u64,
}

fn main() {}
