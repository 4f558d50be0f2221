//! What may stand where the version should.

use aws_sdk_dynamodb::types::AttributeValue;
use dynalock::{Error, Versioned};
use dynalock_tests::engines;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::fixtures::{Account, Attributes, Call, Item, Stage, alice, number, refused, text};

fn item_with(version: AttributeValue) -> Item {
    let Attributes(mut item) = json!({ "id": "alice", "balance": 100 }).into();
    item.insert("version".into(), version);
    item
}

/// What is no version, and the word by which an error must name it.
fn no_versions() -> [(AttributeValue, &'static str); 9] {
    [
        (text("three"), "string"),
        (text("3"), "string"),
        (number("1.5"), "number"),
        (number("-1"), "number"),
        (number("123456789012345678901234567890123456789"), "number"),
        (number("18446744073709551616"), "number"),
        (AttributeValue::Bool(true), "boolean"),
        (AttributeValue::L(vec![number(1)]), "list"),
        (AttributeValue::M([("a".to_owned(), number(1))].into()), "map"),
    ]
}

/// An item that DynamoDB itself may refuse: it takes 38 digits, some emulators more. Returns whether it is stored.
async fn offered(stage: &Stage, item: Item) -> bool {
    let put = stage.rival.put_item().table_name(&stage.name).set_item(Some(item));
    put.send().await.is_ok()
}

fn names_place_and_find(error: &Error, table: &str, found: &str) {
    let Error::InvalidItem { table: named, attribute, problem } = error else { panic!("{error:?}") };
    assert_eq!((&**named, &**attribute), (table, "version"));
    assert!(problem.contains(found), "{problem}");
    let message = error.to_string();
    assert!(message.contains(table) && message.contains("\"version\""), "{message}");
}

#[tokio::test]
async fn a_stored_version_that_is_none_is_a_clear_error() {
    let mut tried = 0;
    for (version, found) in no_versions() {
        let (stage, accounts) = Stage::of::<Account>().await;
        if !offered(&stage, item_with(version.clone())).await {
            continue;
        }
        tried += 1;
        names_place_and_find(&accounts.get("alice").await.unwrap_err(), accounts.name(), found);
        assert_eq!(stage.operations(), ["GetItem"]);

        let mut runs = 0;
        let error = accounts.update("alice", |_| runs += 1).await.unwrap_err();
        names_place_and_find(&error, accounts.name(), found);
        assert_eq!((runs, stage.operations()), (0, vec!["GetItem".to_owned()]), "{version:?}");

        let error = accounts.get_many(["alice"]).await.unwrap_err();
        names_place_and_find(&error, accounts.name(), found);
        let error = accounts.parse(item_with(version.clone())).unwrap_err();
        names_place_and_find(&error, accounts.name(), found);
    }
    assert!(tried >= 8, "only the one with 39 digits can be refused by a store");
}

#[tokio::test]
async fn a_version_of_39_digits_is_a_clear_error_wherever_it_comes_from() {
    let (_stage, accounts) = Stage::of::<Account>().await;
    let digits = "1".repeat(39);
    let error = accounts.parse(item_with(number(&digits))).unwrap_err();
    names_place_and_find(&error, accounts.name(), "number");
    assert!(!format!("{error} {error:?}").contains(&digits));
}

#[tokio::test]
async fn no_write_goes_over_a_version_that_is_none() {
    if engines::skipped(&["dynalite"], engines::TELLS_NO_ITEM) {
        return;
    }
    for (version, found) in no_versions() {
        for call in Call::ALL {
            for ours in [0, 3] {
                let (stage, accounts) = Stage::of::<Account>().await;
                if !offered(&stage, item_with(version.clone())).await {
                    continue;
                }
                let before = stage.stored(json!({ "id": "alice" })).await;
                let error =
                    refused(&mut alice(ours), async |account| call.of(&accounts, account).await).await;
                let Error::Conflict(conflict) = &error else { panic!("{call:?} of {version:?}: {error:?}") };
                assert_eq!((conflict.expected(), conflict.actual()), (ours, None));
                names_place_and_find(&conflict.current::<Account>().unwrap_err(), accounts.name(), found);
                assert_eq!(stage.requests().len(), 1);
                assert_eq!(stage.stored(json!({ "id": "alice" })).await, before);
            }
        }
    }
}

#[tokio::test]
async fn a_version_too_large_for_its_field_is_a_clear_error() {
    #[derive(Debug, Serialize, Deserialize, Versioned)]
    struct Small {
        #[dynalock(partition_key)]
        id: String,
        #[dynalock(version)]
        version: u8,
    }

    let (stage, table) = Stage::of::<Small>().await;
    for version in ["256", "18446744073709551615"] {
        stage.put(item_with(number(version))).await;
        names_place_and_find(&table.get("alice").await.unwrap_err(), table.name(), "number");
        names_place_and_find(&table.update("alice", |_| {}).await.unwrap_err(), table.name(), "number");
        assert_eq!(stage.operations(), ["GetItem", "GetItem"]);
    }
    stage.put(item_with(number(255))).await;
    let small = table.get("alice").await.unwrap().unwrap();
    assert_eq!((small.id.as_str(), small.version), ("alice", 255));
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
struct Signed {
    #[dynalock(partition_key)]
    id: String,
    #[dynalock(version)]
    version: i32,
}

#[tokio::test]
async fn a_negative_version_in_the_object_is_refused_before_sending() {
    let (stage, table) = Stage::of::<Signed>().await;
    let mut signed = Signed { id: "alice".into(), version: -1 };
    for call in Call::ALL {
        let error = refused(&mut signed, async |signed| call.of(&table, signed).await).await;
        names_place_and_find(&error, table.name(), "negative");
    }
    names_place_and_find(&table.delete(&signed).await.unwrap_err(), table.name(), "negative");
    assert_eq!(stage.operations(), [""; 0]);
}

/// The version of an object that was never stored does not matter, whatever it is.
#[tokio::test]
async fn a_create_ignores_a_negative_version() {
    let (_stage, table) = Stage::of::<Signed>().await;
    let mut signed = Signed { id: "alice".into(), version: -1 };
    table.create(&mut signed).await.unwrap();
    assert_eq!(signed.version, 1);
    let bob = || Signed { id: "bob".into(), version: -1 };
    let signed = table.update_or_create("bob", bob, |signed| signed.version = -2).await.unwrap();
    assert_eq!(signed.version, 1);
    let signed = table.update("bob", |signed| signed.version = -2).await.unwrap();
    assert_eq!(signed.version, 1);
}
