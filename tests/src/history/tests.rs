//! A history in which one write carries the changes of two calls, and what is wrong with others.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Action, Answer, Attempt, CREATED_ONCE, Call, Effect, FRESH, History, Reply, SENT_ONCE, Stored, Versions,
    Way, application::call_of,
};

const KEY: &str = "key";

/// An update whose caller was told the version and the list with the marks of these calls.
fn update(id: u32, version: u64, marks: &[&str]) -> Call {
    Call {
        id,
        caller: id,
        program: 1,
        coalesces: true,
        action: Action::Update,
        key: KEY.into(),
        step: 1,
        stamps: 0,
        expected: 0,
        began: 1,
        ended: 2,
        answer: Answer::Ok,
        runs: 1,
        seen: Some((version, marks.iter().map(|mark| (*mark).to_owned()).collect())),
        requests: (0, 0),
        time: (Duration::ZERO, Duration::ZERO),
    }
}

/// The store's effects: another program's, and then one of call 2 that leaves this.
fn effects(version: u64, marks: &[&str]) -> Vec<Effect> {
    let item = |version: u64, marks: &[&str]| {
        let list: Vec<_> = marks.iter().map(|mark| json!({ "S": mark })).collect();
        let mut item = json!({ "version": { "N": version.to_string() }, "log": { "L": list } });
        for mark in marks {
            let is_even = call_of(mark).is_some_and(|call| call % 2 == 0);
            item[if is_even { "even" } else { "odd" }] = json!({ "S": mark });
            if !is_even {
                item["even"] = json!(null);
            }
        }
        Some(item)
    };
    let effect = |program, sender, before, after| {
        Effect::new(program, sender, "UpdateItem".into(), KEY.into(), before, after)
    };
    let first = item(7, &[OTHER]);
    vec![effect(0, 0, None, first.clone()), effect(1, 2, first, item(version, marks))]
}

const OTHER: &str = "hunter2 9.1";
const ONE: &str = "hunter2 1.1";
const TWO: &str = "hunter2 2.1";

fn history() -> History {
    let calls = vec![update(1, 7, &[OTHER, ONE]), update(2, 8, &[OTHER, ONE, TWO])];
    History { effects: effects(8, &[OTHER, ONE, TWO]), calls, ..History::default() }
}

/// The rules that are broken once the history is changed so.
fn broken(change: impl FnOnce(&mut History)) -> String {
    let mut history = history();
    change(&mut history);
    let breaches = history.breaches();
    let rules = breaches.iter().map(|breach| breach.rule.split(':').next().unwrap_or_default());
    rules.collect::<Vec<_>>().join(" ")
}

#[test]
fn one_write_may_carry_the_changes_of_several_calls() {
    assert_eq!(broken(|_| ()), "");
    let tally = history().tally();
    assert_eq!((tally.ok, tally.doubled, tally.lost, tally.shared), (2, 0, 0, [0, 1, 0, 0]));
}

#[test]
fn each_caller_is_told_what_its_own_change_left() {
    let told = |call: usize, seen: (u64, &[&str])| {
        broken(|history| history.calls[call] = update(history.calls[call].id, seen.0, seen.1))
    };
    assert_eq!(told(0, (8, &[OTHER, ONE])), "I8", "only the last change has the version that is stored");
    assert_eq!(told(0, (7, &[OTHER, ONE, TWO])), "I8", "with what came later");
    assert_eq!(told(0, (7, &[ONE])), "I8", "without what was there");
    assert_eq!(told(1, (7, &[OTHER, ONE, TWO])), "I8", "at the version from before");
    assert_eq!(told(1, (8, &[OTHER, TWO])), "I8", "without what came earlier");
}

#[test]
fn a_change_is_in_a_write_once_and_as_it_was_run_last() {
    let left = |version, marks: &[&str]| broken(|history| history.effects = effects(version, marks));
    assert_eq!(left(8, &[OTHER, TWO]), "I2 I8", "the first is lost");
    assert_eq!(left(8, &[OTHER, ONE, "hunter2 1.2", TWO]), "I2 I7 I8 I8", "the first is doubled");
    assert_eq!(left(8, &[ONE, TWO]), "I1 I8", "another program's is lost");
    assert_eq!(left(9, &[OTHER, ONE, TWO]), "I4 I8", "raised twice");
    assert_eq!(broken(|history| history.calls[0].runs = 2), "I7");
    for answer in [Answer::Conflict, Answer::Refused, Answer::Failed] {
        let rules = broken(|history| (history.calls[0].answer, history.calls[0].seen) = (answer, None));
        assert_eq!(rules, "I3", "{answer:?}");
    }
}

#[test]
fn a_write_carries_all_of_each_change() {
    let left = |change: fn(&mut Value)| {
        broken(|history| change(history.effects[1].after.as_mut().expect("an item")))
    };
    assert_eq!(left(|item| item["even"] = json!(null)), "I1", "the last change sets it");
    assert_eq!(left(|item| item["odd"] = json!(null)), "I1", "the first change sets it");
    assert_eq!(left(|item| item["odd"] = json!({ "S": OTHER })), "I1", "it is from before");
}

