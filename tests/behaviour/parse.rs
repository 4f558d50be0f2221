//! `parse`: items that a Query or a Scan of the SDK returned.

use dynalock::{Error, Versioned};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::fixtures::{Account, Attributes, Stage, alice, number, text};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
struct Line {
    #[dynalock(partition_key)]
    cart: String,
    #[dynalock(sort_key)]
    number: u32,
    quantity: u32,
    #[dynalock(version)]
    version: u64,
}

#[tokio::test]
async fn the_items_of_a_query_can_be_saved() {
    let (stage, lines) = Stage::of::<Line>().await;
    for number in 1..=3 {
        lines.create(&mut Line { cart: "c".into(), number, quantity: 1, version: 0 }).await.unwrap();
    }
    let query = stage.rival.query().table_name(&stage.name).key_condition_expression("cart = :c");
    let found = query.expression_attribute_values(":c", text("c")).send().await.unwrap();
    let parsed: dynalock::Result<Vec<Line>> =
        found.items.unwrap().into_iter().map(|item| lines.parse(item)).collect();
    let mut parsed = parsed.unwrap();
    assert_eq!(
        parsed.iter().map(|line| (line.number, line.version)).collect::<Vec<_>>(),
        [(1, 1), (2, 1), (3, 1)]
    );
    for line in &mut parsed {
        line.quantity = 9;
        lines.save(line).await.unwrap();
    }
    assert_eq!(
        lines.get(("c", 2)).await.unwrap(),
        Some(Line { cart: "c".into(), number: 2, quantity: 9, version: 2 })
    );
}

#[tokio::test]
async fn the_items_of_a_scan_are_parsed_or_named() {
    let (stage, accounts) = Stage::of::<Account>().await;
    stage.put(json!({ "id": "alice", "balance": 100, "version": null, "unknown": [1, 2] })).await;
    let scan = || stage.rival.scan().table_name(&stage.name).send();
    let mut items = scan().await.unwrap().items.unwrap();
    assert_eq!(accounts.parse(items.remove(0)).unwrap(), alice(0));

    stage.put(json!({ "id": "alice", "version": 2 })).await;
    let mut items = scan().await.unwrap().items.unwrap();
    let error = accounts.parse(items.remove(0)).unwrap_err();
    let Error::InvalidItem { table, attribute, .. } = &error else { panic!("{error:?}") };
    assert_eq!((&**table, &**attribute), (accounts.name(), "balance"));
    assert_eq!(stage.operations(), [""; 0], "parsing sends nothing");
}

#[test]
fn an_attribute_that_does_not_fit_is_named_with_what_was_found() {
    let stage = Stage::on(&dynalock_tests::engines::Store::memory());
    let accounts = stage.table::<Account>();
    for (attribute, value, found) in [
        ("balance", text("much"), "a string"),
        ("balance", number("1.5"), "a number"),
        ("balance", number("9223372036854775808"), "a number"),
        ("note", number(1), "a number"),
        ("id", number(1), "a number"),
    ] {
        let Attributes(mut item) = json!({ "id": "alice", "balance": 1, "version": 1 }).into();
        item.insert(attribute.into(), value);
        let error = accounts.parse(item).unwrap_err();
        let Error::InvalidItem { table, attribute: named, problem } = &error else { panic!("{error:?}") };
        assert_eq!((&**table, &**named), (accounts.name(), attribute));
        assert!(problem.contains(found), "{problem}");
    }
}
