use dynalock::Versioned;

#[derive(Versioned)]
struct Order(#[dynalock(partition_key)] String, #[dynalock(version)] u64);

fn main() {}
