//! Where randomness comes from: the operating system for stamps and tokens, a fast generator for delays.

#[cfg(feature = "embedded")]
pub use seeded::seed;

/// 64 bits that nobody else has.
pub(crate) fn unique_bits() -> Result<u64, getrandom::Error> {
    #[cfg(feature = "embedded")]
    if let Some(bits) = seeded::draw(|rng| rng.u64(..)) {
        return Ok(bits);
    }
    getrandom::u64()
}

/// A token that no other transaction has, of the 36 characters that DynamoDB allows.
pub(crate) fn token() -> Result<String, getrandom::Error> {
    Ok(format!("{:016x}{:016x}", unique_bits()?, unique_bits()?))
}

/// A fraction from 0 to 1, to spread delays.
pub(crate) fn fraction() -> f64 {
    #[cfg(feature = "embedded")]
    if let Some(fraction) = seeded::draw(fastrand::Rng::f64) {
        return fraction;
    }
    fastrand::f64()
}

/// What the simulation puts in place of both, to run the same way again. Stamps that can be foretold prove nothing, so no
/// application without the embedded engine can ask for them.
#[cfg(feature = "embedded")]
mod seeded {
    use std::cell::RefCell;

    thread_local! {
        static SEEDED: RefCell<Option<fastrand::Rng>> = const { RefCell::new(None) };
    }

    /// Lets everything that is random on this thread follow from `seed`.
    pub fn seed(seed: u64) {
        SEEDED.with_borrow_mut(|seeded| *seeded = Some(fastrand::Rng::with_seed(seed)));
    }

    /// Draws from the seeded generator; `None` if this thread has none.
    pub(super) fn draw<R>(draw: impl FnOnce(&mut fastrand::Rng) -> R) -> Option<R> {
        SEEDED.with_borrow_mut(|seeded| seeded.as_mut().map(draw))
    }
}
