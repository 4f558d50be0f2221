//! Locks, randomness and time: what knows nothing of DynamoDB

pub(crate) mod clock;
pub(crate) mod lock;
pub(crate) mod random;
