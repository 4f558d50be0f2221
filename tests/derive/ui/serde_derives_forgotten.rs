use dynalock::Versioned;

#[derive(Versioned)]
struct Order {
    #[dynalock(partition_key)]
    id: String,
    #[dynalock(version)]
    version: u64,
}

fn main() {}
