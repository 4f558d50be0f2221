//! Histories that happened, with one answer changed.

use dynalock_tests::history::{Action, Answer, History};

use super::{ANSWER, STORE, View, check};
use crate::run::{Plan, run};

/// Of writers of several kinds.
fn histories() -> impl Iterator<Item = History> {
    [1, 2, 4, 7, 8].into_iter().map(|seed| run(Plan::of(seed)).history)
}

fn is_refused(history: &History, rule: &str) -> bool {
    check(history).iter().any(|breach| breach.rule == rule)
}

#[test]
fn a_store_that_answered_otherwise_is_found_out() {
    let (mut carried_out, mut refused) = (0, 0);
    for history in histories() {
        assert!(!is_refused(&history, STORE));
        for (index, carried) in history.carried.iter().enumerate() {
            let call = history.calls.iter().find(|call| call.id == carried.sender);
            let is_ours = call.is_some_and(|call| {
                call.action != Action::Foreign && View::of(&carried.operation, &carried.body, &[]).is_some()
            });
            if !is_ours {
                continue;
            }
            *if carried.is_done { &mut carried_out } else { &mut refused } += 1;
            let mut other = history.clone();
            other.carried[index].is_done ^= true;
            assert!(is_refused(&other, STORE), "{carried:?}");
            let mut other = history.clone();
            let carried = &mut other.carried[index];
            carried.after = if carried.is_done { carried.before.clone() } else { None };
            assert!(
                is_refused(&other, STORE) || carried_nothing(&history, index),
                "{:?}",
                history.carried[index]
            );
        }
    }
    assert!(carried_out > 20 && refused > 5, "{carried_out} carried out, {refused} refused");
}

/// Whether a refused write found no item, so that it cannot leave less.
fn carried_nothing(history: &History, index: usize) -> bool {
    history.carried[index].before.is_none() && !history.carried[index].is_done
}

#[test]
fn a_call_that_answered_otherwise_is_found_out() {
    let mut changed = 0;
    for history in histories() {
        assert!(!is_refused(&history, ANSWER));
        for (index, call) in history.calls.iter().enumerate() {
            let is_one_write = matches!(
                call.action,
                Action::Create(_) | Action::Save | Action::SaveIf(_) | Action::Replace | Action::Touch
            );
            let is_sent = history
                .attempts
                .iter()
                .any(|attempt| attempt.sender == call.id && attempt.operation != "TransactWriteItems");
            if !is_one_write || !is_sent || call.answer != Answer::Ok {
                continue;
            }
            for answer in [Answer::Conflict, Answer::NotFound, Answer::Unknown(None), Answer::Failed] {
                let mut other = history.clone();
                other.calls[index].answer = answer;
                assert!(is_refused(&other, ANSWER), "{call:?} as {answer:?}");
            }
            changed += 1;
        }
    }
    assert!(changed > 5, "{changed} answers");
}
