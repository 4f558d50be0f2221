//! What `dynalock` does, seen through its public API.
//!
//! The store is the one that `DYNALOCK_ENGINE` or `DYNALOCK_ENDPOINT` chooses (see [`dynalock_tests::engines`]). Only tests
//! that stop the clock, or that are about one kind of store, take the embedded engine whatever is chosen. A test that does not
//! hold on some engine begins with its name and the reason.

mod adoption;
mod aliases;
mod answers;
mod batch;
mod by_hand;
mod capacity;
mod conditions;
mod conflict_loop;
mod contention;
mod contract;
mod create;
mod create_table;
mod fixtures;
mod foreign;
mod get_many;
mod keys;
mod limits;
mod numbers;
mod parse;
mod permissions;
mod properties;
mod runtimes;
mod secrecy;
mod stored_versions;
mod stores;
mod traces;
mod unknown_attributes;
mod unreachable;
mod untold;
mod update;
mod update_or_create;
mod versions;
mod wire;
mod writes;
