//! No output shows what an item holds.

use std::{error::Error as _, fmt::Debug};

use dynalock::testing::{Fault, Reply};
use dynalock::{Condition, Error, Retry, Table, Versioned};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::json;

use crate::fixtures::{Attributes, Stage, number, text};

/// Stands in every value, of every kind that can hold it.
const MARK: &str = "S3CRET";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
#[dynalock(stamps = 0)]
struct Secret {
    #[dynalock(partition_key)]
    id: String,
    text: String,
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    list: Option<Vec<String>>,
    #[dynalock(version)]
    version: u64,
}

fn secret(version: u64) -> Secret {
    Secret {
        id: format!("id {MARK}"),
        text: format!("text {MARK}"),
        bytes: MARK.as_bytes().to_vec(),
        list: Some(vec![MARK.into()]),
        version,
    }
}

fn key() -> String {
    secret(0).id
}

/// Fails if the mark can be read in what is shown, as text or as the numbers of its bytes.
fn shows_nothing(what: &str, shown: &str) {
    let bytes = format!("{:?}", MARK.as_bytes());
    let spread = shown.split_whitespace().collect::<String>();
    for form in [MARK, &bytes, "UzNDUkVU"] {
        let form: String = form.split_whitespace().collect();
        assert!(!spread.contains(&form), "{what} shows an item:\n{shown}");
    }
}

fn hides(value: &impl Debug) {
    shows_nothing("Debug", &format!("{value:?}"));
    shows_nothing("Debug", &format!("{value:#?}"));
}

/// An error says something, and shows nothing of the item; nor do the errors of dynalock below it.
fn keeps(error: &Error) {
    hides(error);
    let said = error.to_string();
    shows_nothing("Display", &said);
    assert!(!said.is_empty() && !said.ends_with('.'), "{said}");
    assert!(
        said.chars().next().is_some_and(|first| !first.is_uppercase()
            || said.starts_with("DynamoDB")
            || said.contains("Item on")),
        "{said}"
    );
    let mut cause = error.source();
    while let Some(error) = cause {
        shows_nothing("a source's Display", &error.to_string());
        cause = error.source();
    }
}

async fn stage() -> (Stage, Table<Secret>) {
    Stage::of::<Secret>().await
}

#[tokio::test]
async fn refusals_of_the_store_keep_the_item() {
    let (_stage, table) = stage().await;
    keeps(&table.save(&mut secret(1)).await.unwrap_err());
    table.create(&mut secret(0)).await.unwrap();
    let condition = || Condition::new("#t = :t").name("#t", "bytes").value(":t", MARK);
    let errors = [
        table.create(&mut secret(0)).await.unwrap_err(),
        table.save(&mut secret(7)).await.unwrap_err(),
        table.save(&mut secret(0)).await.unwrap_err(),
        table.touch(&mut secret(1)).condition(condition()).await.unwrap_err(),
        table.delete(&secret(7)).await.unwrap_err(),
    ];
    for error in &errors {
        keeps(error);
        let (Error::Conflict(conflict) | Error::AlreadyExists(conflict) | Error::ConditionFailed(conflict)) =
            error
        else {
            panic!("{error:?}");
        };
        hides(conflict);
        shows_nothing("Display", &conflict.to_string());
        assert!(error.source().is_none(), "the SDK's error holds the item");
        assert_eq!(conflict.current::<Secret>().unwrap(), secret(1), "whoever asks gets it");
    }
}

#[tokio::test]
async fn items_that_do_not_fit_are_not_quoted() {
    let (stage, table) = stage().await;
    let good = || {
        let Attributes(item) = json!({ "id": key(), "text": MARK, "bytes": [1], "version": 1 }).into();
        item
    };
    for (attribute, value) in [
        ("text", number(1)),
        ("bytes", text(MARK)),
        ("list", text(MARK)),
        ("version", text(MARK)),
        ("list", aws_sdk_dynamodb::types::AttributeValue::M([(MARK.into(), text(MARK))].into())),
    ] {
        let mut item = good();
        item.insert(attribute.into(), value);
        stage.put(item.clone()).await;
        keeps(&table.parse(item).unwrap_err());
        keeps(&table.get(key()).await.unwrap_err());
        keeps(&table.get_many([key()]).await.unwrap_err());
        keeps(&table.update(key(), |_| {}).await.unwrap_err());
    }
    let mut item = good();
    item.remove("text");
    keeps(&table.parse(item).unwrap_err());
}

/// Quotes what it holds when it fails.
#[derive(Debug, Clone, PartialEq)]
struct Loud;

impl Serialize for Loud {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom(format!("cannot write {MARK}")))
    }
}

