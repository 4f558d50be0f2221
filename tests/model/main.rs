//! The write protocol as a model, every state of which is visited: three writers whose requests and replies are lost, late
//! and doubled, foreign writers, and items that are created, deleted and created again. `protocol`, of the library, states the table
//! of verdicts, `model` says what a state means.
//!
//! The normal run takes some seconds. `DYNALOCK_MODEL=full cargo test --test model` goes on to wider bounds, for some
//! minutes, and shows its progress; `-- --nocapture` prints the bounds, the states and the traces of the normal run.

mod check;
mod model;
mod state;
mod store;

use crate::check::{break_it, exhaust, is_full};
use crate::model::{NO_DOUBLED_UPDATE, NO_LOST_UPDATE, OK_IS_APPLIED, REFUSED_IS_NOT_APPLIED};
use crate::store::{Bounds, Doubt, Kind, Start, Store};
use dynalock_model::protocol::Protocol;

/// Three equal writers with `stamps` slots, each with two attempts for a write, and one of each fault.
fn store(stamps: u8) -> Store {
    Store {
        protocol: Protocol::Stamps,
        kinds: [Kind { stamps, replaces: false, conditional: false }; 3],
        attempts: 2,
        step: 1,
        first: Some(1),
        doubt: Doubt::Read,
        outlived: false,
        start: Start::Clock,
        bounds: Bounds {
            writes: stamps + 2,
            puts: 1,
            updates: 1,
            deletes: 1,
            creates: 0,
            removes: 0,
            restores: 0,
            unversioned: 0,
        },
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
                store.first = Some(0);
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
    assert_eq!(seen[1..8], [[true; 2]; 7], "rows that were never needed: clean, after ambiguity");
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

/// Two writers' creates with what may be done to the items meanwhile, and no item at first.
fn creates(stamps: u8, doubt: Doubt, change: impl FnOnce(&mut Store)) -> Store {
    with(stamps, |store| {
        (store.first, store.doubt) = (None, doubt);
        (store.bounds.writes, store.bounds.puts, store.bounds.updates) = (1, 0, 1);
        (store.bounds.creates, store.bounds.removes) = (2, 0);
        change(store);
    })
}

/// What is checked of creates, whatever a writer does about a doubt.
fn all_creates(doubt: Doubt) -> Vec<(&'static str, Store)> {
    let from_one = |store: &mut Store| (store.start, store.bounds.deletes) = (Start::One, 0);
    let mut stores = vec![
        ("creates", creates(0, doubt, |_| ())),
        ("creates", creates(1, doubt, |_| ())),
        ("creates where there is an item", creates(1, doubt, |store| store.first = Some(1))),
        (
            "creates, and writers delete",
            creates(1, doubt, |store| (store.bounds.updates, store.bounds.removes) = (0, 1)),
        ),
        ("creates at version 1, no deletes", creates(1, doubt, from_one)),
    ];
    if is_full() {
        for stamps in [0, 1, 2] {
            stores.push(("two changes", creates(stamps, doubt, |store| store.bounds.writes = 2)));
            stores.push(("two deletes", creates(stamps, doubt, |store| store.bounds.deletes = 2)));
            stores.push(("three attempts", creates(stamps, doubt, |store| store.attempts = 3)));
            let put = |store: &mut Store| (store.bounds.puts, store.bounds.removes) = (1, 1);
            stores.push(("PutItem, and writers delete", creates(stamps, doubt, put)));
            stores
                .push(("an old copy is put back", creates(stamps, doubt, |store| store.bounds.restores = 1)));
        }
    }
    stores
}

#[test]
fn a_create_that_is_read_after_a_doubt_keeps_the_promise() {
    let seen = exhaust(all_creates(Doubt::Read));
    assert_eq!(seen[8..11], [[true; 2]; 3], "rows of creates");
    // While it is clean, a create without an item in its way is applied.
    assert_eq!(seen[11], [false, true], "no item");
    assert_eq!((seen[12], seen[14]), ([true; 2], [true; 2]), "rows of deletes");
}

#[test]
fn a_create_in_a_transaction_keeps_the_promise() {
    exhaust(all_creates(Doubt::Token));
}

/// The fault that was: an item that others have deleted comes back, at a version that it had.
#[test]
fn a_create_that_is_sent_again_after_a_doubt_breaks_the_promise() {
    for stamps in [0, 1] {
        let store = || creates(stamps, Doubt::Again, |_| ());
        break_it("creates are sent again", store, &[NO_DOUBLED_UPDATE, OK_IS_APPLIED]);
    }
    let store = || creates(1, Doubt::Again, |store| store.bounds.writes = 2);
    break_it("creates are sent again", store, &[NO_LOST_UPDATE]);
}

/// The limit of creates: no version fences them.
#[test]
fn a_copy_of_a_create_that_comes_behind_a_delete_breaks_the_promise() {
    let store = |doubt| move || creates(1, doubt, |store| store.outlived = true);
    break_it("copies come behind a delete", store(Doubt::Read), &[NO_DOUBLED_UPDATE, REFUSED_IS_NOT_APPLIED]);
    // A token tells copies of what was carried out, but not of what was refused.
    break_it("the same in a transaction", store(Doubt::Token), &[REFUSED_IS_NOT_APPLIED]);
}
