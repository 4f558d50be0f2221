//! What the engine answers.

use aws_sdk_dynamodb::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    types::{
        AttributeValue, ConditionCheck, Put, ReturnValuesOnConditionCheckFailure::AllOld, TransactWriteItem,
        Update,
    },
};
use dynalock::embedded::Engine;
use dynalock_tests::engines::{self, Store};

use crate::{TABLE, add_one, count, number, text, with_table};

/// The status, exception and message of an error.
fn told<E: ProvideErrorMetadata + std::fmt::Debug>(error: &SdkError<E>) -> (u16, String, String) {
    let status = error.raw_response().expect("a reply").status().as_u16();
    let told = |part: Option<&str>| part.unwrap_or_default().to_owned();
    (status, told(error.code()), told(error.message()))
}

#[tokio::test]
async fn the_chosen_store_answers() {
    let client = engines::client().await;
    let table = engines::table_name();
    let missing = client.describe_table().table_name(table).send().await.unwrap_err();
    assert!(missing.into_service_error().is_resource_not_found_exception());
}

#[tokio::test]
async fn a_failed_check_carries_the_stored_item_under_all_old() {
    let client = with_table(Engine::in_memory().client()).await;
    add_one(&client).await.unwrap();
    let put = client.put_item().table_name(TABLE).item("id", text("alice"));
    let put = put.condition_expression("attribute_not_exists(id)");

    let bare = put.clone().send().await.unwrap_err();
    let all_old = put.return_values_on_condition_check_failure(AllOld).send().await.unwrap_err();

    assert_eq!(bare.raw_response().unwrap().status().as_u16(), 400);
    let item = |error: SdkError<_>| match error.into_service_error() {
        aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(failed) => {
            assert_eq!(failed.message(), Some("The conditional request failed"));
            failed.item
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(item(bare), None);
    let item = item(all_old).expect("the stored item");
    assert_eq!((&item["id"], &item["n"]), (&text("alice"), &number(1)));
}

#[tokio::test]
async fn a_table_that_is_missing_is_not_found() {
    let client = Engine::in_memory().client();
    let error = client.get_item().table_name(TABLE).key("id", text("a")).send().await.unwrap_err();
    assert!(error.into_service_error().is_resource_not_found_exception());
}

#[tokio::test]
async fn a_table_that_exists_is_in_use() {
    let client = with_table(Engine::in_memory().client()).await;
    let described = client.describe_table().table_name(TABLE).send().await.unwrap();
    let table = described.table.unwrap();
    let again = client
        .create_table()
        .table_name(TABLE)
        .set_key_schema(table.key_schema)
        .set_attribute_definitions(table.attribute_definitions)
        .billing_mode(aws_sdk_dynamodb::types::BillingMode::PayPerRequest);
    assert!(again.send().await.unwrap_err().into_service_error().is_resource_in_use_exception());
}

#[tokio::test]
async fn an_operation_that_the_engine_lacks_is_unknown() {
    let error = Engine::in_memory().client().list_backups().send().await.unwrap_err();
    assert_eq!(told(&error), (400, "UnknownOperationException".to_owned(), String::new()));
}

fn put_at_zero(id: &str) -> TransactWriteItem {
    let put = Put::builder().table_name(TABLE).item("id", text(id)).item("n", number(0));
    let put = put.condition_expression("attribute_not_exists(id)");
    let put = put.return_values_on_condition_check_failure(AllOld).build().unwrap();
    TransactWriteItem::builder().put(put).build()
}

#[tokio::test]
async fn a_cancelled_transaction_gives_a_reason_and_the_item_for_each_action() {
    let client = with_table(Engine::in_memory().client()).await;
    add_one(&client).await.unwrap();

    let both = client.transact_write_items();
    let both = both.transact_items(put_at_zero("bob")).transact_items(put_at_zero("alice"));
    let error = both.send().await.unwrap_err().into_service_error();

    let aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(
        cancelled,
    ) = error
    else {
        panic!("{error:?}");
    };
    let [bob, alice] = cancelled.cancellation_reasons() else {
        panic!("{cancelled:?}");
    };
    assert_eq!((bob.code(), bob.item()), (Some("None"), None));
    assert_eq!(alice.code(), Some("ConditionalCheckFailed"));
    assert_eq!(alice.item().unwrap()["n"], number(1));
    let bob = client.get_item().table_name(TABLE).key("id", text("bob")).send().await.unwrap();
    assert_eq!(bob.item, None, "all or nothing");
}

#[tokio::test]
async fn a_transaction_with_a_client_token_is_applied_once() {
    let client = with_table(Engine::in_memory().client()).await;
    let commit = |step: i64| {
        let update = Update::builder().table_name(TABLE).key("id", text("alice"));
        let update = update.update_expression("ADD n :step");
        let update = update.expression_attribute_values(":step", number(step)).build().unwrap();
        client
            .transact_write_items()
            .transact_items(TransactWriteItem::builder().update(update).build())
            .client_request_token("one commit")
            .send()
    };

    commit(1).await.unwrap();
    commit(1).await.unwrap();
    assert_eq!(count(&client).await, 1);

    let other = commit(2).await.unwrap_err().into_service_error();
    assert!(other.is_idempotent_parameter_mismatch_exception());
}

/// Requests that are refused, each for a reason of its own.
async fn refusals(client: &Client) -> Vec<(&'static str, (u16, String, String))> {
    let mut refusals = Vec::new();
    macro_rules! refused {
        ($($what:literal: $request:expr;)*) => {
            $(refusals.push(($what, told(&$request.send().await.expect_err($what))));)*
        };
    }
    let put = || client.put_item().table_name(TABLE);
    let alice = || put().item("id", text("alice"));
    let get = || client.get_item().table_name(TABLE);
    let update = || client.update_item().table_name(TABLE).key("id", text("alice"));
    let transact = |item: Put| {
        let item = TransactWriteItem::builder().put(item).build();
        client.transact_write_items().transact_items(item)
    };
    let transacted = |value| Put::builder().table_name(TABLE).item("id", text("a")).item("v", value).build();
    let null = || AttributeValue::Null(false);
    let no_number = || AttributeValue::N("twelve".to_owned());
    let long_number = || AttributeValue::N("1234567890123456789012345678901234567890".to_owned());
    let no_elements = || AttributeValue::Ss(Vec::new());
    let deep = || (0..40).fold(number(1), |inner, _| AttributeValue::L(vec![inner]));

    refused! {
        "put into a short name": client.put_item().table_name("a").item("id", text("alice"));
        "put without an item": put();
        "put without a key": put().item("n", number(1));
        "put with a key of another type": put().item("id", number(1));
        "put with an empty key": put().item("id", text(""));
        "put a null that is false": alice().item("v", null());
        "put a word as a number": alice().item("v", no_number());
        "put 40 digits": alice().item("v", long_number());
        "put an empty set": alice().item("v", no_elements());
        "put a set with twice the same": alice().item("v", AttributeValue::Ns(vec!["1".into(), "1".into()]));
        "put 40 levels": alice().item("v", deep());
        "put with a broken condition": alice().condition_expression("n = = 1");
        "put with doubled parentheses": alice().condition_expression("((attribute_exists(id)))");
        "put with an unknown value": alice().condition_expression("n = :n");
        "put with an unused value": alice().condition_expression("attribute_exists(id)").expression_attribute_values(":n", number(1));
        "put with a reserved word": alice().condition_expression("attribute_exists(status)");
        "put 400 KB": alice().item("v", text(&"x".repeat(410_000)));
        "get without a key": get();
        "get with a key of another type": get().key("id", number(1));
        "get with more than the key": get().key("id", text("alice")).key("n", number(1));
        "update the key": update().update_expression("SET id = :id").expression_attribute_values(":id", text("bob"));
        "update with a broken expression": update().update_expression("SET n = ");
        "update with a null that is false": update().update_expression("SET n = :n").expression_attribute_values(":n", null());
        "update with a word as a number": update().update_expression("SET n = :n").expression_attribute_values(":n", no_number());
        "delete with a null that is false": client.delete_item().table_name(TABLE).key("id", null());
        "query without a condition": client.query().table_name(TABLE);
        "scan with a limit of 0": client.scan().table_name(TABLE).limit(0);
        "transact an item twice": transact(transacted(number(1)).unwrap())
            .transact_items(TransactWriteItem::builder().put(transacted(number(2)).unwrap()).build());
        "transact a null that is false": transact(transacted(null()).unwrap());
        "transact an empty set": transact(transacted(no_elements()).unwrap());
        "transact 40 levels": transact(transacted(deep()).unwrap());
        "transact an empty key": transact(Put::builder().table_name(TABLE).item("id", text("")).build().unwrap());
        "transact a check of nothing": client.transact_write_items().transact_items(
            TransactWriteItem::builder().condition_check(
                ConditionCheck::builder().table_name(TABLE).key("id", text("x")).condition_expression("").build().unwrap()
            ).build());
        "transact with a long token": client.transact_write_items().client_request_token("x".repeat(40)).transact_items(put_at_zero("x"));
        "create a table without a key": client.create_table().table_name("keyless");
    }
    refusals
}

#[tokio::test]
async fn refusals_are_worded_as_by_the_served_emulator() {
    let embedded = refusals(&with_table(Store::memory().client()).await).await;
    let served = refusals(&with_table(Store::tcp().client()).await).await;
    for (embedded, served) in embedded.iter().zip(&served) {
        assert_eq!(embedded, served);
    }
    for (what, (status, exception, message)) in &embedded {
        assert_eq!(*status, 400, "{what}");
        assert!(!exception.is_empty() && !message.is_empty(), "{what}: {exception} {message}");
        let marked = ["VALIDATION", "SERIALIZATION", " at line "];
        assert!(!marked.iter().any(|mark| message.contains(mark)), "{what}: {message}");
    }
}
