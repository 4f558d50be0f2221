//! Random numbers: from the operating system for stamps and tokens, and from a fast generator for delays.

#[cfg(feature = "embedded")]
pub use seeded::seed;

/// 64 random bits for a stamp or a token, which no other write may have.
pub(crate) fn unique_bits() -> Result<u64, getrandom::Error> {
    #[cfg(feature = "embedded")]
    if let Some(bits) = seeded::draw(|rng| rng.u64(..)) {
        return Ok(bits);
    }
    getrandom::u64()
}

/// A `ClientRequestToken` that no other transaction has: 32 characters, of at most 36 that DynamoDB allows.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
pub(crate) fn token() -> Result<String, getrandom::Error> {
    Ok(format!("{:016x}{:016x}", unique_bits()?, unique_bits()?))
}

/// A random fraction from 0 to 1, which spreads delays.
pub(crate) fn fraction() -> f64 {
    #[cfg(feature = "embedded")]
    if let Some(fraction) = seeded::draw(fastrand::Rng::f64) {
        return fraction;
    }
    fastrand::f64()
}

/// A seeded generator that replaces both, so that a simulation can be repeated. A stamp that can be predicted proves nothing, so
/// this exists only with the feature `embedded`.
#[cfg(feature = "embedded")]
mod seeded {
    use std::cell::RefCell;

    thread_local! {
        static SEEDED: RefCell<Option<fastrand::Rng>> = const { RefCell::new(None) };
    }

    /// Makes every random number of this thread follow from `seed`.
    pub fn seed(seed: u64) {
        SEEDED.with_borrow_mut(|seeded| *seeded = Some(fastrand::Rng::with_seed(seed)));
    }

    /// Draws from the seeded generator; `None` if this thread has none.
    pub(super) fn draw<R>(draw: impl FnOnce(&mut fastrand::Rng) -> R) -> Option<R> {
        SEEDED.with_borrow_mut(|seeded| seeded.as_mut().map(draw))
    }
}
