//! What is refused before anything is sent.

use dynalock::{Condition, Error, Table, Versioned};
use dynalock_tests::engines::table_name;
use serde::{Deserialize, Serialize, Serializer};

use crate::shop::{Line, Order, Shop, line, order};

/// The problem with a call, in whose table it is.
fn problem(error: &Error) -> (&str, &str) {
    let Error::InvalidRequest { table, problem } = error else { panic!("{error:?}") };
    let place = if table.is_empty() { String::new() } else { format!("table \"{table}\": ") };
    assert_eq!(error.to_string(), format!("{place}{problem}"));
    (table, problem)
}

#[tokio::test]
async fn no_action_is_refused() {
    let shop = Shop::new().await;
    let error = shop.refused_unsent(shop.transaction()).await;
    assert_eq!(problem(&error), ("", "a transaction needs at least one action"));
}

#[tokio::test]
async fn a_condition_before_any_action_is_refused() {
    let shop = Shop::new().await;
    let mut held = order("a", 0);
    let transaction = shop.transaction().condition(Condition::new("attribute_exists(id)"));
    let error = shop.refused_unsent(transaction.create(&shop.orders, &mut held)).await;
    assert!(problem(&error).1.contains("before any action"), "{error}");
    assert_eq!(held, order("a", 0));
}

#[tokio::test]
async fn a_hundred_actions_are_committed_and_one_more_is_refused() {
    let shop = Shop::new().await;
    let mut lines: Vec<Line> = (1..=101).map(|number| line(number, 0)).collect();
    let before = lines.clone();
    let all = lines.iter_mut().fold(shop.transaction(), |all, line| all.create(&shop.lines, line));
    let error = shop.refused_unsent(all).await;
    assert_eq!(problem(&error), ("", "the transaction touches 101 items, but may touch 100"));
    assert_eq!(lines, before);

    let all = lines[1..].iter_mut().fold(shop.transaction(), |all, line| all.create(&shop.lines, line));
    all.commit().await.unwrap();
    assert_eq!(shop.operations(), ["TransactWriteItems"]);
    assert_eq!(shop.stored(shop.lines.name()).await.len(), 100);
    assert!(lines[1..].iter().all(|line| line.version == 10));
}

#[tokio::test]
async fn two_actions_for_one_item_are_refused_with_their_places_and_their_table() {
    let shop = Shop::new().await;
    shop.put(shop.lines.name(), [serde_json::json!({ "order": "o", "number": 1, "pieces": 1, "rev": 10 })])
        .await;
    // A clone, and another handle, are the same table.
    let (clone, again) = (shop.lines.clone(), Table::<Line>::new(&shop.rival, shop.lines.name()));
    for table in [&shop.lines, &clone, &again] {
        let (mut first, mut other, mut second) = (line(1, 10), line(2, 0), line(1, 10));
        let transaction = shop.transaction().save(&shop.lines, &mut first);
        let transaction = transaction.create(table, &mut other).touch(table, &mut second);
        let error = shop.refused_unsent(transaction).await;
        let (named, words) = problem(&error);
        assert_eq!(named, shop.lines.name());
        assert!(words.contains("0 and 2") && words.contains("same item"), "{words}");
        assert_eq!((first, other, second), (line(1, 10), line(2, 0), line(1, 10)));
    }
    let held = line(1, 10);
    for transaction in [
        shop.transaction().check(&shop.lines, &held).delete(&shop.lines, &held),
        shop.transaction().delete(&shop.lines, &held).check(&shop.lines, &held),
        shop.transaction().check(&shop.lines, &held).check(&shop.lines, &held),
    ] {
        problem(&shop.refused_unsent(transaction).await);
    }
}

#[tokio::test]
async fn the_same_key_in_another_table_and_half_of_a_key_are_other_items() {
    let shop = Shop::new().await;
    let archive = Table::<Order>::new(&shop.client, table_name());
    archive.create_table().await.unwrap();
    let (mut held, mut copy) = (order("a", 0), order("a", 0));
    let (mut first, mut second) = (line(1, 0), line(2, 0));
    let transaction = shop.transaction().create(&shop.orders, &mut held).create(&archive, &mut copy);
    let transaction = transaction.create(&shop.lines, &mut first).create(&shop.lines, &mut second);
    transaction.commit().await.unwrap();
    assert_eq!((held.version, copy.version, first.version, second.version), (1, 1, 10, 10));
}

fn large(id: &str, kilobytes: usize) -> Order {
    Order { note: Some("x".repeat(kilobytes * 1024)), ..order(id, 0) }
}

