//! Whatever a table holds, `parse` answers with an object or an error that shows nothing of it, and an object that is written
//! and read again is the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use arbitrary::{Result, Unstructured};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Config};
use aws_sdk_dynamodb::types::AttributeValue;
use dynalock::{ConditionalWrite, Error, Table, Versioned};
use serde::{Deserialize, Serialize};

use crate::draw::{self, Item};
use crate::shows_no_data;

const TABLE: &str = "orders";

/// Everything that serde makes of types, so far as DynamoDB can hold it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
struct Order {
    #[dynalock(partition_key)]
    id: String,
    #[dynalock(sort_key)]
    line: i64,
    #[dynalock(version, step = 3)]
    version: u32,
    text: String,
    flag: Option<bool>,
    #[serde(default)]
    ratio: f64,
    #[serde(default)]
    status: Status,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    list: Vec<Part>,
    #[serde(default)]
    nested: BTreeMap<String, BTreeMap<String, i64>>,
    #[serde(default, with = "serde_bytes")]
    blob: Vec<u8>,
    #[serde(default, with = "serde_dynamo::string_set", skip_serializing_if = "BTreeSet::is_empty")]
    tags: BTreeSet<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
enum Status {
    #[default]
    New,
    Paid(u8),
    Sent {
        by: Option<String>,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    #[serde(rename = "S3CRETname", default)]
    name: String,
    #[serde(rename = "S3CRETcount", default)]
    count: u16,
}

/// The same with a catch-all, which serde reads by another way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
#[dynalock(stamps = 0)]
struct Open {
    #[dynalock(partition_key)]
    id: String,
    #[dynalock(version, start = "clock")]
    version: i64,
    #[serde(flatten)]
    rest: BTreeMap<String, Anything>,
}

/// What the catch-all takes; a number may lose digits once, when it is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Anything {
    Text(String),
    Number(f64),
    Flag(bool),
    List(Vec<Anything>),
    Map(BTreeMap<String, Anything>),
    Nothing,
}

/// Denies what it doesn't know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
#[serde(deny_unknown_fields)]
struct Closed {
    #[dynalock(partition_key)]
    id: u64,
    #[dynalock(version)]
    version: u8,
    #[serde(alias = "txt")]
    text: Option<String>,
}

const NAMES: [&str; 17] = [
    "id", "line", "version", "text", "txt", "flag", "ratio", "status", "list", "nested", "blob", "tags",
    "_stamp0", "_stamp31", "_stamp32", "", "other",
];

/// An attribute's value, more often than not of the type that its field has.
fn value(bytes: &mut Unstructured<'_>, name: &str) -> Result<AttributeValue> {
    if bytes.ratio(1, 4)? {
        return draw::value(bytes);
    }
    Ok(match name {
        "id" if bytes.arbitrary()? => AttributeValue::N(bytes.arbitrary::<u16>()?.to_string()),
        "id" | "text" | "txt" => AttributeValue::S(draw::text(bytes)?),
        "line" => AttributeValue::N(bytes.arbitrary::<i64>()?.to_string()),
        "version" => AttributeValue::N(bytes.arbitrary::<u16>()?.to_string()),
        "flag" => AttributeValue::Bool(bytes.arbitrary()?),
        "ratio" => AttributeValue::N(draw::number(bytes)?),
        "status" if bytes.arbitrary()? => AttributeValue::S("New".into()),
        "status" if bytes.arbitrary()? => AttributeValue::M([("Paid".into(), draw::value(bytes)?)].into()),
        "status" => {
            let sent = AttributeValue::M([("by".into(), draw::value(bytes)?)].into());
            AttributeValue::M([("Sent".into(), sent)].into())
        }
        "list" => {
            let part =
                [("S3CRETname".into(), draw::value(bytes)?), ("S3CRETcount".into(), draw::value(bytes)?)];
            AttributeValue::L(vec![AttributeValue::M(part.into())])
        }
        _ => draw::value(bytes)?,
    })
}

fn item(bytes: &mut Unstructured<'_>) -> Result<Item> {
    let mut item = Item::new();
    for name in ["id", "line", "version", "text"] {
        if !bytes.ratio(1, 8)? {
            item.insert(name.into(), value(bytes, name)?);
        }
    }
    for _ in 0..bytes.int_in_range(0..=6)? {
        let name = *bytes.choose(&NAMES)?;
        item.insert(name.into(), value(bytes, name)?);
    }
    Ok(item)
}

/// Never sends anything.
fn client() -> Client {
    Client::from_conf(Config::builder().behavior_version(BehaviorVersion::latest()).build())
}

/// What is stored in place of `item` once `write` went through.
fn written(client: &Client, write: &ConditionalWrite, mut item: Item) -> Item {
    let Some(expression) = write.update_expression() else {
        let put = write.put_item(client, TABLE).expect("a write without an update expression is a PutItem");
        return put.get_item().clone().expect("an item");
    };
    let (set, remove) = expression.split_once(" REMOVE ").unwrap_or((expression, ""));
    for pair in set.trim_start_matches("SET ").split(',') {
        let (name, value) = pair.split_once('=').expect("SET takes pairs");
        item.insert(write.names()[name].clone(), write.values()[value].clone());
    }
    for name in remove.split(',').filter(|name| !name.is_empty()) {
        item.remove(&write.names()[name]);
    }
    item
}

/// What a write of an object may be refused with before it is sent: a flattened map took in what can't be told apart from the
/// struct's own attributes, a float is infinite, or the version is at its end.
fn may_refuse(error: &Error) {
    shows_no_data(error);
    assert!(matches!(error, Error::InvalidItem { .. } | Error::VersionOverflow { .. }), "{error:?}");
}

/// Parses the item as a `T`, writes that and parses it again; `raise` sets the version field.
fn parse<T>(client: &Client, item: &Item, raise: fn(&mut T, u64))
where
    T: Versioned + Debug + Clone + PartialEq,
{
    let table = Table::<T>::new(client, TABLE);
    let object = match table.parse(item.clone()) {
        Ok(object) => object,
        Err(error) => {
            shows_no_data(&error);
            let Error::InvalidItem { table, attribute, problem } = &error else { panic!("{error:?}") };
            assert_eq!(&**table, TABLE);
            assert!(!problem.is_empty());
            let said = error.to_string();
            assert!(said.contains(TABLE) && said.contains(&**attribute), "{said}");
            return;
        }
    };
    // Not a number, which DynamoDB never stores, equals nothing.
    if object != object.clone() {
        return;
    }
    for write in [object.save_write(), object.replace_write(), object.create_write()] {
        let write = match write {
            Ok(write) => write,
            Err(error) => {
                may_refuse(&error);
                continue;
            }
        };
        let next = write.next_version().expect("these writes make a version");
        let stored = written(client, &write, item.clone());
        let again = match table.parse(stored.clone()) {
            Ok(again) => again,
            // A float beyond the range of its type, and other values that only one direction takes, are refused above.
            Err(error) => panic!("what was written is not read: {error}: {stored:?}"),
        };
        let mut expected = object.clone();
        raise(&mut expected, next);
        assert_eq!(again, expected, "{item:?} became {stored:?}");
    }
}

fn fit<V: TryFrom<u64, Error: Debug>>(version: u64) -> V {
    version.try_into().expect("a write makes no version that its field does not hold")
}

fn run(bytes: &mut Unstructured<'_>) -> Result<()> {
    let client = client();
    let kind = bytes.int_in_range(0..=2)?;
    let item = item(bytes)?;
    match kind {
        0 => parse(&client, &item, |order: &mut Order, version| order.version = fit(version)),
        1 => parse(&client, &item, |open: &mut Open, version| open.version = fit(version)),
        _ => parse(&client, &item, |closed: &mut Closed, version| closed.version = fit(version)),
    }
    Ok(())
}

/// Panics if `bytes` make an item that breaks a promise.
pub fn check(bytes: &[u8]) {
    // Bytes that end too early make no item.
    let _ = run(&mut Unstructured::new(bytes));
}