impl<'de> Deserialize<'de> for Loud {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Err(serde::de::Error::custom(format!("cannot read {text}")))
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
struct Quoting {
    #[dynalock(partition_key)]
    id: String,
    loud: Loud,
    #[dynalock(version)]
    version: u64,
}

#[tokio::test]
async fn what_serde_says_is_not_repeated() {
    let (stage, table) = Stage::of::<Quoting>().await;
    let mut object = Quoting { id: MARK.into(), loud: Loud, version: 0 };
    let error = table.create(&mut object).await.unwrap_err();
    keeps(&error);
    assert!(error.to_string().contains("\"loud\""), "{error}");
    stage.put(json!({ "id": MARK, "loud": MARK, "version": 1 })).await;
    let error = table.get(MARK).await.unwrap_err();
    keeps(&error);
    assert!(error.to_string().contains("\"loud\""), "{error}");
    keeps(&object.save_write().unwrap_err());
}

#[tokio::test]
async fn refused_keys_and_conditions_are_not_quoted() {
    let (_stage, table) = stage().await;
    let long = MARK.repeat(1000);
    keeps(&table.get(&long).await.unwrap_err());
    keeps(&table.save(&mut Secret { id: long, ..secret(1) }).await.unwrap_err());
    keeps(&table.save(&mut Secret { text: MARK.repeat(100_000), ..secret(1) }).await.unwrap_err());
    for condition in [
        Condition::new("").value(":s", MARK),
        Condition::new("text = :t").value(":t", MARK).value(":u", MARK),
        Condition::new("text = :t").value(":t", MARK).value(":t", secret(1)),
        Condition::new("text = :_t").value(":_t", MARK),
        Condition::new("text = :t").value(":t", Loud),
    ] {
        hides(&condition);
        keeps(&table.save(&mut secret(1)).condition(condition).await.unwrap_err());
    }
}

#[tokio::test]
async fn refusals_of_the_service_keep_the_item() {
    let (stage, table) = stage().await;
    let broken = Condition::new("text == :t").value(":t", MARK);
    let missing = Table::<Secret>::new(&stage.client, dynalock_tests::engines::table_name());
    for error in [
        table.save(&mut secret(1)).condition(broken).await.unwrap_err(),
        missing.save(&mut secret(1)).await.unwrap_err(),
        missing.update(key(), |_| {}).await.unwrap_err(),
        missing.get_many([key()]).await.unwrap_err(),
    ] {
        keeps(&error);
        let Error::Sdk(failure) = &error else { panic!("{error:?}") };
        hides(failure);
        hides(&failure.as_service_error().expect("an answer"));
    }
}

#[tokio::test(start_paused = true)]
async fn lost_and_broken_replies_keep_the_item() {
    let (stage, table) = Stage::of_in_memory::<Secret>().await;
    table.create(&mut secret(0)).await.unwrap();
    let few = Retry::default().attempts(2);
    let script = |operation: &str, fault: Fault| stage.faults.script(operation, vec![fault; 12]);
    let faults = [
        Fault::ReplyLost,
        Fault::Truncated,
        Fault::BodyCutOff,
        Fault::NeverReplies,
        Fault::After(Reply::internal_server_error()),
        Fault::Instead(Reply::new(400, "AccessDeniedException")),
    ];
    for fault in faults {
        let stage = async || {
            let (stage, table) = Stage::of_in_memory::<Secret>().await;
            table.create(&mut secret(0)).await.unwrap();
            (stage, table)
        };
        let (fresh, table) = stage().await;
        fresh.faults.script("GetItem", vec![fault.clone(); 12]);
        let error = table.get(key()).retry(few).await.unwrap_err();
        keeps(&error);
        let (fresh, table) = stage().await;
        fresh.faults.script("UpdateItem", vec![fault.clone(); 12]);
        keeps(&table.save(&mut secret(1)).retry(few).await.unwrap_err());
        let (fresh, table) = stage().await;
        fresh.faults.script("PutItem", vec![fault; 12]);
        keeps(&table.replace(&mut secret(1)).retry(few).await.unwrap_err());
    }
    // A write whose outcome is unknown, with a cause below it.
    script("UpdateItem", Fault::ReplyLost);
    let error = table.save(&mut secret(1)).retry(few).await.unwrap_err();
    let Error::OutcomeUnknown(unknown) = &error else { panic!("{error:?}") };
    hides(unknown);
    shows_nothing("Display", &unknown.to_string());
}

#[tokio::test]
async fn calls_and_writes_keep_the_item() {
    let (stage, table) = stage().await;
    let condition = || Condition::new("text = :t").value(":t", MARK);
    hides(&table);
    hides(&condition());
    hides(&condition().value(":t", secret(1)));
    let mut object = secret(1);
    hides(&table.get(key()));
    hides(&table.get(MARK.repeat(1000)));
    hides(&table.get_many([key()]));
    hides(&table.get_many([key(), MARK.repeat(1000)]));
    hides(&table.create(&mut object).condition(condition()).in_transaction());
    hides(&table.save(&mut object).condition(condition()));
    hides(&table.delete(&object).condition(condition()));
    hides(&table.save_all([&mut object]).condition(condition()).on_completed(|_, _| {}));
    hides(&table.delete_all([&object]).condition(condition()));
    hides(&table.save_all([&mut object]).await);
    hides(&table.update(key(), |_| {}).condition(condition()));
    hides(&table.try_update(key(), |_| Ok::<_, Error>(())).condition(condition()));
    hides(&table.update_or_create(key(), || secret(0), |_| {}));
    for write in [
        object.create_write().unwrap(),
        object.save_write().unwrap(),
        object.replace_write().unwrap(),
        object.touch_write().unwrap(),
        object.delete_write().unwrap(),
        object.check_write().unwrap(),
    ] {
        hides(&write);
    }
    let transact = dynalock::transact(&stage.client, async |tx| tx.save(&table, secret(1)));
    hides(&transact);
    hides(&dynalock::IntoKey::<String>::into_key(key()).unwrap());
    hides(&table.delete(&object).await.unwrap());
    hides(&Retry::default());
}
