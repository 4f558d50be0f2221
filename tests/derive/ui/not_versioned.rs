use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Order {
    id: String,
    version: u64,
}

fn table<T: dynalock::Versioned>() {}

fn main() {
    table::<Order>();
}
