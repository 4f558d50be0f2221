//! For any struct and any edit: what is stored is what serde says, and what is sent is no more than what changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};

use aws_sdk_dynamodb::types::AttributeValue;
use dynalock::{Table, Versioned};
use proptest::{
    collection::{btree_map, btree_set, vec},
    option,
    prelude::*,
    test_runner::TestRunner,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::runtime;

use crate::fixtures::{Item, Stage};

/// Everything that serde makes of types, so far as DynamoDB can hold it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
#[dynalock(stamps = 0)]
struct Thing {
    #[dynalock(partition_key)]
    id: String,
    text: String,
    count: i64,
    ratio: f64,
    flag: bool,
    nothing: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", rename = "a note")]
    note: Option<String>,
    #[serde(with = "serde_bytes")]
    blob: Vec<u8>,
    list: Vec<Kind>,
    nested: BTreeMap<String, BTreeMap<String, i64>>,
    #[serde(with = "serde_dynamo::string_set", default, skip_serializing_if = "BTreeSet::is_empty")]
    tags: BTreeSet<String>,
    #[dynalock(version)]
    version: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Kind {
    Unit,
    Newtype(u8),
    Struct { a: Option<bool> },
}

/// The same with a catch-all, which serde serializes as a map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
#[dynalock(stamps = 0)]
struct Open {
    #[dynalock(partition_key)]
    id: String,
    count: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(with = "serde_dynamo::string_set", default, skip_serializing_if = "BTreeSet::is_empty")]
    tags: BTreeSet<String>,
    #[dynalock(version)]
    version: u64,
    #[serde(flatten)]
    rest: BTreeMap<String, Vec<String>>,
}

fn word() -> impl Strategy<Value = String> {
    "[a-zé#:_ ]{0,6}"
}

fn name() -> impl Strategy<Value = String> {
    "[a-z.#:_]{1,6}"
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Unit),
        any::<u8>().prop_map(Kind::Newtype),
        any::<Option<bool>>().prop_map(|a| Kind::Struct { a }),
    ]
}

fn thing() -> impl Strategy<Value = Thing> {
    let scalars =
        (word(), any::<i64>(), any::<i32>(), any::<bool>(), any::<Option<u32>>(), option::of(word()));
    let others = (
        vec(any::<u8>(), 0..4),
        vec(kind(), 0..3),
        btree_map(name(), btree_map(name(), any::<i64>(), 0..3), 0..3),
        btree_set("[a-z]{1,3}", 0..4),
    );
    (scalars, others).prop_map(|(scalars, others)| {
        let (text, count, eighths, flag, nothing, note) = scalars;
        let (blob, list, nested, tags) = others;
        let ratio = f64::from(eighths) / 8.0;
        let (id, version) = ("a".to_owned(), 0);
        Thing { id, text, count, ratio, flag, nothing, note, blob, list, nested, tags, version }
    })
}

/// Another thing that shares some fields with the first.
fn edited_thing() -> impl Strategy<Value = (Thing, Thing)> {
    (thing(), thing(), any::<[bool; 10]>()).prop_map(|(before, mut after, keep)| {
        macro_rules! keep {
            ($($field:ident: $number:literal),*) => {$(
                if keep[$number] { after.$field = before.$field.clone(); }
            )*};
        }
        keep!(text: 0, count: 1, ratio: 2, flag: 3, nothing: 4, note: 5, blob: 6, list: 7, nested: 8, tags: 9);
        (before, after)
    })
}

fn open() -> impl Strategy<Value = Open> {
    let rest = btree_map(name().prop_map(|name| format!("x{name}")), vec(word(), 0..2), 0..5);
    let tags = btree_set("[a-z]{1,3}", 0..3);
    (any::<i64>(), option::of(word()), tags, rest).prop_map(|(count, note, tags, rest)| Open {
        id: "a".into(),
        count,
        note,
        tags,
        version: 0,
        rest,
    })
}

fn edited_open() -> impl Strategy<Value = (Open, Open)> {
    (open(), open(), any::<[bool; 3]>(), any::<u8>()).prop_map(|(before, mut after, keep, entries)| {
        if keep[0] {
            after.count = before.count;
        }
        if keep[1] {
            after.note.clone_from(&before.note);
        }
        if keep[2] {
            after.tags.clone_from(&before.tags);
        }
        let kept = before.rest.iter().enumerate().filter(|(number, _)| entries >> number & 1 == 1);
        after.rest.extend(kept.map(|(_, (name, value))| (name.clone(), value.clone())));
        (before, after)
    })
}

/// What serde says, with numbers and sets in one form.
fn item(object: &impl Serialize) -> Item {
    canonical_item(serde_dynamo::to_item(object).unwrap())
}

fn canonical_item(item: Item) -> Item {
    item.into_iter().map(|(name, value)| (name, canonical(value))).collect()
}

/// The stores write the same number in different ways, and keep no order in sets.
fn canonical(value: AttributeValue) -> AttributeValue {
    use AttributeValue::{L, M, N, Ss};
    match value {
        N(digits) if digits.contains('.') => N(digits.trim_end_matches('0').trim_end_matches('.').to_owned()),
        Ss(mut set) => {
            set.sort_unstable();
            Ss(set)
        }
        L(values) => L(values.into_iter().map(canonical).collect()),
        M(entries) => M(canonical_item(entries)),
        other => other,
    }
}

