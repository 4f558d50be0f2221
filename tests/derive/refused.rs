//! Every rule of the derive has a case that breaks it, in `ui`.

use std::process::Command;

/// The compiler whose words the expected messages repeat.
const PINNED: &str = "rustc 1.95.";

#[test]
fn every_mistake_is_explained_where_it_was_made() {
    let compiler = compiler();
    if !compiler.starts_with(PINNED) {
        println!("skipped: the expected messages are those of {PINNED}*, this is {compiler}");
        return;
    }
    trybuild::TestCases::new().compile_fail("derive/ui/*.rs");
}

fn compiler() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let answer = Command::new(rustc).arg("--version").output().expect("the compiler runs");
    String::from_utf8_lossy(&answer.stdout).into_owned()
}
