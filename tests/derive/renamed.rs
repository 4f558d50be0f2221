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

/// What another crate exports says `$crate`, which no text can hold.
mod exported {
    pub(super) use dynalock::{__private, Versioned};

    macro_rules! versioned {
        ($name:ident, $start:literal) => {
            #[derive(::serde::Serialize, ::serde::Deserialize, $crate::renamed::exported::Versioned)]
            #[dynalock(crate = $crate::renamed::exported, stamps = 3)]
            struct $name {
                #[dynalock(partition_key)]
                id: String,
                #[dynalock(version, start = $start)]
                version: u64,
            }
        };
    }
    /// The same by a macro of yet another crate, whose own `$crate` is not meant.
    macro_rules! versioned_elsewhere {
        ($name:ident) => {
            ::dynalock_tests::versioned_by!($crate::renamed::exported, $name);
        };
    }
    pub(super) use {versioned, versioned_elsewhere};
}

exported::versioned!(Line, 9);
exported::versioned_elsewhere!(Page);

#[test]
fn the_path_of_the_crate_needs_no_quotes() {
    use exported::Versioned;

    assert_eq!(Line { id: "a".into(), version: 6 }.__version(), 6);
    assert_eq!((Line::SCHEMA.stamps, Line::SCHEMA.start), (3, exported::__private::Start::At(9)));
    assert_eq!((Page { id: "a".into(), version: 6 }.__version(), Page::SCHEMA.step), (6, 2));
}

#[test]
fn the_path_of_the_crate_can_be_set() {
    use storage::locking::Versioned;

    assert_eq!(Order { id: "a".into(), version: 4 }.__version(), 4);
    assert_eq!(Holds { id: 1_u8, version: 5 }.__version(), 5);
    assert_eq!((Order::SCHEMA.stamps, Holds::<u8>::SCHEMA.stamps), (4, 1));
}
