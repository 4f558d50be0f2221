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
}

fn main() {}
