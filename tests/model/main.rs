//! The write protocol as a model, every state of which is visited: three writers whose requests and replies are lost, late
//! and doubled, foreign writers, and deletes. `protocol` states the table of verdicts, `model` says what a state means.
//!
//! The normal run takes some seconds. `DYNALOCK_MODEL=full cargo test --test model` goes on to wider bounds, for some
//! minutes, and shows its progress; `-- --nocapture` prints the bounds, the states and the traces of the normal run.

mod check;
mod model;
mod protocol;
mod state;

use crate::check::{break_it, exhaust, is_full};
use crate::model::{
    Bounds, Kind, NO_DOUBLED_UPDATE, NO_LOST_UPDATE, OK_IS_APPLIED, REFUSED_IS_NOT_APPLIED, Start, Store,
};
use crate::protocol::Protocol;

/// Three equal writers with `stamps` slots, each with two attempts for a write, and one of each fault.
fn store(stamps: u8) -> Store {
    Store {
        protocol: Protocol::Stamps,
        kinds: [Kind { stamps, replaces: false, conditional: false }; 3],
        attempts: 2,
        step: 1,
        first: 1,
        start: Start::Clock,
        bounds: Bounds { writes: stamps + 2, puts: 1, updates: 1, deletes: 1, restores: 0, unversioned: 0 },
        in_order: false,
        rows: Default::default(),
    }
}

fn with(stamps: u8, change: impl FnOnce(&mut Store)) -> Store {
    let mut store = store(stamps);
    change(&mut store);
    store
}

/// What is checked for each number of slots, beside equal writers.
fn variants(stamps: u8) -> Vec<(&'static str, Store)> {
    vec![
        ("one writer replaces the item", with(stamps, |store| store.kinds[2].replaces = true)),
        ("one writer has a condition", with(stamps, |store| store.kinds[2].conditional = true)),
        (
            "the same, from version 0",
            with(stamps, |store| {
                store.kinds[2].conditional = true;
                store.first = 0;
            }),
        ),
        ("versions go up by 2", with(stamps, |store| store.step = 2)),
        ("a deleted item comes back below", with(stamps, |store| store.start = Start::Gap)),
        ("an old copy is put back", with(stamps, |store| store.bounds.restores = 1)),
        (
            "writers with different numbers of slots",
            with(stamps, |store| {
                store.kinds[1].stamps = 1;
                store.kinds[2].stamps = 0;
            }),
        ),
    ]
}

#[test]
fn the_protocol_keeps_its_promise() {
    let mut stores = Vec::new();
    for stamps in [0, 1, 2] {
        stores.push(("equal writers", store(stamps)));
    }
    stores.extend(variants(1));
    if is_full() {
        stores.push(("equal writers", store(4)));
        stores.extend(variants(0));
        stores.extend(variants(2));
        for stamps in [0, 1, 2] {
            stores.push(("three attempts", with(stamps, |store| store.attempts = 3)));
            let twice = |store: &mut Store| {
                (store.bounds.puts, store.bounds.updates, store.bounds.deletes) = (2, 2, 2);
            };
            stores.push(("every fault twice", with(stamps, twice)));
        }
    } else {
        stores.push(("equal writers", with(4, |store| store.bounds.writes = 5)));
    }
    let seen = exhaust(stores);
    // Every row of the table gave a verdict, clean and after ambiguity; else the model would say nothing about it.
    assert_eq!(seen, [[true; 2]; 7], "rows that were never needed: clean, after ambiguity");
}

#[test]
fn a_loop_that_takes_every_failed_check_for_a_conflict_applies_changes_twice() {
    let store = || with(0, |store| store.protocol = Protocol::Naive);
    break_it("naive loop", store, &[NO_DOUBLED_UPDATE, REFUSED_IS_NOT_APPLIED]);
}

#[test]
fn comparing_the_whole_item_loses_updates_of_writers_that_write_the_same() {
    let store = || with(0, |store| store.protocol = Protocol::WholeItem);
    break_it("whole item", store, &[OK_IS_APPLIED, NO_DOUBLED_UPDATE]);
}

/// Assumption A2.
#[test]
fn a_writer_that_leaves_the_version_breaks_the_promise() {
    for stamps in [1, 2, 4] {
        let store = || with(stamps, |store| store.bounds.unversioned = 1);
        break_it("a change without a version", store, &[NO_LOST_UPDATE]);
    }
}

/// Assumption A3.
#[test]
fn a_deleted_item_that_begins_at_1_again_breaks_the_promise() {
    let store = || with(2, |store| store.start = Start::One);
    break_it("start = 1", store, &[NO_LOST_UPDATE]);
}

/// Row 3 needs more than that no version is used twice: where versions go up by more than 1, an item must not come back at
/// one between two that were used.
#[test]
fn a_deleted_item_that_comes_back_between_two_versions_breaks_the_promise() {
    let store = || with(2, |store| (store.start, store.step) = (Start::Gap, 2));
    break_it("a version in between", store, &[REFUSED_IS_NOT_APPLIED]);
}