/// The names that an update expression sets and removes, without the version.
fn changes(request: &dynalock_tests::recording::Sent) -> (BTreeSet<String>, BTreeSet<String>) {
    let names = &request.body["ExpressionAttributeNames"];
    let expression = request.body["UpdateExpression"].as_str().unwrap().strip_prefix("SET ").unwrap();
    let (set, remove) = expression.split_once(" REMOVE ").unwrap_or((expression, ""));
    let resolve = |part: &str| {
        let placeholders = part.split(',').filter(|part| !part.is_empty());
        let name = |part: &str| {
            let placeholder = part.split_once('=').map_or(part, |(left, _)| left);
            names[placeholder].as_str().unwrap().to_owned()
        };
        placeholders.map(name).filter(|name| name != "version").collect()
    };
    (resolve(set), resolve(remove))
}

/// Runs `holds` for many values on one table.
fn for_all<T: Versioned, V: Debug>(
    values: impl Strategy<Value = V>,
    holds: &impl AsyncFn(&Stage, &Table<T>, V),
) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (stage, table) = runtime.block_on(Stage::of::<T>());
    let config = ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() };
    let run = TestRunner::new(config).run(&values, |value| {
        runtime.block_on(async {
            stage.remove(json!({ "id": "a" })).await;
            holds(&stage, &table, value).await;
        });
        Ok(())
    });
    if let Err(failure) = run {
        panic!("{failure}");
    }
}

async fn stored(stage: &Stage) -> Item {
    canonical_item(stage.stored(json!({ "id": "a" })).await.expect("an item"))
}

trait Record: Versioned<Key = String> + Clone + PartialEq + Debug {
    fn version(&mut self) -> &mut u64;
}

impl Record for Thing {
    fn version(&mut self) -> &mut u64 {
        &mut self.version
    }
}

impl Record for Open {
    fn version(&mut self) -> &mut u64 {
        &mut self.version
    }
}

/// A create, a get, a replace and a save, with one and the other object in turn.
async fn save_stores_what_serde_says<T: Record>(
    stage: &Stage,
    table: &Table<T>,
    mut before: T,
    mut after: T,
) {
    table.create(&mut before).await.unwrap();
    assert_eq!(stored(stage).await, item(&before));
    assert_eq!(table.get("a").await.unwrap().as_ref(), Some(&before));
    *after.version() = 1;
    table.replace(&mut after).await.unwrap();
    assert_eq!(stored(stage).await, item(&after));
    *before.version() = 2;
    table.save(&mut before).await.unwrap();
    let mut expected = item(&before);
    for (name, value) in item(&after) {
        // Entries of the catch-all, which a save can't know to be gone.
        if name.starts_with('x') {
            expected.entry(name).or_insert(value);
        }
    }
    assert_eq!(stored(stage).await, expected);
}

/// An update from one object to the other, and what it sends for that.
async fn update_writes_what_changed<T: Record>(stage: &Stage, table: &Table<T>, mut before: T, mut after: T) {
    table.create(&mut before).await.unwrap();
    let _ = stage.requests();
    let change = |object: &mut T| after.clone_into(object);
    let returned = table.update("a", change).await.unwrap();

    let (old, new) = (item(&before), item(&after));
    let differs = |name: &&String| *name != "version" && old.get(*name) != new.get(*name);
    let set: BTreeSet<_> = new.keys().filter(differs).cloned().collect();
    let removed: BTreeSet<_> = old.keys().filter(|name| !new.contains_key(*name)).cloned().collect();
    let requests = stage.requests();
    if set.is_empty() && removed.is_empty() {
        assert_eq!(requests.len(), 1, "a read and nothing more");
        *after.version() = 1;
    } else {
        assert_eq!(requests.len(), 2);
        assert_eq!(changes(&requests[1]), (set, removed));
        *after.version() = 2;
    }
    assert_eq!(returned, after);
    assert_eq!(stored(stage).await, item(&after));
}

#[test]
fn writes_of_any_struct_store_what_serde_says() {
    for_all(edited_thing(), &async |stage, table, (before, after): (Thing, Thing)| {
        save_stores_what_serde_says(stage, table, before, after).await;
    });
}

#[test]
fn writes_of_any_struct_with_a_catch_all_store_what_serde_says() {
    for_all(edited_open(), &async |stage, table, (before, after): (Open, Open)| {
        save_stores_what_serde_says(stage, table, before, after).await;
    });
}

#[test]
fn an_update_of_any_struct_writes_just_what_changed() {
    for_all(edited_thing(), &async |stage, table, (before, after): (Thing, Thing)| {
        update_writes_what_changed(stage, table, before, after).await;
    });
}

#[test]
fn an_update_of_any_struct_with_a_catch_all_writes_just_what_changed() {
    for_all(edited_open(), &async |stage, table, (before, after): (Open, Open)| {
        update_writes_what_changed(stage, table, before, after).await;
    });
}

/// Other attributes than the struct's survive any save and any update.
#[test]
fn unknown_attributes_survive_any_edit() {
    let both = (edited_thing(), vec(word(), 1..4));
    for_all(both, &async |stage, table: &Table<Thing>, ((mut before, mut after), words)| {
        table.create(&mut before).await.unwrap();
        let mut raw = stage.stored(json!({ "id": "a" })).await.unwrap();
        let unknown = AttributeValue::L(words.iter().map(|word| AttributeValue::S(word.clone())).collect());
        raw.insert("unknown".into(), unknown.clone());
        stage.put(raw).await;
        after.version = 1;
        table.save(&mut after).await.unwrap();
        table.update("a", |object| before.clone_into(object)).await.unwrap();
        let mut stored = stored(stage).await;
        assert_eq!(stored.remove("unknown"), Some(canonical(unknown)));
        stored.remove("version");
        before.version = 0;
        let mut expected = item(&before);
        expected.remove("version");
        assert_eq!(stored, expected);
    });
}
