//! Where a benchmark leaves its figures for the report: `benchmarks/<name>.json` in cargo's target folder.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use serde::{Serialize, de::DeserializeOwned};

use crate::Failure;

/// The top folder of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn path(name: &str) -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    repository().join(target).join("benchmarks").join(name).with_extension("json")
}

/// Leaves the figures of the benchmark `name`.
///
/// # Errors
///
/// If no file can be written.
pub fn write(name: &str, figures: &impl Serialize) -> Result<(), Failure> {
    let path = path(name);
    fs::create_dir_all(path.with_file_name(""))?;
    fs::write(path, serde_json::to_string_pretty(figures)? + "\n")?;
    Ok(())
}

/// Reads what [`write()`] left; `None` if the benchmark did not run.
///
/// # Errors
///
/// If there is a file, and it holds something else.
pub fn read<T: DeserializeOwned>(name: &str) -> Result<Option<T>, Failure> {
    match fs::read(path(name)) {
        Ok(json) => Ok(Some(serde_json::from_slice(&json).map_err(|error| format!("{name}.json: {error}"))?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}
