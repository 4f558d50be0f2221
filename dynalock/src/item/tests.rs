//! Unit tests: an item that fits its struct loses nothing, and an error names the attribute that does not fit.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::primitives::Blob;
use serde::ser::{self, Serializer};
use serde::{Deserialize, Serialize};

use super::deserialize::from_item;
use super::schema::is_stamp_slot;
use super::serialize::{to_attributes, value};
use super::size::{check_size, least_bytes};
use super::*;

const SCHEMA: &Schema = Schema::EXAMPLE;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Example {
    id: String,
    a: Option<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    b: Vec<String>,
    c: Inner,
    version: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Inner {
    deep: BTreeMap<String, f64>,
    #[serde(with = "serde_dynamo::string_set")]
    set: BTreeSet<String>,
}

fn example() -> Example {
    let deep = BTreeMap::from([("x".to_owned(), 1.5)]);
    let set = BTreeSet::from(["p".to_owned(), "q".to_owned()]);
    Example { id: "i".into(), a: Some(-3), b: vec!["s".into()], c: Inner { deep, set }, version: 9 }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    id: String,
    version: u32,
    #[serde(flatten)]
    rest: BTreeMap<String, String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Strict {
    id: String,
    version: u32,
}

/// A newtype around a struct, which serde writes like the struct.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Wrapped<T>(T);

#[derive(Debug, Deserialize)]
struct Renamed {
    #[serde(alias = "old")]
    #[allow(dead_code)]
    id: String,
}

/// A type whose serialization fails with a message that quotes a value.
struct Failing;

impl Serialize for Failing {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(ser::Error::custom("hunter2"))
    }
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "Strict")]
struct Refusing;

impl TryFrom<Strict> for Refusing {
    type Error = &'static str;

    fn try_from(_: Strict) -> Result<Self, Self::Error> {
        Err("hunter2")
    }
}

#[derive(Serialize)]
enum Variants {
    Newtype(u8),
    Unit,
}

#[derive(Serialize)]
struct Big {
    id: String,
    big: u128,
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(digits: &str) -> AttributeValue {
    AttributeValue::N(digits.into())
}

fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
    attributes.map(|(name, value)| (name.to_owned(), value)).into()
}

fn item_of(object: &impl Serialize) -> Item {
    to_attributes(object).unwrap().into_iter().map(|(name, value)| (name.into_owned(), value)).collect()
}

