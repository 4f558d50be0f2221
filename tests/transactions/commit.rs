//! What a transaction sends, and what it does once it goes through.

use aws_sdk_dynamodb::types::TransactWriteItem;
use dynalock::{Condition, Transaction, Versioned};
use serde_json::{Value, json};

use crate::shop::{Line, Order, Shop, line, order};

/// A request without what differs from write to write: the token, and the bytes of stamps.
fn alike(mut body: Value) -> Value {
    if let Some(stamps) = body.get("B") {
        assert_eq!(stamps.as_str().unwrap().len(), 24, "16 bytes in base64");
        return json!("a stamp");
    }
    match &mut body {
        Value::Object(members) => {
            members.remove("ClientRequestToken");
            members.values_mut().for_each(|value| *value = alike(value.take()));
        }
        Value::Array(members) => members.iter_mut().for_each(|value| *value = alike(value.take())),
        _ => {}
    }
    body
}

/// Six objects, one for each kind of action: to create, save, replace, touch, delete and check.
struct Six<T>([T; 6]);

impl<T: Versioned> Six<T> {
    /// The same as the helpers of the struct render it.
    fn by_hand(&self, table: &str) -> [TransactWriteItem; 6] {
        let [create, save, replace, touch, delete, check] = &self.0;
        [
            create.create_write(),
            save.save_write(),
            replace.replace_write(),
            touch.touch_write(),
            delete.delete_write(),
            check.check_write(),
        ]
        .map(|write| write.unwrap().transact_write_item(table))
    }

    fn on<'a>(&'a mut self, table: &dynalock::Table<T>, transaction: Transaction<'a>) -> Transaction<'a> {
        let [create, save, replace, touch, delete, check] = &mut self.0;
        let transaction = transaction.create(table, create).save(table, save).replace(table, replace);
        transaction.touch(table, touch).delete(table, delete).check(table, check)
    }
}

fn six_orders() -> Six<Order> {
    let [create, save, replace, touch, delete, check] = ["1", "2", "3", "4", "5", "6"].map(|id| order(id, 7));
    let note = Some("n".into());
    Six([create, Order { note, ..save }, replace, Order { total: 1, ..touch }, delete, check])
}

fn six_lines() -> Six<Line> {
    Six([1, 2, 3, 4, 5, 6].map(|number| Line { pieces: 4, ..line(number, 20) }))
}

/// Stores what [`six_orders`] and [`six_lines`] are versions of, each with an attribute that its struct does not know.
async fn stored_before(shop: &Shop) {
    let orders = (2..=6)
        .map(|id| json!({ "id": id.to_string(), "total": 100, "note": "old", "extra": [1], "version": 7 }));
    shop.put(shop.orders.name(), orders).await;
    let lines =
        (2..=6).map(|id| json!({ "order": "o", "number": id, "pieces": 3, "extra": true, "rev": 20 }));
    shop.put(shop.lines.name(), lines).await;
}

#[tokio::test]
async fn every_action_is_sent_as_the_write_of_its_name() {
    let shop = Shop::new().await;
    let (mut orders, mut lines) = (six_orders(), six_lines());
    let by_hand = orders.by_hand(shop.orders.name()).into_iter().chain(lines.by_hand(shop.lines.name()));
    let by_hand = shop.client.transact_write_items().set_transact_items(Some(by_hand.collect()));
    by_hand.send().await.expect_err("nothing is stored yet");
    let by_hand = alike(shop.requests().remove(0).body);
    assert_eq!(by_hand["TransactItems"].as_array().unwrap().len(), 12);

    stored_before(&shop).await;
    let transaction = orders.on(&shop.orders, shop.transaction());
    lines.on(&shop.lines, transaction).commit().await.unwrap();
    let sent = shop.requests();
    assert_eq!((sent.len(), sent[0].operation.as_str()), (1, "TransactWriteItems"));
    assert_eq!(alike(sent[0].body.clone()), by_hand);
}

