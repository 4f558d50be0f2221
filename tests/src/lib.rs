//! What the tests share: the stores they run against, and what records, delays or loses requests on the way there.

pub mod account;
pub mod credentials;
pub mod engines;
pub mod gauge;
pub mod history;
mod journal;
pub mod load;
pub mod message;
pub mod middleware;
pub mod polling;
pub mod recording;
pub mod runtimes;
pub mod stalling;
pub mod testbed;
pub mod transit;

/// A struct `$name`, versioned by what another crate calls `$dynalock`.
#[macro_export]
macro_rules! versioned_by {
    ($dynalock:path, $name:ident) => {
        #[derive(::serde::Serialize, ::serde::Deserialize, ::dynalock::Versioned)]
        #[dynalock(crate = $dynalock)]
        struct $name {
            #[dynalock(partition_key)]
            id: String,
            #[dynalock(version, start = 8, step = 2)]
            version: u64,
        }
    };
}

/// The README's Rust code, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
#[derive(Debug)]
pub struct Readme;
