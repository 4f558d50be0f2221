//! Where randomness comes from: the operating system for stamps and tokens, a fast generator for delays.

use std::cell::RefCell;

use crate::invalid::Invalid;

thread_local! {
    /// What the tests put in place of both, to run the same way again.
    static SEEDED: RefCell<Option<fastrand::Rng>> = const { RefCell::new(None) };
}

/// Lets everything that is random on this thread follow from `seed`. For tests of this crate: stamps that can be foretold
/// are no proof of anything.
pub fn seed(seed: u64) {
    SEEDED.with_borrow_mut(|seeded| *seeded = Some(fastrand::Rng::with_seed(seed)));
}

/// 64 bits that nobody else has.
pub(crate) fn unique_bits() -> Result<u64, Invalid> {
    if let Some(bits) = SEEDED.with_borrow_mut(|seeded| seeded.as_mut().map(|rng| rng.u64(..))) {
        return Ok(bits);
    }
    getrandom::u64().map_err(|_| Invalid::request("the operating system gave no random bytes"))
}

/// A token that no other transaction has, of the 36 characters that DynamoDB allows.
pub(crate) fn token() -> Result<String, Invalid> {
    Ok(format!("{:016x}{:016x}", unique_bits()?, unique_bits()?))
}

/// A fraction from 0 to 1, to spread delays.
pub(crate) fn fraction() -> f64 {
    SEEDED.with_borrow_mut(|seeded| seeded.as_mut().map_or_else(fastrand::f64, fastrand::Rng::f64))
}