#[tokio::test]
async fn over_4_mb_are_refused() {
    let shop = Shop::new().await;
    let ids = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"];
    let mut orders = ids.map(|id| large(id, 380));
    let all = orders.iter_mut().fold(shop.transaction(), |all, order| all.create(&shop.orders, order));
    let error = shop.refused_unsent(all).await;
    assert!(problem(&error).1.contains("4 MB"), "{error}");
    assert!(orders.iter().all(|order| order.version == 0));
    let most = orders[..10].iter_mut();
    most.fold(shop.transaction(), |all, order| all.create(&shop.orders, order)).commit().await.unwrap();
    assert!(orders[..10].iter().all(|order| order.version == 1));
    // Also where they are updates.
    let saved = orders[..10].iter_mut();
    let all = saved.fold(shop.transaction(), |all, order| all.save(&shop.orders, order));
    let mut more = large("11", 380);
    let _ = shop.requests();
    let error = shop.refused_unsent(all.create(&shop.orders, &mut more)).await;
    assert!(problem(&error).1.contains("4 MB"), "{error}");
}

#[tokio::test]
async fn an_item_over_400_kb_is_refused_with_its_table() {
    let shop = Shop::new().await;
    let (mut small, mut big) = (line(1, 0), large("a", 400));
    let transaction = shop.transaction().create(&shop.lines, &mut small).create(&shop.orders, &mut big);
    let error = shop.refused_unsent(transaction).await;
    let (table, words) = problem(&error);
    assert!(table == shop.orders.name() && words.contains("400 KB"), "{error}");
    assert_eq!((small.version, big.version), (0, 0));
}

#[tokio::test]
async fn a_version_at_its_maximum_is_refused_with_its_table() {
    let shop = Shop::new().await;
    for version in [i64::MAX, i64::MAX - 4] {
        let (mut fresh, mut last) = (order("a", 0), line(1, version));
        let transaction = shop.transaction().create(&shop.orders, &mut fresh).touch(&shop.lines, &mut last);
        let error = shop.refused_unsent(transaction).await;
        let Error::VersionOverflow { table, attribute, max } = &error else { panic!("{error:?}") };
        assert_eq!((&**table, *attribute, *max), (shop.lines.name(), "rev", i64::MAX as u64));
        assert_eq!((fresh.version, last.version), (0, version));
    }
    // What writes no version can't go over.
    let last = serde_json::json!({ "order": "o", "number": 1, "pieces": 3, "rev": i64::MAX });
    shop.put(shop.lines.name(), [last]).await;
    shop.transaction().check(&shop.lines, &line(1, i64::MAX)).commit().await.unwrap();
    shop.transaction().delete(&shop.lines, &line(1, i64::MAX)).commit().await.unwrap();
}

/// Not to be written down.
#[derive(Debug, Clone, Deserialize)]
struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no"))
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, Versioned)]
struct Odd {
    #[dynalock(partition_key)]
    id: String,
    content: Unwritable,
    #[dynalock(version)]
    version: u64,
}

#[tokio::test]
async fn an_item_that_does_not_fit_is_refused_with_its_table_and_its_attribute() {
    let shop = Shop::new().await;
    let odd = Table::<Odd>::new(&shop.client, shop.orders.name());
    let (mut fresh, mut object) = (line(1, 0), Odd { id: "a".into(), content: Unwritable, version: 0 });
    let transaction = shop.transaction().create(&shop.lines, &mut fresh).create(&odd, &mut object);
    let error = shop.refused_unsent(transaction).await;
    let Error::InvalidItem { table, attribute, .. } = &error else { panic!("{error:?}") };
    assert_eq!((&**table, &**attribute), (shop.orders.name(), "content"));
    assert_eq!((fresh.version, object.version), (0, 0));

    let mut negative = line(2, -5);
    for transaction in [
        shop.transaction().save(&shop.lines, &mut negative),
        shop.transaction().check(&shop.lines, &line(2, -5)),
        shop.transaction().delete(&shop.lines, &line(2, -5)),
    ] {
        let error = shop.refused_unsent(transaction).await;
        let Error::InvalidItem { table, attribute, .. } = &error else { panic!("{error:?}") };
        assert_eq!((&**table, &**attribute), (shop.lines.name(), "rev"));
    }
}

#[tokio::test]
async fn a_condition_that_cannot_be_sent_is_refused_with_its_table() {
    let shop = Shop::new().await;
    for (condition, words) in [
        (Condition::new("pieces = :p"), ":p stands for nothing"),
        (Condition::new("pieces = :_v").value(":_v", 1), "reserved"),
        (Condition::new("pieces = :p) OR (rev = :p").value(":p", 1), "parenthesis"),
    ] {
        let (mut fresh, held) = (order("a", 0), line(1, 10));
        let transaction = shop.transaction().create(&shop.orders, &mut fresh);
        let transaction = transaction.check(&shop.lines, &held).condition(condition);
        let error = shop.refused_unsent(transaction).await;
        let (table, problem) = problem(&error);
        assert!(table == shop.lines.name() && problem.contains(words), "{error}");
        assert_eq!(fresh.version, 0);
    }
}