#[test]
fn only_those_who_share_their_writes_are_in_one() {
    let rules = |change: fn(&mut Call)| broken(|history| change(&mut history.calls[0]));
    assert_eq!(rules(|call| call.coalesces = false), "I2");
    assert_eq!(rules(|call| call.action = Action::UpdateIf(9)), "I2");
    assert_eq!(rules(|call| call.program = 2), "I2 I2", "nor does it count for another program");
}

#[test]
fn turns_are_taken_in_the_order_of_the_calls() {
    let turned = |history: &mut History| {
        history.effects = effects(8, &[OTHER, TWO, ONE]);
        history.calls = vec![update(1, 8, &[OTHER, TWO, ONE]), update(2, 7, &[OTHER, TWO])];
    };
    assert_eq!(broken(turned), "turns are taken in order");
    let given_up = |callers: u32, coalesces: bool| {
        broken(|history| {
            turned(history);
            let gone =
                (3..3 + callers).map(|id| Call { answer: Answer::Dropped, ended: 1, ..update(id, 0, &[]) });
            history.calls.extend(gone);
            history.calls.iter_mut().for_each(|call| call.coalesces = coalesces);
        })
    };
    assert!(given_up(3, false).contains("turns are taken in order"), "few have given up");
    assert!(given_up(4, true).contains("turns are taken in order"), "they share their writes");
    assert!(!given_up(4, false).contains("turns are taken in order"), "several have given up");
    let again = |history: &mut History| {
        history.effects = effects(8, &[OTHER, TWO, "hunter2 1.2"]);
        history.calls = vec![update(1, 8, &[OTHER, TWO, "hunter2 1.2"]), update(2, 7, &[OTHER, TWO])];
        history.calls[0].runs = 2;
    };
    assert_eq!(broken(again), "", "the first had to run again");
}

/// The history of an item that call 1 created, others deleted, and something created again.
fn recreated(again: Value) -> History {
    let mut call = update(1, 1, &[ONE]);
    (call.action, call.coalesces, call.began) = (Action::Create(Way::Alone), false, 0);
    let effect = |sender, before: Stored, after| {
        Effect::new(sender, sender, "PutItem".into(), KEY.into(), before, after)
    };
    let item = |version: &str, mark: &str| json!({ "version": { "N": version }, "log": { "L": [{ "S": mark }] }, "odd": { "S": mark } });
    let first = Some(item("1", ONE));
    let again = Some(again).filter(Value::is_object).unwrap_or_else(|| item("2", OTHER));
    let is_copy = Some(&again) == first.as_ref();
    let effects = vec![
        effect(1, None, first.clone()),
        effect(0, first, None),
        effect(u32::from(is_copy), None, Some(again)),
    ];
    History { effects, calls: vec![call], ..History::default() }
}

fn rules(history: &History) -> Vec<&'static str> {
    history.breaches().iter().map(|breach| breach.rule).collect()
}

#[test]
fn a_deleted_item_comes_back_only_by_another_create() {
    assert_eq!(rules(&recreated(Value::Null)), [""; 0]);
    let mut back = recreated(json!({
        "version": { "N": "1" }, "log": { "L": [{ "S": ONE }] }, "odd": { "S": ONE },
    }));
    let found = rules(&back);
    assert!(found.contains(&CREATED_ONCE) && found.contains(&FRESH), "{found:?}");
    back.versions = Versions::Reused;
    let found = rules(&back);
    assert!(found.contains(&CREATED_ONCE) && !found.contains(&FRESH), "{found:?}");
    let at_1_again = recreated(json!({ "version": { "N": "1" }, "log": { "L": [{ "S": OTHER }] } }));
    assert_eq!(rules(&at_1_again), [FRESH]);
    assert_eq!(rules(&History { versions: Versions::Reused, ..at_1_again }), [""; 0], "as start = 1 does");
}

#[test]
fn a_create_in_doubt_is_sent_once() {
    let sent = |first: Reply, create: &str, second: &str| {
        let attempt = |reply, mark: &str| Attempt {
            sender: 1,
            operation: "PutItem".into(),
            body: json!({ "ConditionExpression": create, "Item": { "log": mark } }),
            reply,
        };
        let attempts = vec![attempt(first, ONE), attempt(Reply::Done, second)];
        rules(&History { attempts, ..recreated(Value::Null) })
    };
    let create = "attribute_not_exists(#_k)";
    assert_eq!(sent(Reply::Doubt, create, ONE), [SENT_ONCE]);
    assert_eq!(sent(Reply::Doubt, create, TWO), [""; 0], "another create");
    for clear in [Reply::NotDone, Reply::HungUp, Reply::Refused(None)] {
        assert_eq!(sent(clear, create, ONE), [""; 0]);
    }
    let replace = "attribute_exists(#_k) AND attribute_not_exists(#_v)";
    assert_eq!(sent(Reply::Doubt, replace, ONE), [""; 0], "no create");
}
