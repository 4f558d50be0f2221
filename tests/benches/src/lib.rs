//! What the benchmarks share: the ways to change an item, a store that is some milliseconds away, and what comes out.

use std::process::ExitCode;

use tokio::runtime::Runtime;

pub mod account;
pub mod backoff;
pub mod callgrind;
pub mod calls;
pub mod canned;
pub mod contender;
pub mod crowd;
pub mod document;
pub mod figures;
pub mod front;
pub mod histogram;
pub mod latency;
pub mod order;
pub mod own;
#[cfg(dynalock_peers)]
pub mod peers;
pub mod plot;
pub mod policy;
pub mod process;
pub mod raw;
pub mod results;
pub mod rivals;
pub mod sdk;
pub mod summary;
pub mod target;
mod throttling;
pub mod way;

/// Why a benchmark was ended.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A runtime of one thread, by the machine's clock.
///
/// # Errors
///
/// If the system has none to give.
pub fn real_time() -> Result<Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Ends a benchmark with what came of it, as the exit code says.
#[must_use]
pub fn ended(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
