//! What a draft shows of its item, and what it writes.

use std::collections::BTreeMap;

use super::*;

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn item(attributes: &[(&str, u64)]) -> Item {
    attributes.iter().map(|(name, value)| ((*name).to_owned(), number(*value))).collect()
}

/// An object with the key 7.
fn object(attributes: &[(&str, u64)], version: u64) -> Snapshot {
    let fields: BTreeMap<&str, u64> = attributes.iter().copied().chain([("id", 7)]).collect();
    Snapshot::new(&fields, Schema::EXAMPLE, Some(version), u64::MAX).expect("an object with a key")
}

fn read(found: Option<Item>) -> Draft {
    Draft::read(Schema::EXAMPLE, item(&[("id", 7)]), found).expect("a version")
}

/// Stands for a clock that must not be asked.
fn no_clock() -> u64 {
    panic!("the version does not follow from the clock")
}

/// The version that the draft writes, and its update expression.
fn written(draft: Draft) -> (Option<u64>, Option<String>) {
    let write = draft.into_write(None).expect("a write");
    (write.next_version(), write.update_expression().map(str::to_owned))
}

#[test]
fn an_item_is_shown_with_its_changes_at_the_version_that_is_stored() {
    let mut draft = read(Some(item(&[("id", 7), ("a", 1), ("other", 2), ("version", 5)])));
    draft.write(Kind::Save, object(&[("a", 3)], 0), no_clock).expect("a change");
    let shown = item(&[("id", 7), ("a", 3), ("other", 2), ("version", 5)]);
    assert_eq!(draft.item(), Some(shown.clone()), "what the struct does not know stays");
    assert_eq!(draft.written(), Some(shown.into_iter().chain(item(&[("version", 6)])).collect()));

    draft.write(Kind::Replace, object(&[("b", 4)], 0), no_clock).expect("a change");
    assert_eq!(draft.item(), Some(item(&[("id", 7), ("b", 4), ("version", 5)])), "the rest is dropped");
    draft.write(Kind::Save, object(&[("c", 8)], 0), no_clock).expect("a change");
    assert_eq!(draft.item(), Some(item(&[("id", 7), ("c", 8), ("version", 5)])), "it saves what it replaced");

    draft.write(Kind::Delete, object(&[], 0), no_clock).expect("a change");
    assert_eq!((draft.item(), draft.exists()), (None, false));
}

#[test]
fn of_an_item_that_was_not_read_only_the_object_is_known() {
    let saved = object(&[("a", 3)], 5);
    let mut draft = Draft::assumed(Kind::Save, &saved).expect("a version");
    assert!(draft.exists(), "a save expects an item");
    draft.write(Kind::Save, saved, no_clock).expect("a change");
    assert_eq!(draft.item(), Some(item(&[("id", 7), ("a", 3), ("version", 5)])));
    assert_eq!(draft.written(), None, "there may be attributes that the struct does not know");
    assert!(!Draft::assumed(Kind::Create, &object(&[], 5)).expect("a draft").exists());
}

#[test]
fn an_item_that_was_taken_is_written_as_one_that_is_still_there() {
    let stored = item(&[("id", 7), ("a", 1), ("version", 5)]);
    let mut draft = read(Some(stored.clone()));
    assert_eq!(draft.take_item(), Some(stored));
    let is_changed =
        draft.merge(&object(&[("a", 1)], 5), object(&[("a", 2)], 5), no_clock).expect("a change");
    assert!(is_changed && draft.written().is_none(), "nobody has a copy of the item");
    let (version, expression) = written(draft);
    assert_eq!(version, Some(6));
    assert!(expression.is_some_and(|expression| expression.contains("#_0=:_0")));
}

/// A clock goes on between two writes of one transaction, and the item must not have a version that nobody wrote.
#[test]
fn several_changes_raise_the_version_once() {
    let mut draft = read(None);
    draft.create(object(&[("a", 1)], 0), no_clock).expect("an item");
    draft.write(Kind::Save, object(&[("a", 2)], 0), || panic!("a second version")).expect("a change");
    assert_eq!(draft.item(), Some(item(&[("id", 7), ("a", 2), ("version", 0)])));
    let mut others = item(&[("id", 7), ("a", 2)]);
    others.insert("version".into(), number(1));
    assert_eq!(draft.written(), Some(others));
    assert_eq!(written(draft), (Some(1), None), "a put of the first version");
}

#[test]
fn nothing_is_deleted_that_is_not_there() {
    let mut known = read(None);
    known.create(object(&[], 0), no_clock).expect("an item");
    known.write(Kind::Delete, object(&[], 0), no_clock).expect("a change");
    assert!(!known.is_changed(), "a read has found that there is none");

    let created = object(&[], 0);
    let mut assumed = Draft::assumed(Kind::Create, &created).expect("a draft");
    assumed.write(Kind::Create, created, no_clock).expect("a change");
    assumed.write(Kind::Delete, object(&[], 0), no_clock).expect("a change");
    assert!(assumed.is_changed(), "that there is none is still to be checked");
    let check = assumed.into_write(None).expect("a write");
    assert_eq!(check.condition_expression(), "attribute_not_exists(#_k)");
    assert_eq!(check.intent().operation.name(), "ConditionCheck");
}

#[test]
fn an_object_of_another_key_is_refused() {
    let fields = BTreeMap::from([("id", 8_u64)]);
    let other = || Snapshot::new(&fields, Schema::EXAMPLE, Some(5), u64::MAX).expect("an object with a key");
    assert!(read(None).create(other(), no_clock).is_err());
    let mut draft = read(Some(item(&[("id", 7), ("version", 5)])));
    assert!(draft.merge(&object(&[], 5), other(), no_clock).is_err());
}