#[tokio::test]
async fn every_action_does_what_the_call_of_its_name_does_and_raises_its_object() {
    let shop = Shop::new().await;
    stored_before(&shop).await;
    let (mut orders, mut lines) = (six_orders(), six_lines());
    let transaction = lines.on(&shop.lines, shop.transaction());
    orders.on(&shop.orders, transaction).commit().await.unwrap();

    assert_eq!(orders.0.map(|order| order.version), [1, 8, 8, 8, 7, 7]);
    assert_eq!(lines.0.map(|line| line.version), [10, 25, 25, 25, 20, 20]);
    let [orders, lines] = shop.all().await;
    let expected = [
        json!({ "id": "1", "total": 100, "version": 1, "_stamp1": "a stamp" }),
        json!({ "id": "2", "total": 100, "note": "n", "extra": [1], "version": 8, "_stamp0": "a stamp" }),
        json!({ "id": "3", "total": 100, "version": 8, "_stamp0": "a stamp" }),
        json!({ "id": "4", "total": 100, "note": "old", "extra": [1], "version": 8, "_stamp0": "a stamp" }),
        json!({ "id": "6", "total": 100, "note": "old", "extra": [1], "version": 7 }),
    ];
    assert_eq!(orders, expected);
    let expected = [
        json!({ "order": "o", "number": 1, "pieces": 4, "rev": 10 }),
        json!({ "order": "o", "number": 2, "pieces": 4, "extra": true, "rev": 25 }),
        json!({ "order": "o", "number": 3, "pieces": 4, "rev": 25 }),
        json!({ "order": "o", "number": 4, "pieces": 3, "extra": true, "rev": 25 }),
        json!({ "order": "o", "number": 6, "pieces": 3, "extra": true, "rev": 20 }),
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn every_commit_has_a_token_of_its_own() {
    let shop = Shop::new().await;
    let mut held = order("a", 0);
    shop.transaction().create(&shop.orders, &mut held).commit().await.unwrap();
    shop.transaction().check(&shop.orders, &held).commit().await.unwrap();
    shop.transaction().check(&shop.orders, &held).commit().await.unwrap();
    let tokens: Vec<_> = shop.requests().iter().map(|sent| sent.body["ClientRequestToken"].clone()).collect();
    assert_eq!(tokens.len(), 3);
    assert!(tokens.iter().all(|token| (1..=36).contains(&token.as_str().unwrap().len())), "{tokens:?}");
    assert!(tokens[0] != tokens[1] && tokens[1] != tokens[2] && tokens[0] != tokens[2], "{tokens:?}");
}

/// The forms of an item from before there was a version.
#[tokio::test]
async fn items_without_a_version_are_adopted() {
    for unversioned in [json!({}), json!({ "version": null }), json!({ "version": 0 })] {
        let shop = Shop::new().await;
        let old = |id: &str| {
            let mut item = unversioned.clone();
            item["id"] = json!(id);
            item["total"] = json!(1);
            item
        };
        shop.put(shop.orders.name(), ["1", "2", "3", "4", "5"].map(old)).await;
        let [mut save, mut replace, mut touch, delete, check] =
            ["1", "2", "3", "4", "5"].map(|id| order(id, 0));
        let transaction = shop.transaction().save(&shop.orders, &mut save);
        let transaction = transaction.replace(&shop.orders, &mut replace).touch(&shop.orders, &mut touch);
        let transaction = transaction.delete(&shop.orders, &delete).check(&shop.orders, &check);
        transaction.commit().await.unwrap();
        assert_eq!([save.version, replace.version, touch.version, check.version], [1, 1, 1, 0]);
        let expected = [
            json!({ "id": "1", "total": 100, "version": 1, "_stamp1": "a stamp" }),
            json!({ "id": "2", "total": 100, "version": 1, "_stamp1": "a stamp" }),
            json!({ "id": "3", "total": 1, "version": 1, "_stamp1": "a stamp" }),
            old("5"),
        ];
        assert_eq!(shop.stored(shop.orders.name()).await, expected, "{unversioned}");
    }
}

#[tokio::test]
async fn objects_that_were_committed_can_be_committed_again() {
    let shop = Shop::new().await;
    let (mut held, mut part) = (order("a", 0), line(1, 0));
    shop.transaction().create(&shop.orders, &mut held).create(&shop.lines, &mut part).commit().await.unwrap();
    for version in 2..=6 {
        held.total += 1;
        let transaction = shop.transaction().save(&shop.orders, &mut held);
        transaction.touch(&shop.lines, &mut part).commit().await.unwrap();
        assert_eq!(held.version, version);
    }
    assert_eq!(shop.orders.get("a").await.unwrap(), Some(held));
    assert_eq!(shop.lines.get(("o", 1)).await.unwrap(), Some(part));
}

#[tokio::test]
async fn a_condition_that_holds_lets_its_action_through_and_stands_in_no_other() {
    let shop = Shop::new().await;
    stored_before(&shop).await;
    let Six([mut create, mut save, mut replace, mut touch, delete, check]) = six_orders();
    let is = |total: i64| Condition::new("#t = :t").name("#t", "total").value(":t", total);
    let missing = || Condition::new("attribute_not_exists(#t)").name("#t", "total");
    let table = &shop.orders;
    let transaction = shop.transaction().create(table, &mut create).condition(missing());
    let transaction = transaction.save(table, &mut save).condition(is(100)).replace(table, &mut replace);
    let transaction = transaction.touch(table, &mut touch).condition(is(100)).delete(table, &delete);
    let transaction = transaction.condition(is(100)).check(table, &check).condition(is(100));
    let twice = Condition::new("size(extra) = :one").value(":one", 1);
    transaction.condition(twice).commit().await.unwrap();

    let sent = shop.requests().remove(0).body["TransactItems"].take();
    let condition = |place: usize| {
        let action = sent[place].as_object().unwrap().values().next().unwrap();
        action["ConditionExpression"].as_str().unwrap()
    };
    assert_eq!(condition(0), "attribute_not_exists(#_k) AND (attribute_not_exists(#t))");
    assert_eq!(condition(1), "#_v=:_v AND (#t = :t)");
    assert_eq!(condition(2), "#_v=:_v");
    assert_eq!(condition(5), "#_v=:_v AND (#t = :t) AND (size(extra) = :one)");
}

#[tokio::test]
async fn a_transaction_that_is_not_committed_sends_nothing_and_shows_no_item() {
    let shop = Shop::new().await;
    let mut held = Order { note: Some("S3CRET".into()), ..order("S3CRET", 0) };
    let transaction = shop.transaction().create(&shop.orders, &mut held).check(&shop.lines, &line(1, 1));
    let shown = format!("{transaction:?}");
    assert!(shown.contains(shop.orders.name()) && shown.contains(shop.lines.name()), "{shown}");
    assert!(shown.contains("Create") && shown.contains("Check") && !shown.contains("S3CRET"), "{shown}");
    drop(transaction);
    assert_eq!((shop.operations().len(), held.version), (0, 0));
}
