//! The order of the folders, and the size of files: `CONTRIBUTING.md` lists the parts of each crate, and each uses only those
//! above it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, iter};

/// Longer files hold more than one noun.
const MOST_LINES: usize = 500;

/// Larger folders hold more than one subject.
const MOST_FILES: usize = 10;

/// A folder of a crate, or a file next to the folders.
struct Part {
    name: String,
    files: Vec<File>,
}

struct File {
    path: PathBuf,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The parts of the crate whose sources are in `folder`, as they are listed.
fn parts(folder: &str) -> Vec<Part> {
    let listed = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let block = listed.split("```text\n").find(|block| block.starts_with(folder));
    let block = block.unwrap_or_else(|| panic!("no list of the parts of {folder}"));
    let lines = block.lines().skip(1).take_while(|line| !line.starts_with("```"));
    lines.filter_map(|line| Part::read(&root().join(folder), line.split_whitespace().next()?)).collect()
}

impl Part {
    /// Reads the folder `name/`, or the file `name.rs`; `None` for anything else.
    fn read(source: &Path, name: &str) -> Option<Self> {
        let (name, paths) = match name.strip_suffix('/') {
            Some(folder) => (folder, files_below(&source.join(folder))),
            None => (name.strip_suffix(".rs")?, vec![source.join(name)]),
        };
        Some(Self { name: name.to_owned(), files: paths.into_iter().map(File::read).collect() })
    }

    /// The parts that its code names.
    fn used(&self) -> BTreeSet<&str> {
        self.files.iter().flat_map(File::used).collect()
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

impl File {
    fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path, text }
    }

    /// Its lines apart from its own tests, without comments and what is blank.
    fn code(&self) -> impl Iterator<Item = &str> {
        let code = self.text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let code = if self.is_test() { "" } else { code };
        code.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with("//"))
    }

    fn is_test(&self) -> bool {
        self.path.ends_with("tests.rs")
    }

    /// The parts that its code names; what only its own tests or its comments name does not count.
    fn used(&self) -> impl Iterator<Item = &str> {
        self.code()
            .flat_map(|line| line.split("crate::").skip(1))
            .filter_map(|path| path.split(|c: char| !c.is_ascii_lowercase() && c != '_').next())
    }

    /// What is wrong with it, whichever part it belongs to.
    fn faults(&self) -> impl Iterator<Item = String> {
        let (path, lines) = (self.path.display(), self.text.lines().count());
        let unnamed = (!self.text.starts_with("//! ")).then(|| format!("{path} does not say what it owns"));
        let long = (lines > MOST_LINES).then(|| format!("{path} has {lines} lines"));
        unnamed.into_iter().chain(long)
    }
}

/// Everything that breaks the order of `parts`.
fn faults(parts: &[Part]) -> Vec<String> {
    let place_of = |name: &str| parts.iter().position(|part| part.name == name);
    let mut faults = Vec::new();
    for (place, part) in parts.iter().enumerate() {
        let is_below = |used: &&str| place_of(used).is_some_and(|used| used > place);
        faults.extend(
            part.used().into_iter().filter(is_below).map(|used| format!("{} uses {used}", part.name)),
        );
        faults.extend(part.files.iter().flat_map(File::faults));
        let files = part.files.iter().filter(|file| !file.is_test()).count();
        if files > MOST_FILES {
            faults.push(format!("{} has {files} files", part.name));
        }
    }
    faults
}

/// Which files of the crate are in none of its parts.
fn unlisted(folder: &str, parts: &[Part]) -> Vec<PathBuf> {
    let listed: BTreeSet<&Path> = parts.iter().flat_map(|part| &part.files).map(|file| &*file.path).collect();
    let mut files = files_below(&root().join(folder));
    let is_aside = |path: &Path| ["lib.rs", "tests.rs"].iter().any(|name| path.ends_with(name));
    files.retain(|path| !is_aside(path) && !listed.contains(&**path));
    files
}

#[test]
fn each_part_uses_only_those_above_it() {
    for folder in ["dynalock/src/", "dynalock-derive/src/"] {
        let parts = parts(folder);
        assert!(parts.len() > 9, "{folder}");
        assert_eq!(faults(&parts), [""; 0], "{folder}");
        let unlisted = unlisted(folder, &parts);
        assert!(unlisted.is_empty(), "{folder}: {unlisted:?}");
    }
}

#[test]
fn the_list_says_of_each_folder_what_its_first_line_says() {
    let listed = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let folders = parts("dynalock/src/").into_iter().filter(|part| part.files.len() > 1);
    for file in folders.flat_map(|part| part.files).filter(|file| file.path.ends_with("mod.rs")) {
        let owns = file.text.lines().next().and_then(|line| line.strip_prefix("//! ")).unwrap_or_default();
        assert!(listed.contains(owns), "{}: {owns}", file.path.display());
    }
}

#[test]
fn a_part_that_uses_one_below_it_is_noticed() {
    let mut upside_down = parts("dynalock/src/");
    upside_down.reverse();
    let faults = faults(&upside_down);
    assert!(faults.contains(&"error uses write".to_owned()), "{faults:?}");
}

#[test]
fn what_tests_and_comments_name_does_not_count() {
    let text = "use crate::one::One;\n/// [`x`](crate::two)\nfn f() { crate::three::g() }\n#[cfg(test)]\nmod tests { use crate::four; }";
    let file = File { path: PathBuf::new(), text: text.to_owned() };
    assert_eq!(file.used().collect::<BTreeSet<_>>(), iter::once("one").chain(["three"]).collect());
}
