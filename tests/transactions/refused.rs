//! A commit that DynamoDB refuses: nothing is written, and the error tells which items stood in the way.

use dynalock::{Condition, Conflict, Error, Result, Transaction};
use serde_json::json;

use crate::shop::{Line, Order, Shop, line, order};

const FAILED: &str = "ConditionalCheckFailed";

/// The error of a commit that was sent once and wrote nothing.
async fn refused(shop: &Shop, transaction: Transaction<'_>) -> Error {
    let before = shop.all().await;
    let error = transaction.commit().await.expect_err("something stands in its way");
    assert_eq!(shop.requests().iter().filter(|sent| sent.operation == "TransactWriteItems").count(), 1);
    assert_eq!(shop.all().await, before, "written in spite of {error}");
    error
}

fn conflict(error: &Error) -> &Conflict {
    match error {
        Error::Conflict(conflict) | Error::AlreadyExists(conflict) | Error::ConditionFailed(conflict) => {
            conflict
        }
        other => panic!("{other:?}"),
    }
}

/// Orders at version 7 and lines at version 20.
async fn shop() -> Shop {
    let shop = Shop::new().await;
    let orders = ["1", "2", "3", "4"].map(|id| json!({ "id": id, "total": 50, "version": 7 }));
    shop.put(shop.orders.name(), orders).await;
    let lines = [1, 2, 3].map(|number| json!({ "order": "o", "number": number, "pieces": 9, "rev": 20 }));
    shop.put(shop.lines.name(), lines).await;
    shop
}

/// Adds one kind of action for the second object.
type Add = for<'a> fn(Transaction<'a>, &Shop, &'a mut Line) -> Transaction<'a>;

const ADDS: [(&str, Add); 5] = [
    ("save", |transaction, shop, line| transaction.save(&shop.lines, line)),
    ("replace", |transaction, shop, line| transaction.replace(&shop.lines, line)),
    ("touch", |transaction, shop, line| transaction.touch(&shop.lines, line)),
    ("delete", |transaction, shop, line| transaction.delete(&shop.lines, line)),
    ("check", |transaction, shop, line| transaction.check(&shop.lines, line)),
];

#[tokio::test]
async fn an_item_that_another_writer_changed_is_a_conflict_for_every_action() {
    for (name, add) in ADDS {
        for version in [0, 10, 15, 25] {
            let shop = shop().await;
            let (mut ours, mut stale) = (order("1", 7), line(2, version));
            let transaction = add(shop.transaction().save(&shop.orders, &mut ours), &shop, &mut stale);
            let error = refused(&shop, transaction).await;
            assert!(matches!(error, Error::Conflict(_)) && error.is_retryable(), "{name}: {error:?}");
            let found = conflict(&error);
            assert_eq!((found.table(), found.action_index()), (shop.lines.name(), Some(1)), "{name}");
            assert_eq!((found.expected(), found.actual()), (version.unsigned_abs(), Some(20)), "{name}");
            let key = serde_dynamo::to_item(json!({ "order": "o", "number": 2 })).unwrap();
            assert_eq!(*found.key(), key, "{name}");
            assert_eq!(found.current::<Line>().unwrap(), Line { pieces: 9, ..line(2, 20) });
            assert_eq!(found.cancellation_reasons(), ["None", FAILED], "{name}");
            assert!(found.other_refusals().is_empty(), "{name}");
            assert_eq!((ours, stale), (order("1", 7), line(2, version)), "{name}: an object changed");
        }
    }
}

/// Other than where `Table` deletes it: an item that should be deleted with others was to be there.
#[tokio::test]
async fn an_item_that_is_gone_is_a_conflict_without_an_item_for_every_action() {
    for (name, add) in ADDS {
        for version in [0, 20] {
            let shop = shop().await;
            let (mut ours, mut gone) = (order("1", 7), line(99, version));
            let transaction = add(shop.transaction().save(&shop.orders, &mut ours), &shop, &mut gone);
            let error = refused(&shop, transaction).await;
            assert!(matches!(error, Error::Conflict(_)), "{name}: {error:?}");
            let found = conflict(&error);
            assert_eq!((found.action_index(), found.actual(), found.item()), (Some(1), None, None), "{name}");
            assert!(found.current::<Line>().is_err());
            assert_eq!((ours.version, gone), (7, line(99, version)), "{name}");
        }
    }
}

