//! Structs that other macros write can be versioned.

use dynalock::__private::Start;
use dynalock::Versioned;
use serde::{Deserialize, Serialize};

macro_rules! versioned {
    ($name:ident { $key:ident: $key_type:ty, $version:ident: $version_type:ty = $start:expr, stamps $stamps:literal }) => {
        #[derive(Serialize, Deserialize, Versioned)]
        #[dynalock(stamps = $stamps)]
        struct $name {
            #[dynalock(partition_key)]
            $key: $key_type,
            note: String,
            #[dynalock(version, start = $start)]
            $version: $version_type,
        }
    };
}

macro_rules! with_attributes {
    ($(#[$struct_meta:meta])* $name:ident { $($(#[$meta:meta])* $field:ident: $type:ty,)* }) => {
        #[derive(Serialize, Deserialize, Versioned)]
        $(#[$struct_meta])*
        struct $name {
            $($(#[$meta])* $field: $type,)*
        }
    };
}

macro_rules! with_words {
    ($name:ident, $word:meta, $rename:meta) => {
        #[derive(Serialize, Deserialize, Versioned)]
        struct $name {
            #[dynalock($word)]
            #[serde($rename)]
            id: String,
            #[dynalock(version)]
            version: u64,
        }
    };
}

versioned!(Order { id: String, version: u32 = 10, stamps 2 });
with_attributes!(
    #[serde(rename_all = "UPPERCASE")]
    Line {
        #[dynalock(partition_key)]
        order: String,
        #[dynalock(sort_key)]
        number: u32,
        #[dynalock(version, start = "clock")]
        version: u64,
    }
);
with_words!(Named, partition_key, rename = "pk");

#[test]
fn names_types_and_numbers_may_come_from_a_macro() {
    assert_eq!(Order::SCHEMA.attributes, ["id", "note", "version"]);
    assert_eq!((Order::SCHEMA.start, Order::SCHEMA.stamps), (Start::At(10), 2));
    let order = Order { id: "a".into(), note: String::new(), version: 3 };
    assert_eq!((order.__version(), order.id, order.note), (3, "a".into(), String::new()));
}

#[test]
fn attributes_may_come_through_a_macro() {
    assert_eq!(Line::SCHEMA.attributes, ["ORDER", "NUMBER", "VERSION"]);
    assert_eq!(Line::SCHEMA.start, Start::Clock);
    let line = Line { order: "a".into(), number: 1, version: 2 };
    assert_eq!((line.__version(), line.order.as_str(), line.number), (2, "a", 1));
}

#[test]
fn words_may_come_from_a_macro() {
    assert_eq!(Named::SCHEMA.partition_key.name, "pk");
    assert_eq!(Named { id: "a".into(), version: 1 }.__version(), 1);
}
