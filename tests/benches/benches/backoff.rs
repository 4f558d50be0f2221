//! What a loop should do after a conflict: many policies, simulated on one item that everybody changes.
//!
//! `cargo bench -p dynalock-benches --bench backoff` plays every policy with 1 to 100 writers in each of 1 to 50 processes. It
//! takes a minute or two, prints dynalock's own figures, and leaves all of them for the report. They are the same on each machine.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use dynalock_benches::policy::Policy;
use dynalock_benches::rivals::{Scene, play};
use dynalock_benches::{Failure, ended, results};

fn main() -> ExitCode {
    ended(compare())
}

fn compare() -> Result<(), Failure> {
    let mut policies = Policy::variations();
    policies.extend(Policy::combinations().into_iter().filter(|policy| !policy.is_variation()));
    let mut trials = Vec::new();
    let all = policies.len();
    for (played, policy) in policies.into_iter().enumerate() {
        progress(played, all);
        trials.extend(Scene::all().map(|scene| play(policy, scene)));
    }
    progress(all, all);
    for trial in trials.iter().filter(|trial| trial.policy == Policy::DYNALOCK) {
        println!("{trial}");
    }
    results::write("backoff", &trials)
}

/// Shows how far it has come, where somebody looks.
fn progress(played: usize, all: usize) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        let end = if played == all { "\n" } else { "" };
        let _ = write!(stderr, "\r{played} of {all} policies {end}");
    }
}
