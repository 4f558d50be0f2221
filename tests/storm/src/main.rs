//! Storms: real processes on one table, behind a proxy of faults, killed and stopped at random; and what must hold afterwards.
//!
//! `scripts/storm` starts it. Everything listens on 127.0.0.1 only. Every process ends when the one that started it does, and by
//! itself some time after the storm should be over.

mod checker;
mod engine;
mod entry;
mod log;
mod naive;
mod process;
mod program;
mod proxy;
mod storm;
mod writer;

use std::process::ExitCode;
use std::time::Duration;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A storm is at most so long; more minutes are more storms. So logs and items stay small.
const STORM: u64 = 60;

const USAGE: &str = "storm run SECONDS SEED [naive] | storm check FOLDER";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match role(&arguments) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("storm: {failure}");
            ExitCode::from(2)
        }
    }
}

/// Returns how many violations there are.
fn role(arguments: &[&str]) -> Result<usize, Failure> {
    match arguments {
        ["run", seconds, seed] => run(seconds.parse()?, seed.parse()?, false),
        ["run", seconds, seed, "naive"] => run(seconds.parse()?, seed.parse()?, true),
        ["check", folder] => {
            let found = storm::check(folder.as_ref())?;
            for violation in &found {
                println!("{violation}");
            }
            Ok(found.len())
        }
        ["engine", file, longest] => {
            engine::serve(file, Duration::from_secs(longest.parse()?))?;
            Ok(0)
        }
        ["writer", setting] => {
            writer::run(serde_json::from_str(setting)?)?;
            Ok(0)
        }
        _ => Err(USAGE.into()),
    }
}

/// One storm after the other, each with its seed, until one breaks something.
fn run(seconds: u64, seed: u64, naive: bool) -> Result<usize, Failure> {
    let storms = seconds.div_ceil(STORM).max(1);
    let mut total = storm::Figures::default();
    for storm in 0..storms {
        let time = (seconds - storm * STORM).min(STORM);
        total += storm::run(Duration::from_secs(time), seed + storm, naive)?;
        if total.violations > 0 {
            break;
        }
    }
    if storms > 1 {
        println!("all: {total}");
    }
    Ok(total.violations)
}
