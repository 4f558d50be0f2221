//! Histories told by hand: those that some order explains, and those that none does.

use std::time::Duration;

use dynalock_tests::history::{Effect, Stored, Way};
use serde_json::json;

use super::{Action, Answer, Call, Event, History, check};
use Step::{Begin, End, Store};

/// A version, and the numbers of the calls whose marks are in the list.
type Told = Option<(u64, &'static [u32])>;

/// One call's begin, effect or end. Every call has a caller of its own, all are of one program, and each runs once.
#[derive(Clone, Copy)]
enum Step {
    Begin(u32, Action, u64),
    Store(u32, Told),
    End(u32, Answer, Told),
}

const PROGRAM: u32 = 1;

const FIRST: Told = Some((1, &[]));

fn call(id: u32, action: Action, expected: u64) -> Call {
    Call {
        id,
        caller: id,
        program: PROGRAM,
        coalesces: true,
        action,
        key: "key".into(),
        step: 1,
        stamps: 0,
        expected,
        began: 0,
        ended: 0,
        answer: Answer::Open,
        runs: 1,
        seen: None,
        requests: (0, 0),
        time: (Duration::ZERO, Duration::ZERO),
    }
}

fn marks(calls: &[u32]) -> Vec<String> {
    calls.iter().map(|id| call(*id, Action::Update, 0).mark()).collect()
}

fn stored((version, calls): (u64, &[u32])) -> serde_json::Value {
    let list: Vec<_> = marks(calls).into_iter().map(|mark| json!({ "S": mark })).collect();
    json!({ "version": { "N": version.to_string() }, "log": { "L": list } })
}

/// The history of an item that another program has made, and then of `steps`.
fn history(steps: &[Step]) -> History {
    let mut history = History::default();
    let mut item: Stored = None;
    for step in [Store(0, FIRST)].iter().chain(steps) {
        history.events.push(match *step {
            Begin(id, action, expected) => {
                history.calls.push(call(id, action, expected));
                Event::Began(id)
            }
            Store(call, told) => {
                let before = std::mem::replace(&mut item, told.map(stored));
                let (operation, key) = ("UpdateItem".into(), "key".into());
                let program = if call == 0 { 0 } else { PROGRAM };
                history.effects.push(Effect::new(program, call, operation, key, before, item.clone()));
                Event::Applied(history.effects.len() - 1)
            }
            End(id, answer, told) => {
                let call = history.calls.iter_mut().find(|call| call.id == id).expect("a call that began");
                call.answer = answer;
                call.seen = told.map(|(version, calls)| (version, marks(calls)));
                Event::Ended(id)
            }
        });
    }
    history
}

/// How many windows there are, and how many of them no order explains.
fn windows(steps: &[Step]) -> (u32, usize) {
    let checked = check(&history(steps));
    (checked.windows, checked.unexplained.len())
}

fn is_explained(steps: &[Step]) -> bool {
    windows(steps).1 == 0
}

#[test]
fn of_two_saves_of_one_version_only_one_can_be_ok() {
    let both = |second| {
        [
            Begin(1, Action::Save, 1),
            Begin(2, Action::Save, 1),
            Store(1, Some((2, &[1]))),
            End(1, Answer::Ok, Some((2, &[1]))),
            second,
        ]
    };
    assert!(is_explained(&both(End(2, Answer::Conflict, Some((2, &[1]))))));
    assert!(!is_explained(&both(End(2, Answer::Ok, Some((2, &[2]))))), "lost before it was stored");
    assert!(!is_explained(&both(End(2, Answer::Ok, Some((3, &[1, 2]))))), "never stored");
    let overwritten = [
        Begin(1, Action::Update, 0),
        Begin(2, Action::Update, 0),
        Store(1, Some((2, &[1]))),
        Store(2, Some((2, &[2]))),
        End(1, Answer::Ok, Some((2, &[1]))),
        End(2, Answer::Ok, Some((2, &[2]))),
    ];
    assert!(!is_explained(&overwritten), "an update that another one overwrote");
}

#[test]
fn an_update_is_applied_once() {
    let told = |told, stored| {
        [Begin(1, Action::Update, 0), Store(1, Some((2, &[1]))), Store(1, stored), End(1, Answer::Ok, told)]
    };
    let twice = Some((3, &[1, 1][..]));
    assert!(is_explained(&told(Some((2, &[1])), Some((2, &[1])))));
    assert!(!is_explained(&told(twice, twice)), "doubled, as its caller sees");
    assert!(!is_explained(&told(Some((2, &[1])), twice)), "doubled, as only the store sees");
    assert!(!is_explained(&told(Some((2, &[1])), FIRST)), "lost, as only the store sees");
    let late = [
        Begin(1, Action::Update, 0),
        End(1, Answer::Dropped, None),
        Store(1, Some((2, &[1]))),
        Store(1, twice),
    ];
    assert!(is_explained(&late[..3]));
    assert!(!is_explained(&late), "a late copy of a dropped call");
}

/// What comes of two updates that one write carries, and of a third call meanwhile.
fn shared(first: (Answer, Told), second: (Answer, Told), third: Action, answer: (Answer, Told)) -> bool {
    is_explained(&[
        Begin(3, third, 0),
        Begin(1, Action::Update, 0),
        Begin(2, Action::Update, 0),
        Store(2, Some((2, &[1, 2]))),
        End(1, first.0, first.1),
        End(2, second.0, second.1),
        End(3, answer.0, answer.1),
    ])
}

#[test]
fn one_write_raises_the_version_once_with_the_last_change_that_it_carries() {
    let returned = |first, second| {
        shared((Answer::Ok, first), (Answer::Ok, second), Action::Get, (Answer::Ok, Some((2, &[1, 2]))))
    };
    let (one, both) = (Some((1, &[1][..])), Some((2, &[1, 2][..])));
    assert!(returned(one, both));
    assert!(!returned(Some((2, &[1])), both), "the first as if it were stored so");
    assert!(!returned(both, both), "the first with the other's change");
    assert!(!returned(one, Some((3, &[1, 2]))), "raised twice");
    assert!(!returned(one, Some((2, &[2]))), "the second without the first's change");
    assert!(!returned(Some((1, &[2, 1])), Some((2, &[2]))), "in the wrong order");
    let open = (Answer::Unknown(None), None);
    let read = (Answer::Ok, both);
    assert!(shared(open, (Answer::Ok, both), Action::Get, read), "the first may be unknown");
    assert!(shared((Answer::Ok, one), open, Action::Get, read), "the second may be unknown");
    assert!(shared(open, open, Action::Get, read), "both may be");
}

#[test]
fn nobody_else_sees_a_write_half_made() {
    let (one, both) = (Some((1, &[1][..])), Some((2, &[1, 2][..])));
    let told = |action, answer| shared((Answer::Ok, one), (Answer::Ok, both), action, answer);
    for stored in [FIRST, both] {
        assert!(told(Action::Get, (Answer::Ok, stored)));
        assert!(told(Action::Update, (Answer::Conflict, stored)));
    }
    assert!(told(Action::TryUpdate(1), (Answer::Refused, both)));
    for (action, answer) in [
        (Action::Get, Answer::Ok),
        (Action::TryUpdate(0), Answer::Refused),
        (Action::Update, Answer::Conflict),
        (Action::UpdateIf(0), Answer::ConditionFailed),
        (Action::Save, Answer::Conflict),
    ] {
        assert!(!told(action, (answer, one)), "{action:?} {answer:?}");
    }
}

#[test]
fn a_read_is_not_stale() {
    let read = [Begin(2, Action::Get, 0), End(2, Answer::Ok, FIRST)];
    let update =
        [Begin(1, Action::Update, 0), Store(1, Some((2, &[1]))), End(1, Answer::Ok, Some((2, &[1])))];
    let at_once = [&update[..2], &read[..1], &update[2..], &read[1..]].concat();
    let later = [&update[..], &read[..]].concat();
    assert_eq!(windows(&at_once), (1, 0));
    assert_eq!(windows(&later), (2, 1));
    // A third call keeps the two in one window, so that it is their order that tells.
    let third = [Begin(3, Action::Get, 0), End(3, Answer::Ok, Some((2, &[1][..])))];
    let meanwhile = |steps: &[Step]| windows(&[&third[..1], steps, &third[1..]].concat());
    assert_eq!(meanwhile(&at_once), (1, 0));
    assert_eq!(meanwhile(&later), (1, 1));
}

#[test]
fn a_refusal_has_a_reason() {
    let refused =
        |action, expected, answer, told| is_explained(&[Begin(1, action, expected), End(1, answer, told)]);
    assert!(refused(Action::Save, 7, Answer::Conflict, FIRST));
    assert!(!refused(Action::Save, 7, Answer::Conflict, Some((3, &[]))), "such an item never was");
    assert!(!refused(Action::Save, 7, Answer::ConditionFailed, FIRST), "it is the version that differs");
    for (action, answer) in [
        (Action::Save, Answer::Conflict),
        (Action::Save, Answer::NotFound),
        (Action::SaveIf(0), Answer::ConditionFailed),
        (Action::TryUpdate(0), Answer::Refused),
        (Action::Touch, Answer::Conflict),
        (Action::Delete, Answer::Conflict),
        (Action::Delete, Answer::Ok),
        (Action::Update, Answer::NotFound),
        (Action::Get, Answer::NotFound),
    ] {
        assert!(!refused(action, 1, answer, None), "{action:?} {answer:?}");
    }
    let longer = Store(0, Some((2, &[9])));
    let told = Some((2, &[9][..]));
    for (action, answer) in
        [(Action::SaveIf(0), Answer::ConditionFailed), (Action::TryUpdate(0), Answer::Refused)]
    {
        assert!(is_explained(&[longer, Begin(1, action, 2), End(1, answer, told)]), "{action:?}");
        assert!(!is_explained(&[longer, Begin(1, action, 2), End(1, answer, FIRST)]), "{action:?}: stale");
    }
    let create = [Begin(1, Action::Create(Way::Alone), 0), End(1, Answer::AlreadyExists, FIRST)];
    assert!(is_explained(&create));
    assert!(!is_explained(&[Store(0, None), create[0], create[1]]));
}

#[test]
fn what_failed_or_was_refused_has_no_effect_later() {
    for (action, answer) in [(Action::Update, Answer::Failed), (Action::Update, Answer::Conflict)] {
        let steps =
            [Begin(1, action, 0), End(1, answer, None), Store(1, Some((2, &[1]))), Begin(2, Action::Get, 0)];
        assert!(!is_explained(&steps), "{answer:?}");
    }
}

#[test]
fn an_open_outcome_may_come_true_late_or_never_but_stays_true() {
    let unknown =
        [Begin(1, Action::Update, 0), End(1, Answer::Unknown(None), None), Begin(2, Action::Get, 0)];
    let (old, new) = (FIRST, Some((2, &[1][..])));
    let applied = Store(1, new);
    let read = |id, seen| [Begin(id, Action::Get, 0), End(id, Answer::Ok, seen)];
    let with = |rest: &[&[Step]]| windows(&[&unknown[..2], &rest.concat()].concat());
    assert_eq!(with(&[&read(2, old), &read(3, old)]), (1, 0), "never");
    assert_eq!(with(&[&read(2, old), &[applied], &read(3, new)]), (1, 0), "late");
    assert_eq!(with(&[&[applied], &read(2, new), &read(3, old)]), (1, 1), "and not any more");
}

#[test]
fn a_window_ends_when_nothing_is_under_way() {
    let save = |id, from, seen| [Begin(id, Action::Save, from), Store(id, seen), End(id, Answer::Ok, seen)];
    let (one, two) = (save(1, 1, Some((2, &[1]))), save(2, 2, Some((3, &[1, 2]))));
    assert_eq!(windows(&[one, two].concat()), (2, 0), "one after the other");
    assert_eq!(windows(&[&one[..1], &two[..1], &one[1..], &two[1..]].concat()), (1, 0), "both at once");
}