/// The attribute and the problem of an error about an item.
#[track_caller]
fn problem<T: std::fmt::Debug>(result: Result<T, Invalid>) -> (String, String) {
    match result.unwrap_err() {
        Invalid::Item { attribute, problem } => (attribute.into(), problem.into()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_object_comes_back_as_it_was() {
    let omitted = Example { a: None, b: Vec::new(), ..example() };
    for object in [example(), omitted] {
        assert_eq!(from_item::<Example>(item_of(&object), SCHEMA).unwrap(), object);
    }
    let rest = BTreeMap::from([("k".to_owned(), "v".to_owned())]);
    let flat = Flat { id: "i".into(), version: 1, rest };
    assert_eq!(from_item::<Flat>(item_of(&flat), SCHEMA).unwrap(), flat);
}

#[test]
fn attributes_come_in_the_order_of_the_fields() {
    let names: Vec<_> = to_attributes(&example()).unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["id", "a", "b", "c", "version"]);
    let attributes = item_of(&Example { a: None, b: Vec::new(), ..example() });
    assert_eq!(attributes.get("a"), Some(&AttributeValue::Null(true)), "`None` becomes NULL");
    assert_eq!(attributes.get("b"), None, "an attribute that serde omits is not stored");
}

#[test]
fn a_version_that_is_absent_or_null_reads_as_0() {
    let absent = item([("id", text("i"))]);
    let null = item([("id", text("i")), ("version", AttributeValue::Null(true))]);
    for item in [absent, null] {
        assert_eq!(from_item::<Strict>(item.clone(), SCHEMA).unwrap(), Strict { id: "i".into(), version: 0 });
        assert_eq!(
            from_item::<Flat>(item, SCHEMA).unwrap(),
            Flat { id: "i".into(), version: 0, rest: BTreeMap::new() }
        );
    }
}

#[test]
fn a_stored_version_is_a_whole_number_or_refused_by_what_it_is() {
    let stored = |value| StoredVersion::read(&item([("version", value)]), SCHEMA);
    assert_eq!(stored(number("0")).unwrap(), StoredVersion::Number(0));
    assert_eq!(stored(number("18446744073709551615")).unwrap(), StoredVersion::Number(u64::MAX));
    assert_eq!(stored(AttributeValue::Null(true)).unwrap(), StoredVersion::Null);
    assert_eq!(StoredVersion::read(&Item::new(), SCHEMA).unwrap(), StoredVersion::Absent);
    let long = "9".repeat(39);
    for digits in ["-1", "1.5", "18446744073709551616", &long, "1e3", ""] {
        let (attribute, problem) = problem(stored(number(digits)));
        assert!(
            attribute == "version" && problem.contains("a number that is not a version"),
            "{digits}: {problem}"
        );
        assert!(digits.is_empty() || !problem.starts_with(digits), "{problem}");
    }
    for (value, found) in [
        (text("1"), "a string"),
        (AttributeValue::Bool(true), "a boolean"),
        (AttributeValue::L(vec![]), "a list"),
        (AttributeValue::M(HashMap::new()), "a map"),
        (AttributeValue::B(Blob::new([1])), "bytes"),
        (AttributeValue::Ss(vec!["1".into()]), "a set of strings"),
        (AttributeValue::Ns(vec!["1".into()]), "a set of numbers"),
        (AttributeValue::Bs(vec![Blob::new([1])]), "a set of bytes"),
    ] {
        let (attribute, problem) = problem(stored(value));
        assert!(attribute == "version" && problem.contains(found), "{problem}");
    }
}

/// A version that DynamoDB can store, but that the field's type cannot hold.
#[test]
fn a_version_beyond_the_fields_type_is_named() {
    let beyond = item([("id", text("i")), ("version", number("4294967296"))]);
    assert_eq!(problem(from_item::<Strict>(beyond, SCHEMA)).0, "version");
}

#[test]
fn exactly_the_32_names_are_stamps() {
    for slot in 0..32 {
        assert!(is_stamp_slot(&format!("_stamp{slot}")));
    }
    for name in [
        "_stamp32", "_stamp01", "_stamp00", "_stamp", "_stamp-1", "_stamp+1", "_stamp 1", "_stamp1x",
        "stamp1", "_Stamp1",
    ] {
        assert!(!is_stamp_slot(name), "{name}");
    }
}

#[test]
fn stamps_are_omitted_and_similar_names_are_not() {
    let stamp = AttributeValue::B(aws_sdk_dynamodb::primitives::Blob::new([0; 16]));
    let mut stored = item([("id", text("i")), ("version", number("1"))]);
    stored.extend((0..32).map(|slot| (format!("_stamp{slot}"), stamp.clone())));
    assert_eq!(from_item::<Strict>(stored.clone(), SCHEMA).unwrap(), Strict { id: "i".into(), version: 1 });
    assert_eq!(from_item::<Flat>(stored.clone(), SCHEMA).unwrap().rest, BTreeMap::new());

    stored.extend(item([("_stamp32", text("x")), ("_stamp01", text("y"))]));
    let rest = from_item::<Flat>(stored.clone(), SCHEMA).unwrap().rest;
    assert_eq!(rest.keys().collect::<Vec<_>>(), ["_stamp01", "_stamp32"]);
    assert!(problem(from_item::<Strict>(stored, SCHEMA)).0.starts_with("_stamp"));
}

#[test]
fn a_field_with_the_name_of_a_stamp_is_refused() {
    let taken = BTreeMap::from([("id", "i"), ("_stamp7", "x")]);
    assert_eq!(problem(to_attributes(&taken)).0, "_stamp7");
    assert!(to_attributes(&BTreeMap::from([("_stamp07", "x")])).is_ok());
}

#[test]
fn an_attribute_that_does_not_fit_is_named() {
    let cases = [
        ("a", text("secret"), "a string"),
        ("b", number("77"), "a number"),
        ("c", AttributeValue::M(HashMap::new()), "a map"),
        ("id", AttributeValue::Null(true), "NULL"),
    ];
    for (name, value, found) in cases {
        let mut item = item_of(&example());
        item.insert(name.into(), value);
        let (attribute, problem) = problem(from_item::<Example>(item, SCHEMA));
        assert_eq!(attribute, name);
        assert!(
            problem.contains(found) && !problem.contains("secret") && !problem.contains("77"),
            "{problem}"
        );
    }
}

#[test]
fn a_missing_attribute_is_named() {
    let mut item = item_of(&example());
    item.remove("c");
    let (attribute, problem) = problem(from_item::<Example>(item, SCHEMA));
    assert!(attribute == "c" && problem.contains("missing"), "{attribute}: {problem}");
}

#[test]
fn an_unknown_attribute_is_named_where_it_is_denied() {
    let item = item([("id", text("i")), ("version", number("1")), ("more", text("secret"))]);
    let (attribute, problem) = problem(from_item::<Strict>(item, SCHEMA));
    assert!(attribute == "more" && !problem.contains("secret"), "{attribute}: {problem}");
}

#[test]
fn a_flattened_entry_with_the_name_of_a_field_is_refused() {
    for name in ["id", "version"] {
        let rest = BTreeMap::from([(name.to_owned(), "twice".to_owned())]);
        assert_eq!(problem(to_attributes(&Flat { id: "i".into(), version: 1, rest })).0, name);
    }
}

#[test]
fn a_value_of_no_dynamodb_type_is_named() {
    let big = BTreeMap::from([("id", 1_u128), ("big", u128::MAX)]);
    assert!(problem(to_attributes(&big)).1.contains("DynamoDB has no type"));
    assert_eq!(problem(to_attributes(&Big { id: "i".into(), big: 1 })).0, "big");
    assert!(value(&1_u128).is_none());
}

#[test]
fn a_value_that_is_no_struct_is_refused() {
    assert!(to_attributes(&"text").is_err());
    assert!(to_attributes(&[1, 2]).is_err());
    assert!(to_attributes(&()).is_err());
    assert!(to_attributes(&BTreeMap::from([(1, 2)])).is_err(), "names are strings");
    for variant in [Variants::Newtype(1), Variants::Unit] {
        assert!(problem(to_attributes(&variant)).1.contains("no attributes"));
    }
    assert_eq!(to_attributes(&Some(example())).unwrap(), to_attributes(&example()).unwrap());
}

#[test]
fn a_struct_that_is_wrapped_is_that_struct() {
    let wrapped = Wrapped(example());
    assert_eq!(to_attributes(&wrapped).unwrap(), to_attributes(&example()).unwrap());
    assert_eq!(from_item::<Wrapped<Example>>(item_of(&wrapped), SCHEMA).unwrap(), wrapped);
}

#[test]
fn an_attribute_under_both_its_names_is_named() {
    let both = item([("id", text("i")), ("old", text("j"))]);
    let (attribute, problem) = problem(from_item::<Renamed>(both, SCHEMA));
    assert!(attribute == "id" && problem.contains("twice"), "{problem}");
}

/// The message of a type's own code may quote a value, so it is not shown.
#[test]
fn the_message_of_a_failing_type_is_not_shown() {
    let written = problem(to_attributes(&Failing));
    let read = problem(from_item::<Refusing>(item([("id", text("i"))]), SCHEMA));
    for (attribute, problem) in [written, read] {
        assert!(attribute.is_empty() && !problem.is_empty() && !problem.contains("hunter2"), "{problem}");
    }
}

#[test]
fn an_item_that_is_surely_too_large_is_refused() {
    let sized = |bytes: usize| {
        let value = text(&"x".repeat(bytes));
        check_size([("name", &value)].into_iter())
    };
    assert!(sized(409_596).is_ok());
    let sets = [
        AttributeValue::Ns(vec!["1".into(); 3]),
        AttributeValue::Bs(vec![Blob::new([1]), Blob::new([2, 3])]),
    ];
    assert_eq!(sets.each_ref().map(|set| least_bytes([("n", set)].into_iter())), [4, 4]);
    let error = sized(409_597).unwrap_err().in_table("").to_string();
    assert!(error.contains("409601") && error.contains("400 KB"), "{error}");
}
