//! Fuzz targets of dynalock, through its public interface alone. Each takes any bytes, and panics where a promise is broken.
//!
//! - [`items`]: decoding what a table holds, and encoding it again.
//! - [`stamps`]: what a save makes of a failed check, whatever the store shows.
//! - [`conditions`]: a caller's condition never weakens the version check.
//!
//! `scripts/fuzz` runs them under libFuzzer on the stable toolchain, and keeps what breaks one in `regressions`. The test of
//! this package runs these and the `seeds`; `cargo run -p dynalock-fuzz --bin items -- FILE ..` runs files of your choice.

pub mod conditions;
pub mod draw;
pub mod items;
pub mod stamps;

use std::cell::LazyCell;

use tokio::runtime::{Builder, Runtime};

/// The word in every value that a target makes up. Nothing that is shown may contain it.
pub const MARK: &str = "S3CRET";

thread_local! {
    /// Its clock is paused: waiting takes no time.
    static RUNTIME: LazyCell<Runtime> = LazyCell::new(|| {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime with a clock needs nothing from outside")
    });
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.with(|runtime| runtime.block_on(future))
}

/// Fails if an error shows what an item holds.
fn shows_no_data(error: &dynalock::Error) {
    for shown in [error.to_string(), format!("{error:?}"), format!("{error:#?}")] {
        let bytes = format!("{:?}", MARK.as_bytes());
        assert!(!shown.contains(MARK) && !shown.contains(bytes.trim_matches(['[', ']'])), "{shown}");
    }
}

/// Runs a target on the files that the command line names.
///
/// # Errors
///
/// If one of them can't be read.
pub fn replay(check: fn(&[u8])) -> std::io::Result<()> {
    for path in std::env::args_os().skip(1) {
        println!("{}", path.display());
        check(&std::fs::read(path)?);
    }
    Ok(())
}
