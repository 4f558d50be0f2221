use dynalock::Versioned;

#[derive(serde::Serialize, serde::Deserialize, Versioned)]
struct Order {
    #[dynalock(partition_key)]
    id: String,
    version: u64,
}

fn table<T: Versioned>() {}

fn main() {
    table::<Order>();
}
