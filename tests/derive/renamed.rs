//! A crate that re-exports dynalock can say where it is found.

use serde::{Deserialize, Serialize};

mod storage {
    pub(super) mod locking {
        pub(in super::super) use dynalock::{__private, Versioned};
    }
}

#[derive(Serialize, Deserialize, storage::locking::Versioned)]
#[dynalock(crate = "storage::locking")]
struct Order {
    #[dynalock(partition_key)]
    id: String,
    #[dynalock(version, start = 2)]
    version: u64,
}

#[derive(Serialize, Deserialize, storage::locking::Versioned)]
#[dynalock(crate = "crate::renamed::storage::locking", stamps = 1)]
struct Holds<T> {
    #[dynalock(partition_key)]
    id: T,
    #[dynalock(version)]
    version: u64,
}

#[test]
fn the_path_of_the_crate_can_be_set() {
    use storage::locking::Versioned;

    assert_eq!(Order { id: "a".into(), version: 4 }.__version(), 4);
    assert_eq!(Holds { id: 1_u8, version: 5 }.__version(), 5);
    assert_eq!((Order::SCHEMA.stamps, Holds::<u8>::SCHEMA.stamps), (4, 1));
}
