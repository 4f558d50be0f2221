use dynalock::Versioned;

#[derive(Clone, serde::Serialize, Versioned)]
#[serde(into = "String")]
struct Order {
    #[dynalock(partition_key)]
    id: String,
    #[dynalock(version)]
    version: u64,
}

impl From<Order> for String { fn from(order: Order) -> Self { order.id } }
fn main() {}
