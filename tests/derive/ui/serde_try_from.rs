use dynalock::Versioned;

#[derive(serde::Deserialize, Versioned)]
#[serde(try_from = "String")]
struct Order {
    #[dynalock(partition_key)]
    id: String,
    #[dynalock(version)]
    version: u64,
}

impl From<String> for Order { fn from(id: String) -> Self { Self { id, version: 0 } } }
fn main() {}
