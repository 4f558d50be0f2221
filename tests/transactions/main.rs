//! Transactions, seen through the public API.
//!
//! The store is the one that `DYNALOCK_ENGINE` or `DYNALOCK_ENDPOINT` chooses (see [`dynalock_tests::engines`]).

mod accounts;
mod bank;
mod commit;
mod contract;
mod cycles;
mod histories;
mod limits;
mod network;
mod refused;
mod secrecy;
mod serializable;
mod shop;
mod stage;
mod transact;
