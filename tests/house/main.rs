//! The order of the rooms and the size of each: `CONTRIBUTING.md` lists the files of each crate, and each uses only those above it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, iter};

/// Longer files hold more than one noun.
const MOST_LINES: usize = 500;

struct Room {
    name: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The rooms of `folder`, as they are listed.
fn rooms(folder: &str) -> Vec<Room> {
    let listed = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let block = listed.split("```text\n").find(|block| block.starts_with(folder));
    let block = block.unwrap_or_else(|| panic!("no list of the rooms of {folder}"));
    block
        .lines()
        .skip(1)
        .take_while(|line| !line.starts_with("```"))
        .filter_map(|line| line.split_whitespace().next()?.strip_suffix(".rs"))
        .map(|name| {
            let path = root().join(folder).join(format!("{name}.rs"));
            let text =
                fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            Room { name: name.to_owned(), text }
        })
        .collect()
}

impl Room {
    /// Its lines apart from its own tests, without comments and what is blank.
    fn code(&self) -> impl Iterator<Item = &str> {
        let code = self.text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        code.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with("//"))
    }

    /// The rooms that its code names; what only its own tests or its comments name does not count.
    fn used(&self) -> BTreeSet<&str> {
        self.code()
            .flat_map(|line| line.split("crate::").skip(1))
            .filter_map(|path| path.split(|c: char| !c.is_ascii_lowercase() && c != '_').next())
            .collect()
    }
}

/// Everything that breaks the order of `folder`.
fn faults(folder: &str, rooms: &[Room]) -> Vec<String> {
    let names: Vec<&str> = rooms.iter().map(|room| room.name.as_str()).collect();
    let mut faults = Vec::new();
    for (place, room) in rooms.iter().enumerate() {
        let below = |used: &&str| names.iter().position(|name| name == used).is_some_and(|used| used > place);
        faults.extend(room.used().into_iter().filter(below).map(|used| format!("{} uses {used}", room.name)));
        if !room.text.starts_with("//! ") {
            faults.push(format!("{} does not say what it owns", room.name));
        }
        let lines = room.text.lines().count();
        if lines > MOST_LINES {
            faults.push(format!("{} has {lines} lines", room.name));
        }
    }
    let listed: BTreeSet<PathBuf> =
        names.iter().map(|name| root().join(folder).join(format!("{name}.rs"))).collect();
    let is_aside = |path: &Path| ["lib.rs", "tests.rs"].iter().any(|name| path.ends_with(name));
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if !is_aside(&path) && !listed.contains(&path) {
                faults.push(format!("{} is not listed", path.display()));
            }
        }
    }
    faults
}

#[test]
fn each_room_uses_only_those_above_it() {
    for folder in ["dynalock/src/", "dynalock-derive/src/"] {
        let rooms = rooms(folder);
        assert!(rooms.len() > 9, "{folder}");
        assert_eq!(faults(folder, &rooms), [""; 0], "{folder}");
    }
}

#[test]
fn a_room_that_uses_one_below_it_is_noticed() {
    let folder = "dynalock/src/";
    let mut upside_down = rooms(folder);
    upside_down.reverse();
    let faults = faults(folder, &upside_down);
    assert!(faults.contains(&"error uses verdict".to_owned()), "{faults:?}");
}

#[test]
fn what_tests_and_comments_name_does_not_count() {
    let text = "use crate::one::One;\n/// [`x`](crate::two)\nfn f() { crate::three::g() }\n#[cfg(test)]\nmod tests { use crate::four; }";
    let room = Room { name: String::new(), text: text.to_owned() };
    assert_eq!(room.used(), iter::once("one").chain(["three"]).collect());
}
