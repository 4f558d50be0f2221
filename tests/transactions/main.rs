//! Transactions, seen through the public API.
//!
//! The store is the one that `DYNALOCK_ENGINE` or `DYNALOCK_ENDPOINT` chooses (see [`dynalock_tests::engines`]).

mod bank;
mod contract;
mod cycles;
mod histories;
mod network;
mod serializable;
mod stage;
mod transact;
mod world;
