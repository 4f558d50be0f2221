//! The contenders that use other crates. Their guides leave the loop to the caller; both get the delays of dynalock, and read
//! after each, since neither returns the item that a refused write failed on.

pub mod facade;
pub mod modyne;
