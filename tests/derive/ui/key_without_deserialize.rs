use dynalock::Versioned;
use serde::{Deserialize, Deserializer, Serialize};

#[derive(Serialize)]
struct Id(u64);
#[derive(Serialize, Versioned)]
struct Order {
    #[dynalock(partition_key)]
    id: Id,
    #[dynalock(version)]
    version: u64,
}
impl<'de> Deserialize<'de> for Order {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> { todo!() }
}
fn main() {}
