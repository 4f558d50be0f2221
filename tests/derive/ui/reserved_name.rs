use dynalock::Versioned;

#[derive(serde::Serialize, serde::Deserialize, Versioned)]
struct Order {
    #[dynalock(partition_key)]
    id: String,
    #[dynalock(version)]
    version: u64,
    _stamp0: String,
    #[serde(rename = "_stamp31")]
    last: String,
    #[serde(alias = "_stamp7")]
    read_once: String,
    #[serde(rename(serialize = "two", deserialize = "two", deserialize = "_stamp2"))]
    two: String,
}

fn main() {}
