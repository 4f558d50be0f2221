//! The strictest lints find nothing in generated code.

#![deny(
    warnings,
    clippy::all,
    clippy::pedantic,
    let_underscore,
    missing_docs,
    nonstandard_style,
    rust_2018_idioms,
    single_use_lifetimes,
    trivial_casts,
    trivial_numeric_casts,
    unreachable_pub,
    unused,
    unused_lifetimes,
    unused_qualifications,
    unused_results,
    variant_size_differences
)]

use dynalock::Versioned;
use serde::{Deserialize, Serialize};

/// An account.
#[derive(Debug, Serialize, Deserialize, Versioned)]
pub(crate) struct Account {
    /// Whose it is.
    #[dynalock(partition_key)]
    pub(crate) id: String,
    /// What is on it.
    pub(crate) balance: i64,
    /// How often it was written.
    #[dynalock(version, start = 2, step = 3)]
    pub(crate) version: u64,
}

/// A line of a cart.
#[derive(Debug, Serialize, Deserialize, Versioned)]
#[dynalock(stamps = 0)]
pub(crate) struct Line<T, const N: usize = 1> {
    /// The cart.
    #[dynalock(partition_key)]
    pub(crate) cart: String,
    /// The number.
    #[dynalock(sort_key)]
    pub(crate) number: T,
    /// How often it was written.
    #[dynalock(version, start = "clock")]
    pub(crate) version: i64,
}

/// An order whose fields nobody should use any more.
#[derive(Serialize, Deserialize, Versioned)]
pub(crate) struct Order {
    /// Its number.
    #[deprecated]
    #[dynalock(partition_key)]
    pub(crate) id: String,
    /// How often it was written.
    #[deprecated]
    #[dynalock(version)]
    pub(crate) version: u64,
}

/// An identifier that nobody should use any more, and a struct that does.
mod former {
    use dynalock::Versioned;

    #[deprecated]
    pub(crate) type FormerId = u32;

    #[derive(Versioned)]
    pub(crate) struct Order {
        #[allow(deprecated)]
        #[dynalock(partition_key)]
        pub(crate) id: FormerId,
        #[allow(deprecated)]
        #[dynalock(version, start = 7)]
        pub(crate) version: FormerId,
    }

    #[derive(Versioned)]
    pub(crate) struct Line {
        #[expect(deprecated)]
        #[dynalock(partition_key)]
        pub(crate) id: FormerId,
        #[dynalock(version)]
        pub(crate) version: u64,
    }

    impl serde::Serialize for Line {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            (self.id, self.version).serialize(serializer)
        }
    }

    impl<'de> serde::Deserialize<'de> for Line {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            serde::Deserialize::deserialize(deserializer).map(|(id, version)| Self { id, version })
        }
    }

    impl serde::Serialize for Order {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            (self.id, self.version).serialize(serializer)
        }
    }

    impl<'de> serde::Deserialize<'de> for Order {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            serde::Deserialize::deserialize(deserializer).map(|(id, version)| Self { id, version })
        }
    }
}

/// What a lint forbids, nothing may allow.
mod strict {
    #![forbid(deprecated, unused)]

    use dynalock::Versioned;

    #[derive(Versioned)]
    pub(crate) struct Note<T> {
        #[dynalock(partition_key)]
        pub(crate) id: u32,
        #[dynalock(sort_key)]
        pub(crate) line: T,
        #[dynalock(version, start = 7)]
        pub(crate) version: u32,
    }

    impl<T: serde::Serialize> serde::Serialize for Note<T> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            (self.id, &self.line, self.version).serialize(serializer)
        }
    }

    impl<'de, T: serde::Deserialize<'de>> serde::Deserialize<'de> for Note<T> {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            serde::Deserialize::deserialize(deserializer).map(|(id, line, version)| Self {
                id,
                line,
                version,
            })
        }
    }
}

#[test]
fn strict_lints_find_nothing() {
    let account = Account { id: "alice".into(), balance: 1, version: 2 };
    let line = Line::<_, 3> { cart: account.id, number: account.balance, version: 5 };
    assert_eq!((line.__version(), line.number), (5, 1));
    #[allow(deprecated)]
    let order = Order { id: line.cart, version: 6 };
    assert_eq!(order.__version(), 6);
    assert_eq!(former::Order { id: 5, version: 8 }.__version(), 8);
    assert_eq!(former::Line { id: 5, version: 8 }.__version(), 8);
    assert_eq!(strict::Note { id: 5, line: 6, version: 9 }.__version(), 9);
}
