//! Runs the checker, and says what it found.

use std::collections::BTreeMap;
use std::io::{Write as _, stderr};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use stateright::report::{ReportData, ReportDiscovery, Reporter};
use stateright::{Checker, HasDiscoveries, Model, Path};

use dynalock_model::protocol::ROWS;

use crate::model::Action;
use crate::state::State;
use crate::store::{Bounds, Store};

/// In states. Where a break takes more, it is not looked for.
const LONGEST_TRACE: usize = 16;

pub(crate) fn is_full() -> bool {
    std::env::var("DYNALOCK_MODEL").is_ok_and(|value| value == "full")
}

/// To the output of the test, and of a full run past the test harness to the terminal.
fn say(text: &str) {
    if is_full() {
        let _ = writeln!(stderr(), "{text}");
    } else {
        println!("{text}");
    }
}

/// Visits every state of each store; none breaks the promise. Returns which rows of the table gave a verdict.
pub(crate) fn exhaust(stores: Vec<(&str, Store)>) -> [[bool; 2]; ROWS] {
    let count = stores.len();
    let mut seen = [[false; 2]; ROWS];
    for (place, (name, store)) in stores.into_iter().enumerate() {
        let title = format!("[{}/{count}] {}, {name}", place + 1, bounds(&store));
        let begin = Instant::now();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let checker = store.checker().threads(threads).finish_when(HasDiscoveries::AnyFailures).spawn_dfs();
        let checker = checker.join_and_report(&mut Progress { title: &title, begin, last: begin });
        say(&format!(
            "{title}: {} states in {:.1} s",
            checker.unique_state_count(),
            begin.elapsed().as_secs_f32(),
        ));
        if let Some((property, path)) = checker.discoveries().into_iter().next() {
            panic!("{title}: broken: {property}\n{}", trace(path));
        }
        for (seen, row) in seen.iter_mut().zip(&checker.model().rows) {
            for (seen, row) in seen.iter_mut().zip(row) {
                *seen |= row.load(Ordering::Relaxed);
            }
        }
    }
    seen
}

/// Finds the shortest way to break each of `properties`.
pub(crate) fn break_it(name: &str, store: impl Fn() -> Store, properties: &[&'static str]) {
    let title = format!("{}, {name}", bounds(&store()));
    for property in properties {
        // The checker reports the last break that it comes upon, so it is let in one step deeper each time.
        let found = (1..LONGEST_TRACE).find_map(|depth| {
            let checker = Store { in_order: true, ..store() }.checker().target_max_depth(depth);
            let enough = HasDiscoveries::AnyOf([*property].into());
            checker.finish_when(enough).spawn_bfs().join().discovery(property)
        });
        let path = found.unwrap_or_else(|| panic!("{title}: nothing breaks: {property}"));
        say(&format!("{title}: broken, as it should be: {property}\n{}", trace(path)));
    }
}

fn bounds(store: &Store) -> String {
    let Bounds { writes, puts, updates, deletes, creates, removes, restores, unversioned } = store.bounds;
    let optional = |count: u8, what| if count > 0 { format!(", {count} {what}") } else { String::new() };
    format!(
        "K = {}: {} writers, {writes} writes of {} attempts, {puts} PutItem, {updates} UpdateItem, {deletes} delete{}{}{}{}",
        store.kinds[0].stamps,
        store.kinds.len(),
        store.attempts,
        optional(creates, "create"),
        optional(removes, "delete of a writer"),
        optional(restores, "restore"),
        optional(unversioned, "change without a version"),
    )
}

fn trace(path: Path<State, Action>) -> String {
    let lines = path.into_vec().into_iter().map(|(state, action)| {
        let action = action.map_or(String::new(), |action| format!("\n  {action:?}"));
        format!("    {state}{action}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A line each five seconds of a full run.
struct Progress<'a> {
    title: &'a str,
    begin: Instant,
    last: Instant,
}

impl Reporter<Store> for Progress<'_> {
    fn report_checking(&mut self, data: ReportData) {
        if is_full() && self.last.elapsed() >= Duration::from_secs(5) {
            self.last = Instant::now();
            let seconds = self.begin.elapsed().as_secs();
            let _ = writeln!(stderr(), "{}: {} states after {seconds} s", self.title, data.unique_states);
        }
    }

    fn report_discoveries(&mut self, _: &Store, _: BTreeMap<&'static str, ReportDiscovery<Store>>) {}

    fn delay(&self) -> Duration {
        Duration::from_millis(50)
    }
}
