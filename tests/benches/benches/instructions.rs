//! What dynalock costs beside the same requests written by hand, and beside the SDK alone: instructions per call, counted by
//! callgrind.
//!
//! `cargo bench -p dynalock-benches --bench instructions` prints one table. All sides run in one process image, over the
//! same client, whose connector answers from memory, so what is counted is the SDK, serde and the code around them. The
//! count hardly varies, by the random seeds of hash maps; the ratio is what matters.

use std::process::ExitCode;

use dynalock_benches::calls::{Call, Side, repeat};
use dynalock_benches::figures::Instructions;
use dynalock_benches::{Failure, callgrind, canned, ended, results};
use serde::{Deserialize, Serialize};

const FEW: u32 = 20;
const MANY: u32 = 420;

fn main() -> ExitCode {
    ended(callgrind::work::<Work>().map_or_else(compare, |work| work.and_then(Work::run)))
}

/// Runs every call on all sides under callgrind and prints the table.
fn compare() -> Result<(), Failure> {
    if !callgrind::is_installed() {
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

/// Instructions per call.
fn instructions(side: Side, call: Call) -> Result<f64, Failure> {
    callgrind::instructions(FEW, MANY, |times| Work { side, call, times })
}

/// What a process under callgrind does.
#[derive(Serialize, Deserialize)]
struct Work {
    side: Side,
    call: Call,
    times: u32,
}

impl Work {
    fn run(self) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(repeat(&canned::client(), self.side, self.call, self.times))
    }
}
