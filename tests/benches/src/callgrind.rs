//! Instructions that a piece of work takes, counted by valgrind's callgrind.

use std::env;
use std::process::Command;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Failure;

/// What tells a process that it is counted.
const COUNTED: &str = "counted";

/// The work of this process, if it was started to be counted.
#[must_use]
pub fn work<W: DeserializeOwned>() -> Option<Result<W, Failure>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments[..] {
        [counted, work] if counted == COUNTED => Some(serde_json::from_str(work).map_err(Into::into)),
        _ => None,
    }
}

/// Whether valgrind is installed.
#[must_use]
pub fn is_installed() -> bool {
    Command::new("valgrind").arg("--version").output().is_ok()
}

/// The instructions that one more time costs: `work` is counted `few` times and `many` times, so that starting up does not count.
///
/// # Errors
///
/// If the work fails, or callgrind does.
pub fn instructions<W: Serialize>(few: u32, many: u32, work: impl Fn(u32) -> W) -> Result<f64, Failure> {
    Ok((count(&work(many))? - count(&work(few))?) / f64::from(many - few))
}

/// Starts this executable once more, to do `work` under callgrind.
fn count(work: &impl Serialize) -> Result<f64, Failure> {
    let work = serde_json::to_string(work)?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe()?)
        .args([COUNTED, &work])
        .output()?;
    let report = String::from_utf8_lossy(&output.stderr);
    let collected = report.lines().find_map(|line| line.split_once("Collected :"));
    let (_, count) = collected.ok_or_else(|| format!("{work} failed:\n{report}"))?;
    Ok(count.trim().parse()?)
}
