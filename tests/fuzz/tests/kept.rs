//! What once broke a target, and its seeds, still hold; so do some bytes at random.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use dynalock_fuzz::{conditions, items, stamps};

type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 3] =
    [("items", items::check), ("stamps", stamps::check), ("conditions", conditions::check)];

/// The files of a target in `folder`.
fn inputs(folder: &str, target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| !path.ends_with(".gitkeep"));
    paths.sort();
    paths
}

/// Every file is run, and those that break something are named.
fn broken(folder: &str) -> Vec<PathBuf> {
    let mut broken = Vec::new();
    for (name, check) in TARGETS {
        for path in inputs(folder, name) {
            let bytes = fs::read(&path).unwrap();
            if catch_unwind(AssertUnwindSafe(|| check(&bytes))).is_err() {
                broken.push(path);
            }
        }
    }
    broken
}

#[test]
fn what_once_broke_a_target_holds() {
    assert_eq!(broken("regressions"), Vec::<PathBuf>::new());
}

#[test]
fn the_seeds_hold() {
    for (name, _) in TARGETS {
        assert!(!inputs("seeds", name).is_empty(), "{name} has no seeds");
    }
    assert_eq!(broken("seeds"), Vec::<PathBuf>::new());
}

#[test]
fn bytes_at_random_hold() {
    let mut random = fastrand::Rng::with_seed(8);
    for (_, check) in TARGETS {
        for _ in 0..500 {
            let bytes: Vec<u8> = (0..random.usize(0..400)).map(|_| random.u8(..)).collect();
            check(&bytes);
        }
    }
}
