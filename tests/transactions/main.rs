//! Transactions, seen through the public API.
//!
//! The store is the one that `DYNALOCK_ENGINE` or `DYNALOCK_ENDPOINT` chooses (see [`dynalock_tests::engines`]).

mod contract;
mod world;