#[tokio::test]
async fn an_item_that_is_to_be_created_and_is_there_already_exists() {
    let shop = shop().await;
    let (mut ours, mut there) = (order("1", 7), line(1, 0));
    let transaction = shop.transaction().create(&shop.lines, &mut there).save(&shop.orders, &mut ours);
    let error = refused(&shop, transaction).await;
    assert!(matches!(error, Error::AlreadyExists(_)), "{error:?}");
    let found = conflict(&error);
    assert_eq!((found.table(), found.action_index(), found.expected()), (shop.lines.name(), Some(0), 0));
    assert_eq!(found.current::<Line>().unwrap(), Line { pieces: 9, ..line(1, 20) });
    assert_eq!(found.cancellation_reasons(), [FAILED, "None"]);
    assert_eq!((ours.version, there.version), (7, 0));
}

/// Over both tables: moved on, unharmed, gone, a condition that does not hold, there already.
#[tokio::test]
async fn the_first_conflict_comes_first_and_the_others_follow() {
    let shop = shop().await;
    let (mut moved, mut fine, gone) = (line(1, 15), order("1", 7), order("none", 7));
    let (mut poor, mut there) = (order("2", 7), line(2, 0));
    let rich = Condition::new("#t > :t").name("#t", "total").value(":t", 1000);
    let transaction = shop.transaction().touch(&shop.lines, &mut moved).save(&shop.orders, &mut fine);
    let transaction = transaction.delete(&shop.orders, &gone).create(&shop.lines, &mut there);
    let error = refused(&shop, transaction.replace(&shop.orders, &mut poor).condition(rich)).await;

    assert!(matches!(error, Error::Conflict(_)), "{error:?}");
    let first = conflict(&error);
    assert_eq!((first.action_index(), first.expected(), first.actual()), (Some(0), 15, Some(20)));
    assert_eq!(first.cancellation_reasons(), [FAILED, "None", FAILED, FAILED, FAILED]);
    let [Error::Conflict(gone), Error::AlreadyExists(there), Error::ConditionFailed(poor)] =
        first.other_refusals()
    else {
        panic!("{:?}", first.other_refusals());
    };
    assert_eq!((gone.action_index(), gone.table(), gone.item()), (Some(2), shop.orders.name(), None));
    assert_eq!((there.action_index(), there.table(), there.actual()), (Some(3), shop.lines.name(), Some(20)));
    assert_eq!((poor.action_index(), poor.table(), poor.actual()), (Some(4), shop.orders.name(), Some(7)));
    assert_eq!(poor.current::<Order>().unwrap(), Order { total: 50, ..order("2", 7) });
    assert!(
        [gone, there, poor]
            .iter()
            .all(|other| other.other_refusals().is_empty() && other.cancellation_reasons().is_empty())
    );
}

/// What a fresh read may cure goes before what it can't, wherever it stands.
#[tokio::test]
async fn a_conflict_goes_before_a_condition_that_does_not_hold() {
    let shop = shop().await;
    for exists in [false, true] {
        let (mut poor, mut moved, mut there) = (order("1", 7), order("2", 6), order("3", 0));
        let rich = Condition::new("#t > :t").name("#t", "total").value(":t", 1000);
        let transaction = shop.transaction().touch(&shop.orders, &mut poor).condition(rich);
        let transaction = if exists {
            transaction.create(&shop.orders, &mut there)
        } else {
            transaction.save(&shop.orders, &mut moved)
        };
        let error = refused(&shop, transaction).await;
        assert!(error.is_conflict() && matches!(error, Error::AlreadyExists(_)) == exists, "{error:?}");
        assert_eq!(conflict(&error).action_index(), Some(1));
        let [Error::ConditionFailed(poor)] = conflict(&error).other_refusals() else { panic!("{error:?}") };
        assert_eq!(poor.action_index(), Some(0));
    }
}

