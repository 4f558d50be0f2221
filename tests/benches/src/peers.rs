//! The contenders that use other crates. Their guides leave the loop to the caller; both get the usual one, and read after each
//! delay, since neither returns the item that a refused write failed on.

pub mod facade;
pub mod modyne;

use crate::Failure;
use crate::backoff::{Backoff, Limits};
use crate::contender::Answer;

/// The loop. Each attempt reads, changes and writes, and says whether the write was applied: it is not if others were faster.
async fn retried<A>(attempt: impl Fn() -> A) -> Result<Answer, Failure>
where
    A: Future<Output = Result<bool, Failure>>,
{
    let mut backoff = Backoff::new(Limits::USUAL);
    loop {
        if attempt().await? {
            return Ok(Answer::Added);
        }
        if !backoff.wait().await {
            return Ok(Answer::GaveUp);
        }
    }
}
