//! The target `items`: under libFuzzer with scripts/fuzz, else on the files that are given.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| dynalock_fuzz::items::check(bytes));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    dynalock_fuzz::replay(dynalock_fuzz::items::check)
}
