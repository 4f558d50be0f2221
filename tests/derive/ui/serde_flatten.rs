use dynalock::Versioned;

#[derive(serde::Serialize, serde::Deserialize, Versioned)]
struct Order {
    #[dynalock(partition_key)]
    #[serde(flatten)]
    id: Id,
    #[dynalock(version)]
    version: u64,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Id {}
fn main() {}
