//! What the tests share: the stores they run against, and HTTP clients that record requests or lose them.

pub mod credentials;
pub mod engines;
pub mod gauge;
pub mod history;
mod journal;
pub mod polling;
pub mod recording;
pub mod runtimes;
pub mod transit;

/// The README's Rust code, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
#[derive(Debug)]
pub struct Readme;
