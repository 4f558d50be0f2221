//! What the tests share: the stores they run against, and HTTP clients that record requests or lose them.

pub mod engines;
pub mod faults;
pub mod recording;
