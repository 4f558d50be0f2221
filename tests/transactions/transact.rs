//! What a run of `transact` sees, and what becomes of it.

mod attributes;
mod held;
mod limits;
mod own_writes;
mod reads;
mod refused;
mod requests;
mod retries;
mod unversioned;
