macro_rules! order {
    ($key:ty) => {
        #[derive(serde::Serialize, serde::Deserialize, dynalock::Versioned)]
        struct Order {
            #[dynalock(partition_key)]
            id: $key,
            #[dynalock(version)]
            version: u64,
        }
    };
}

order!(bool);

fn main() {}
