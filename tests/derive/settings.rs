//! What the words of `#[dynalock(..)]` do.

use std::any::TypeId;
use std::borrow::Cow;

use aws_sdk_dynamodb::types::ScalarAttributeType;
use dynalock::__private::{KeyType, Start};
use dynalock::{PartitionAndSort, Versioned};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

#[derive(Serialize, Deserialize, Versioned)]
struct Account {
    #[dynalock(partition_key)]
    id: String,
    balance: i64,
    #[dynalock(version)]
    version: u64,
}

#[test]
fn what_is_not_said_has_a_default() {
    let schema = Account::SCHEMA;
    assert_eq!(schema.name, "Account");
    assert_eq!(schema.attributes, ["id", "balance", "version"]);
    assert!(schema.sort_key.is_none());
    assert_eq!((schema.start, schema.step, schema.stamps), (Start::At(1), 1, 4));
    assert_eq!(TypeId::of::<<Account as Versioned>::Key>(), TypeId::of::<String>());
}

#[test]
fn the_version_is_read_and_set() {
    let mut account = Account { id: "alice".into(), balance: 100, version: 7 };
    assert_eq!(account.__version(), 7);
    account.__set_version(8);
    assert_eq!((account.id.as_str(), account.balance, account.version), ("alice", 100, 8));
}

#[test]
fn what_is_said_counts() {
    #[derive(Serialize, Deserialize, Versioned)]
    #[dynalock(stamps = 0)]
    struct Order {
        #[dynalock(partition_key)]
        id: u64,
        #[dynalock(version, step = 3, start = 255)]
        version: u8,
    }

    #[derive(Serialize, Deserialize, Versioned)]
    #[dynalock(stamps = 32u8)]
    struct Event {
        #[dynalock(partition_key)]
        source: Source,
        #[dynalock(sort_key)]
        at: u32,
        #[dynalock(version)]
        #[dynalock(start = "clock", step = 0x10_i64)]
        version: i64,
    }

    #[derive(Serialize, Deserialize)]
    struct Source(Kind);

    #[derive(Serialize, Deserialize)]
    enum Kind {
        Sensor,
    }

    let order = Order::SCHEMA;
    assert_eq!((order.start, order.step, order.stamps), (Start::At(255), 3, 0));
    assert_eq!((order.partition_key.scalar_type)(), KeyType::Scalar(ScalarAttributeType::N));
    assert_eq!(Order { id: 1, version: 2 }.__version(), 2_u8);

    let event = Event::SCHEMA;
    assert_eq!((event.start, event.step, event.stamps), (Start::Clock, 16, 32));
    assert_eq!((event.partition_key.scalar_type)(), KeyType::Scalar(ScalarAttributeType::S));
    assert_eq!(
        (event.sort_key.expect("there is a sort key").scalar_type)(),
        KeyType::Scalar(ScalarAttributeType::N)
    );
    assert_eq!(TypeId::of::<<Event as Versioned>::Key>(), TypeId::of::<PartitionAndSort<Source, u32>>());
    let event = Event { source: Source(Kind::Sensor), at: 5, version: 6 };
    assert_eq!((event.__version(), event.at), (6_i64, 5));
}

#[test]
fn keys_may_be_boxed_shared_or_bytes() {
    macro_rules! is_key {
        ($key:ty) => {{
            #[derive(Serialize, Deserialize, Versioned)]
            struct Kept {
                #[dynalock(partition_key)]
                id: $key,
                #[dynalock(version)]
                version: u64,
            }

            (Kept::SCHEMA.partition_key.scalar_type)()
        }};
    }

    assert_eq!(is_key!(Box<str>), KeyType::Scalar(ScalarAttributeType::S));
    assert_eq!(is_key!(Box<Box<u8>>), KeyType::Scalar(ScalarAttributeType::N));
    assert_eq!(is_key!(Cow<'static, str>), KeyType::Scalar(ScalarAttributeType::S));
    assert_eq!(is_key!(Box<ByteArray<16>>), KeyType::Scalar(ScalarAttributeType::B));
}

/// Every type that can count versions, and the largest start that fits into it.
#[test]
fn every_version_type_takes_the_largest_number_that_fits() {
    macro_rules! counts {
        ($($version:ty: $start:literal),*) => {$({
            #[derive(Serialize, Deserialize, Versioned)]
            struct Counted {
                #[dynalock(partition_key)]
                id: String,
                #[dynalock(version, start = $start, step = $start)]
                version: $version,
            }

            assert_eq!(Counted::SCHEMA.start, Start::At($start));
            assert_eq!(Counted::SCHEMA.step, $start);
            assert_eq!(Counted { id: String::new(), version: 3 }.__version(), 3);
        })*};
    }

    counts! {
        u8: 255,
        u16: 65_535,
        u32: 4_294_967_295,
        u64: 18_446_744_073_709_551_615,
        i32: 2_147_483_647,
        i64: 9_223_372_036_854_775_807
    }
}
