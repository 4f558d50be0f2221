//! What a user's names mean, and that there is no prelude, changes nothing.

#![no_implicit_prelude]

/// Every name that generated code might have used.
mod shadowed {
    #![allow(non_camel_case_types, non_upper_case_globals, dead_code, unreachable_pub)]

    use ::dynalock::Versioned as Derived;
    use ::serde::{Deserialize as De, Serialize as Ser};

    pub const version: () = ();
    pub const id: () = ();
    pub mod core {}
    pub mod std {}
    pub mod dynalock {}
    pub mod serde {}
    pub trait Clone {}
    pub trait Serialize {}
    pub trait DeserializeOwned {}
    pub trait Versioned {
        const SCHEMA: () = ();
        type Version;
        fn clone(&self) {}
        fn check(&self) {}
    }
    impl<T> Versioned for T {
        type Version = ();
    }
    pub struct Box;
    pub struct KeyAttribute;
    pub struct KeyProbe;
    pub struct Schema;
    pub struct Send;
    pub struct Some;
    pub struct None;
    pub struct Start;
    pub struct Sync;
    pub fn check() {}
    pub fn scalar_type() {}

    #[derive(Ser, De)]
    pub struct String(pub ::std::string::String);

    #[derive(Ser, De)]
    pub struct Option(pub ::core::primitive::u16);

    #[derive(Ser, De, Derived)]
    pub struct Key {
        #[dynalock(partition_key)]
        pub id: String,
        #[dynalock(sort_key)]
        pub part: Option,
        #[dynalock(version, start = 4294967295)]
        pub version: u32,
    }
}

/// The names of the primitive types too, which serde's own derive doesn't stand.
mod primitives {
    #![allow(non_camel_case_types, dead_code, unreachable_pub)]

    pub type bool = ::std::string::String;
    pub type u8 = f64;
    pub type u64 = ::core::primitive::u32;
    pub type str = ();
    pub type usize = ();

    #[derive(::dynalock::Versioned)]
    #[dynalock(stamps = 2)]
    pub struct Order {
        #[dynalock(partition_key)]
        pub id: ::std::string::String,
        #[dynalock(version, start = 4294967295)]
        pub version: u64,
    }
}

impl ::serde::Serialize for primitives::Order {
    fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> ::core::result::Result<S::Ok, S::Error> {
        ::serde::Serialize::serialize(&(&self.id, self.version), serializer)
    }
}

impl<'de> ::serde::Deserialize<'de> for primitives::Order {
    fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> ::core::result::Result<Self, D::Error> {
        let (id, version) = ::serde::Deserialize::deserialize(deserializer)?;
        ::core::result::Result::Ok(Self { id, version })
    }
}

#[derive(::serde::Serialize, ::serde::Deserialize, ::dynalock::Versioned)]
struct Account {
    #[dynalock(partition_key)]
    id: ::std::string::String,
    #[dynalock(version)]
    version: u64,
}

#[derive(::serde::Serialize, ::serde::Deserialize, ::dynalock::Versioned)]
struct Generic<T> {
    #[dynalock(partition_key)]
    id: T,
    #[dynalock(version, start = "clock")]
    version: i64,
}

#[test]
fn no_prelude_is_needed() {
    let account = Account { id: ::std::convert::From::from("alice"), version: 3 };
    ::std::assert_eq!(::dynalock::Versioned::__version(&account), 3);
    ::std::assert_eq!(account.id, "alice");
    let generic = Generic { id: 7_u8, version: 4 };
    ::std::assert_eq!(::dynalock::Versioned::__version(&generic), 4);
    ::std::assert_eq!(generic.id, 7);
}

#[test]
fn the_users_own_names_keep_their_meaning() {
    let id = shadowed::String(::std::convert::From::from("alice"));
    let mut key = shadowed::Key { id, part: shadowed::Option(2), version: 5 };
    ::dynalock::Versioned::__set_version(&mut key, 6);
    let read: ::core::primitive::u32 = ::dynalock::Versioned::__version(&key);
    ::std::assert_eq!((read, key.id.0.as_str(), key.part.0), (6, "alice", 2));
    let order = primitives::Order { id: ::std::convert::From::from("a"), version: 7 };
    let read: ::core::primitive::u32 = ::dynalock::Versioned::__version(&order);
    ::std::assert_eq!(read, 7);
}
