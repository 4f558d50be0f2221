//! What dynalock costs beside the same requests written by hand, and beside the SDK alone: instructions per call, counted by
//! callgrind.
//!
//! `cargo bench -p dynalock-benches --bench instructions` prints one table. All sides run in one process image, over the
//! same client, whose connector answers from memory, so what is counted is the SDK, serde and the code around them. The
//! count hardly varies, by the random seeds of hash maps; the ratio is what matters.

use std::process::{Command, ExitCode};

use dynalock_benches::calls::{Call, Side, repeat};
use dynalock_benches::figures::Instructions;
use dynalock_benches::{Failure, canned, ended, results};
use serde::{Deserialize, Serialize};

const FEW: u64 = 20;
const MANY: u64 = 420;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let result = match &arguments[1..] {
        [child, work] if child == "child" => Work::from_argument(work).and_then(Work::run),
        _ => compare(),
    };
    ended(result)
}

/// Runs every call on all sides under callgrind and prints the table.
fn compare() -> Result<(), Failure> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("valgrind is not installed: nothing is measured");
        return Ok(());
    }
    let mut rows = Vec::new();
    println!("call               SDK alone    by hand   dynalock  to SDK alone  to by hand");
    for call in Call::ALL {
        eprintln!("counting {} ...", call.name());
        let [bare, by_hand, dynalock] = [Side::Bare, Side::ByHand, Side::Dynalock];
        let row = Instructions {
            call,
            bare: instructions(bare, call)?,
            by_hand: instructions(by_hand, call)?,
            dynalock: instructions(dynalock, call)?,
        };
        println!(
            "{:<17} {:>10.0} {:>10.0} {:>10.0}  {:>12.3}  {:>10.3}",
            call.name(),
            row.bare,
            row.by_hand,
            row.dynalock,
            row.dynalock / row.bare,
            row.dynalock / row.by_hand,
        );
        rows.push(row);
    }
    results::write("instructions", &rows)
}

/// Instructions per call: what more calls cost beyond fewer, so that starting up does not count.
fn instructions(side: Side, call: Call) -> Result<f64, Failure> {
    let total = |times: u64| -> Result<f64, Failure> {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(std::env::current_exe()?)
            .args(["child", &serde_json::to_string(&Work { side, call, times })?])
            .output()?;
        let report = String::from_utf8_lossy(&output.stderr);
        let collected = report.lines().find_map(|line| line.split_once("Collected :"));
        let (_, count) = collected.ok_or_else(|| format!("{side:?} {call:?} failed:\n{report}"))?;
        Ok(count.trim().parse()?)
    };
    #[allow(clippy::cast_precision_loss)] // small numbers
    Ok((total(MANY)? - total(FEW)?) / (MANY - FEW) as f64)
}

/// What a process under callgrind does.
#[derive(Serialize, Deserialize)]
struct Work {
    side: Side,
    call: Call,
    times: u64,
}

impl Work {
    fn from_argument(argument: &str) -> Result<Self, Failure> {
        Ok(serde_json::from_str(argument)?)
    }

    fn run(self) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(repeat(&canned::client(), self.side, self.call, self.times))
    }
}
