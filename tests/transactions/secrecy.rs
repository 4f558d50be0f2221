//! No error of a transaction shows what an item holds.

use std::error::Error as _;

use aws_sdk_dynamodb::types::error::TransactionCanceledException;
use dynalock::testing::{Fault, Faults, Reply};
use dynalock::{Condition, Error, Retry, Table};
use dynalock_tests::engines::Store;
use serde_json::json;

use crate::shop::{Line, Order, Shop, line, order};

/// Stands in every value that can hold it.
const MARK: &str = "S3CRET";

fn secret_order(version: u64) -> Order {
    Order { note: Some(MARK.into()), ..order(MARK, version) }
}

fn secret_line(version: i64) -> Line {
    Line { order: MARK.into(), ..line(1, version) }
}

/// The error says something, and neither it nor anything below it shows an item.
fn keeps(error: &Error) {
    assert!(!error.to_string().is_empty());
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        for shown in [format!("{error}"), format!("{error:?}"), format!("{error:#?}")] {
            assert!(!shown.contains(MARK), "an error shows an item:\n{shown}");
        }
        cause = error.source();
    }
}

#[tokio::test]
async fn what_a_run_read_and_wrote_is_not_shown() {
    let shop = Shop::new().await;
    shop.put(shop.orders.name(), [json!({ "id": MARK, "note": MARK, "total": 1, "version": 7 })]).await;
    let orders = &shop.orders;
    let shown = dynalock::transact(&shop.client, move |tx| async move {
        let order = tx.get(orders, MARK).await?.ok_or(Error::NotFound)?;
        tx.save(orders, order)?;
        Ok::<_, Error>(format!("{tx:?}"))
    });
    let shown = shown.await.unwrap();
    assert!(shown.contains("items: 1") && !shown.contains(MARK), "{shown}");
}

#[tokio::test]
async fn a_refused_commit_keeps_every_item_and_has_no_source() {
    let shop = Shop::new().await;
    shop.put(shop.orders.name(), [json!({ "id": MARK, "note": MARK, "total": 1, "version": 7 })]).await;
    shop.put(shop.lines.name(), [json!({ "order": MARK, "number": 1, "pieces": 1, "rev": 20 })]).await;
    let condition = || Condition::new("note <> :n").value(":n", MARK);
    let (mut moved, mut there, mut poor) = (secret_order(6), secret_line(0), secret_order(7));
    let refusals = [
        shop.transaction().save(&shop.orders, &mut moved).create(&shop.lines, &mut there),
        shop.transaction().delete(&shop.orders, &secret_order(3)),
        shop.transaction().touch(&shop.orders, &mut poor).condition(condition()),
        shop.transaction().check(&shop.lines, &Line { number: 2, ..secret_line(20) }),
    ];
    for refused in refusals {
        let error = refused.commit().await.unwrap_err();
        keeps(&error);
        let (Error::Conflict(conflict) | Error::ConditionFailed(conflict)) = &error else {
            panic!("{error:?}")
        };
        assert!(error.source().is_none(), "the SDK's error holds the item");
        assert!(!format!("{conflict} {conflict:?}").contains(MARK));
        conflict.other_refusals().iter().for_each(keeps);
    }
}

#[tokio::test]
async fn what_is_refused_before_sending_keeps_every_item() {
    let shop = Shop::new().await;
    let (held, mut fresh, mut last) = (secret_line(10), secret_order(0), secret_line(i64::MAX));
    let mut large = Order { note: Some(MARK.repeat(100_000)), ..order(MARK, 0) };
    for transaction in [
        shop.transaction().check(&shop.lines, &held).delete(&shop.lines, &held),
        shop.transaction()
            .create(&shop.orders, &mut fresh)
            .condition(Condition::new("a = :a").value(":b", MARK)),
        shop.transaction().touch(&shop.lines, &mut last),
        shop.transaction().create(&shop.orders, &mut large),
        shop.transaction().check(&shop.lines, &secret_line(-1)),
    ] {
        keeps(&transaction.commit().await.unwrap_err());
    }
}

/// The SDK's error of a cancelled transaction, wherever it is in the chain of causes.
fn cancelled(error: &Error) -> Option<&TransactionCanceledException> {
    let mut chain = std::iter::successors(error.source(), |&cause| cause.source());
    chain.find_map(|cause| match cause.downcast_ref()? {
        aws_sdk_dynamodb::Error::TransactionCanceledException(cancelled) => Some(cancelled),
        _ => None,
    })
}

/// Reasons that are not failed checks stay in the source, and what they tell of items does not.
#[tokio::test(start_paused = true)]
async fn a_cancelled_commit_keeps_its_reasons_and_drops_their_items() {
    let store = Store::memory();
    let faults = Faults::new(store.http_client());
    let client = aws_sdk_dynamodb::Client::from_conf(store.config().http_client(faults.clone()).build());
    let orders = Table::<Order>::new(&client, "orders");
    orders.create_table().await.unwrap();
    let mut held = secret_order(0);
    orders.create(&mut held).await.unwrap();
    for codes in [["TransactionConflict", "None"], ["None", "ValidationError"]] {
        for lost in [None, Some(Fault::RequestLost)] {
            let item = json!({ "id": { "S": MARK }, "note": { "S": MARK } });
            let told = Fault::Instead(Reply::cancelled(codes).telling(&item.to_string()));
            faults.script("TransactWriteItems", lost.clone().into_iter().chain(vec![told; 12]));
            let fresh = &mut Order { id: "fresh".into(), ..secret_order(0) };
            let transaction =
                dynalock::Transaction::new(&client).check(&orders, &held).create(&orders, fresh);
            let error = transaction.retry(Retry::default().attempts(2)).commit().await.unwrap_err();
            keeps(&error);
            assert_eq!(matches!(error, Error::OutcomeUnknown(_)), lost.is_some(), "{error:?}");
            let reasons = cancelled(&error).expect("the SDK's own error").cancellation_reasons();
            let kept: Vec<_> = reasons.iter().filter_map(|reason| reason.code()).collect();
            assert_eq!(kept, codes);
            assert!(reasons.iter().all(|reason| reason.item().is_none()));
            faults.clear();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lost_and_broken_replies_keep_every_item() {
    let store = Store::memory();
    let faults = Faults::new(store.http_client());
    let client = aws_sdk_dynamodb::Client::from_conf(store.config().http_client(faults.clone()).build());
    let orders = Table::<Order>::new(&client, "orders");
    orders.create_table().await.unwrap();
    for fault in [
        Fault::ReplyLost,
        Fault::Truncated,
        Fault::NeverReplies,
        Fault::After(Reply::internal_server_error()),
        Fault::Instead(Reply::new(400, "ValidationException")),
        Fault::Instead(Reply::cancelled(["TransactionConflict"])),
        Fault::Instead(Reply::cancelled(["ValidationError"])),
        Fault::Instead(Reply::cancelled([])),
    ] {
        println!("{fault:?}");
        orders.create(&mut secret_order(0)).await.unwrap();
        faults.script("TransactWriteItems", vec![fault; 12]);
        let mut held = secret_order(1);
        let transaction = dynalock::Transaction::new(&client).save(&orders, &mut held);
        let error = transaction.retry(Retry::default().attempts(2)).commit().await.unwrap_err();
        keeps(&error);
        if let Error::OutcomeUnknown(unknown) = &error {
            assert!(!format!("{unknown} {unknown:?}").contains(MARK));
        }
        faults.clear();
        let stored = orders.get(MARK).await.unwrap().unwrap();
        orders.delete(&stored).await.unwrap();
    }
}