#[tokio::test]
async fn the_others_stay_in_the_order_of_their_actions() {
    let shop = shop().await;
    let rich = || Condition::new("#t > :t").name("#t", "total").value(":t", 1000);
    let (mut poor, mut moved, mut poorer) = (order("1", 7), order("2", 6), order("3", 7));
    let (mut behind, mut there, mut fine) = (line(1, 15), line(2, 0), line(3, 20));
    let transaction = shop.transaction().touch(&shop.orders, &mut poor).condition(rich());
    let transaction = transaction.save(&shop.orders, &mut moved);
    let transaction = transaction.replace(&shop.orders, &mut poorer).condition(rich());
    let transaction = transaction.save(&shop.lines, &mut behind).touch(&shop.lines, &mut fine);
    let transaction = transaction.check(&shop.orders, &order("4", 7)).condition(rich());
    let error = refused(&shop, transaction.create(&shop.lines, &mut there)).await;

    assert!(matches!(error, Error::Conflict(_)), "{error:?}");
    assert_eq!(conflict(&error).action_index(), Some(1));
    let others = conflict(&error).other_refusals();
    let places: Vec<_> = others.iter().map(|other| conflict(other).action_index().unwrap()).collect();
    assert_eq!(places, [0, 2, 3, 5, 6]);
    let [
        Error::ConditionFailed(_),
        Error::ConditionFailed(_),
        Error::Conflict(_),
        Error::ConditionFailed(_),
        Error::AlreadyExists(_),
    ] = others
    else {
        panic!("{others:?}");
    };
}

#[tokio::test]
async fn a_condition_that_does_not_hold_is_told_where_every_version_is_right() {
    for (name, add) in ADDS {
        for (second, refuses) in [("pieces < :least", true), ("pieces >= :least", false)] {
            let shop = shop().await;
            let (mut ours, mut held) = (order("1", 7), line(2, 20));
            let transaction = add(shop.transaction().save(&shop.orders, &mut ours), &shop, &mut held);
            let transaction = transaction.condition(Condition::new("pieces = :p").value(":p", 9));
            let transaction = transaction.condition(Condition::new(second).value(":least", 9));
            if !refuses {
                transaction.commit().await.unwrap();
                continue;
            }
            let error = refused(&shop, transaction).await;
            assert!(matches!(error, Error::ConditionFailed(_)) && !error.is_retryable(), "{name}: {error:?}");
            let found = conflict(&error);
            assert_eq!((found.action_index(), found.expected(), found.actual()), (Some(1), 20, Some(20)));
            assert_eq!(found.cancellation_reasons(), ["None", FAILED]);
            assert_eq!((ours.version, held), (7, line(2, 20)), "{name}");
        }
    }
}

#[tokio::test]
async fn a_condition_refuses_a_create_where_there_is_no_item() {
    let shop = shop().await;
    let mut fresh = order("new", 0);
    let condition = Condition::new("attribute_exists(#t)").name("#t", "total");
    let error =
        refused(&shop, shop.transaction().create(&shop.orders, &mut fresh).condition(condition)).await;
    assert!(matches!(error, Error::ConditionFailed(_)), "{error:?}");
    assert_eq!((conflict(&error).item(), fresh.version), (None, 0));
}

/// The store tells what the check failed on; only where it told no item, one consistent read makes sure that there is none.
#[tokio::test]
async fn only_an_item_that_was_not_told_is_read() -> Result<()> {
    let shop = shop().await;
    let (mut moved, mut gone) = (order("1", 6), line(99, 20));
    let both = shop.transaction().save(&shop.orders, &mut moved).touch(&shop.lines, &mut gone);
    both.commit().await.unwrap_err();
    let sent = shop.requests();
    let operations: Vec<_> = sent.iter().map(|sent| &*sent.operation).collect();
    assert_eq!(operations, ["TransactWriteItems", "GetItem"]);
    assert_eq!(
        (sent[1].body["Key"]["number"]["N"].as_str(), &sent[1].body["ConsistentRead"]),
        (Some("99"), &json!(true))
    );

    // With what the error told, the next commit goes through.
    moved = order("1", 6);
    let error = shop.transaction().save(&shop.orders, &mut moved).commit().await.unwrap_err();
    moved = conflict(&error).current()?;
    moved.total += 1;
    shop.transaction().save(&shop.orders, &mut moved).commit().await?;
    assert_eq!(shop.orders.get("1").await?, Some(Order { total: 51, ..order("1", 8) }));
    Ok(())
}
