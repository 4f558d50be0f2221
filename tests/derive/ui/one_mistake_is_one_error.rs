use dynalock::{Result, Table, Versioned};

#[derive(serde::Serialize, serde::Deserialize, Versioned)]
struct Order {
    #[dynalock(partition_key)]
    id: String,
    version: u64,
}

async fn raise(orders: Table<Order>, order: &mut Order) -> Result<Option<Order>> {
    orders.save(order).await?;
    orders.get("alice").await
}

fn main() {}
