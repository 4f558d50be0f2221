//! What can be a key, and what a store takes for one.

use aws_sdk_dynamodb::types::ScalarAttributeType;
use dynalock::{Error, Versioned};
use dynalock_tests::engines::{self, Store};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use serde_bytes::ByteBuf;
use serde_json::json;

use crate::fixtures::{Account, Call, Stage, alice, refused};

/// Runs every call on a struct whose partition key is of this type. Gives the type of the key attribute.
macro_rules! lives_under {
    ($key:ty: $value:expr) => {{
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
        struct Keyed {
            #[dynalock(partition_key)]
            key: $key,
            n: u32,
            #[dynalock(version)]
            version: u64,
        }

        let key: $key = $value;
        let (stage, table) = Stage::of::<Keyed>().await;
        let mut object = Keyed { key: key.clone(), n: 1, version: 0 };
        table.create(&mut object).await.unwrap();
        assert_eq!(table.get(&key).await.unwrap(), Some(object.clone()));
        table.save(&mut object).await.unwrap();
        table.replace(&mut object).await.unwrap();
        table.touch(&mut object).await.unwrap();
        let object = table.update(key.clone(), |object| object.n = 2).await.unwrap();
        assert_eq!((object.n, object.version), (2, 5));
        let found = table.get_many([&key, &key]).await.unwrap();
        assert_eq!(found, [Some(object.clone()), Some(object.clone())]);
        assert_eq!(table.delete(&object).await.unwrap(), dynalock::Deleted::Now);
        assert_eq!(table.get(&key).await.unwrap(), None);
        key_type(&stage).await
    }};
}

/// The type of the table's only key attribute.
async fn key_type(stage: &Stage) -> ScalarAttributeType {
    let table = stage.rival.describe_table().table_name(&stage.name).send().await.unwrap().table.unwrap();
    let [definition] = table.attribute_definitions() else { panic!("{table:?}") };
    definition.attribute_type.clone()
}

#[tokio::test]
async fn strings_are_keys() {
    assert_eq!(lives_under!(String: "alice".to_owned()), ScalarAttributeType::S);
    assert_eq!(lives_under!(char: 'ß'), ScalarAttributeType::S);
    assert_eq!(lives_under!(Box<str>: "alice".into()), ScalarAttributeType::S);
}

#[tokio::test]
async fn integers_are_keys() {
    assert_eq!(lives_under!(u8: 0), ScalarAttributeType::N);
    assert_eq!(lives_under!(u64: u64::MAX), ScalarAttributeType::N);
    assert_eq!(lives_under!(i64: i64::MIN), ScalarAttributeType::N);
    assert_eq!(lives_under!(i16: -1), ScalarAttributeType::N);
}

#[tokio::test]
async fn bytes_are_keys() {
    assert_eq!(lives_under!(ByteBuf: ByteBuf::from([0, 159, 146, 150])), ScalarAttributeType::B);
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct OrderId(u64);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Name(String);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Blob {
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
}

#[tokio::test]
async fn a_newtype_is_a_key_like_what_it_wraps() {
    assert_eq!(lives_under!(OrderId: OrderId(7)), ScalarAttributeType::N);
    assert_eq!(lives_under!(Name: Name("alice".into())), ScalarAttributeType::S);
    assert_eq!(lives_under!(Blob: Blob { bytes: vec![1, 2] }), ScalarAttributeType::B);
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Suit {
    Hearts,
    Spades,
}

#[tokio::test]
async fn a_unit_enum_is_a_key_under_its_name() {
    assert_eq!(lives_under!(Suit: Suit::Hearts), ScalarAttributeType::S);
    assert_eq!(lives_under!(Suit: Suit::Spades), ScalarAttributeType::S);
}

/// Text for people and bytes for machines, as `uuid::Uuid` is.
#[derive(Debug, Clone, PartialEq)]
struct Id(u128);

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&format_args!("{:032x}", self.0))
        } else {
            serializer.serialize_bytes(&self.0.to_be_bytes())
        }
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map(Self).map_err(serde::de::Error::custom)
    }
}

#[tokio::test]
async fn a_type_that_serializes_itself_is_a_key() {
    assert_eq!(lives_under!(Id: Id(77)), ScalarAttributeType::S);
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
#[dynalock(stamps = 0)]
struct Line {
    #[dynalock(partition_key)]
    cart: String,
    #[dynalock(sort_key)]
    number: u32,
    quantity: u32,
    #[dynalock(version)]
    version: u64,
}

fn line(cart: &str, number: u32) -> Line {
    Line { cart: cart.into(), number, quantity: 1, version: 0 }
}

#[tokio::test]
async fn a_partition_key_and_a_sort_key_make_one_key() {
    if engines::skipped(&["dynalite"], engines::TELLS_NO_ITEM) {
        return;
    }
    let (stage, lines) = Stage::of::<Line>().await;
    for number in 1..=2 {
        lines.create(&mut line("cart", number)).await.unwrap();
    }
    lines.update(("cart", 2), |line| line.quantity = 5).await.unwrap();
    let _ = stage.requests();
    let cart = "cart".to_owned();
    let third = lines.get((&cart, 3_u32)).await.unwrap();
    assert_eq!(third, None);
    let first = lines.get(("cart", 1)).await.unwrap().unwrap();
    let second = lines.get(&(cart.clone(), 2)).await.unwrap().unwrap();
    assert_eq!((first.quantity, second.quantity), (1, 5));
    assert_eq!(
        stage.sent(),
        [
            r#"GetItem {cart: "cart", number: 3} consistently"#,
            r#"GetItem {cart: "cart", number: 1} consistently"#,
            r#"GetItem {cart: "cart", number: 2} consistently"#,
        ]
    );
    let many = lines.get_many([("cart", 2), ("other", 1), ("cart", 1)]).await.unwrap();
    assert_eq!(many, [Some(second), None, Some(first.clone())]);
    let _ = stage.requests();
    let mut old = first.clone();
    lines.save(&mut first.clone()).await.unwrap();
    assert!(lines.save(&mut old).await.unwrap_err().is_conflict());
    assert_eq!(
        stage.sent().last().unwrap(),
        r#"UpdateItem {cart: "cart", number: 1} SET version=2,quantity=1 IF version=1"#
    );
}

#[tokio::test]
async fn a_closure_must_not_change_a_sort_key() {
    let (stage, lines) = Stage::of::<Line>().await;
    lines.create(&mut line("cart", 1)).await.unwrap();
    let _ = stage.requests();
    let error = lines.update(("cart", 1), |line| line.number = 2).await.unwrap_err();
    assert!(matches!(&error, Error::InvalidItem { attribute, .. } if &**attribute == "number"), "{error:?}");
    assert_eq!(stage.operations(), ["GetItem"]);
}

#[tokio::test]
async fn a_string_key_is_taken_in_every_form() {
    let (stage, accounts) = Stage::of::<Account>().await;
    accounts.create(&mut alice(0)).await.unwrap();
    let name = "alice".to_owned();
    let found = [
        accounts.get("alice").await.unwrap(),
        accounts.get(&"alice").await.unwrap(),
        accounts.get(&name).await.unwrap(),
        accounts.get(name.clone()).await.unwrap(),
        accounts.get_many([&name]).await.unwrap().remove(0),
        accounts.get_many(vec![name.as_str()]).await.unwrap().remove(0),
        accounts.get_many(&["alice"]).await.unwrap().remove(0),
    ];
    assert!(found.iter().all(|found| *found == Some(alice(1))), "{found:?}");
    assert_eq!(stage.requests().len(), 8);
}

fn blames(error: &Error, table: &str, attribute: &str, words: &str) {
    let Error::InvalidItem { table: named, attribute: at, .. } = error else { panic!("{error:?}") };
    assert_eq!((&**named, &**at), (table, attribute));
    let message = error.to_string();
    assert!(message.contains(words), "{message}");
    assert!(message.contains(table) && message.contains(&format!("\"{attribute}\"")), "{message}");
}

#[tokio::test]
async fn an_empty_key_is_refused_before_sending() {
    let (stage, accounts) = Stage::of::<Account>().await;
    let mut nameless = Account { id: String::new(), ..alice(1) };
    for call in Call::ALL {
        let error = refused(&mut nameless, async |account| call.of(&accounts, account).await).await;
        blames(&error, accounts.name(), "id", "empty");
    }
    let error = refused(&mut nameless, async |account| accounts.create(account).await).await;
    blames(&error, accounts.name(), "id", "empty");
    let by_key = [
        accounts.delete(&nameless).await.unwrap_err(),
        accounts.get("").await.unwrap_err(),
        accounts.get_many(["alice", ""]).await.unwrap_err(),
        accounts.update("", |_| {}).await.unwrap_err(),
        accounts.try_update("", |_| Ok::<_, Error>(())).await.unwrap_err(),
        accounts.update_or_create("", || alice(0), |_| {}).await.unwrap_err(),
    ];
    for error in by_key {
        blames(&error, accounts.name(), "id", "empty");
    }
    assert_eq!(stage.operations(), [""; 0]);
}

#[tokio::test]
async fn a_key_that_is_too_long_is_refused_before_sending() {
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
    struct Long {
        #[dynalock(partition_key)]
        partition: ByteBuf,
        #[dynalock(sort_key)]
        sort: String,
        #[dynalock(version)]
        version: u64,
    }

    let (stage, table) = Stage::of::<Long>().await;
    let of = |partition, sort: usize| Long {
        partition: ByteBuf::from(vec![1; partition]),
        sort: "é".repeat(sort / 2),
        version: 0,
    };
    table.create(&mut of(2048, 1024)).await.unwrap();
    assert_eq!(stage.operations(), ["PutItem"]);

    let error = refused(&mut of(2049, 2), async |long| table.create(long).await).await;
    blames(&error, table.name(), "partition", "2049");
    let error = refused(&mut of(1, 1026), async |long| table.save(long).await).await;
    blames(&error, table.name(), "sort", "1026");
    let long = of(1, 1026);
    blames(&table.get((&long.partition, &long.sort)).await.unwrap_err(), table.name(), "sort", "1026");
    assert_eq!(stage.operations(), [""; 0]);
}

#[tokio::test]
async fn a_key_that_serializes_to_something_else_is_refused_before_sending() {
    /// Looks like a key from outside.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Pair(u8, u8);

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
    struct Keyed {
        #[dynalock(partition_key)]
        key: Pair,
        #[dynalock(version)]
        version: u64,
    }

    let stage = Stage::on(&dynalock_tests::engines::Store::chosen());
    let table = stage.table::<Keyed>();
    let mut object = Keyed { key: Pair(1, 2), version: 0 };
    let error = refused(&mut object, async |object| table.create(object).await).await;
    blames(&error, table.name(), "key", "a list");
    blames(&table.get(Pair(1, 2)).await.unwrap_err(), table.name(), "key", "a list");
    assert_eq!(stage.operations(), [""; 0]);
}

/// The table has the key that another struct declares.
async fn other_schema<T: Versioned + DeserializeOwned>() -> (Stage, dynalock::Table<Account>) {
    let (stage, _) = Stage::of::<T>().await;
    let accounts = stage.table::<Account>();
    (stage, accounts)
}

#[tokio::test]
async fn a_key_of_another_type_than_the_tables_is_dynamodbs_error() {
    #[derive(Serialize, Deserialize, Versioned)]
    struct Numbered {
        #[dynalock(partition_key)]
        id: u64,
        #[dynalock(version)]
        version: u64,
    }

    let (stage, accounts) = other_schema::<Numbered>().await;
    rejected_everywhere(&stage, &accounts).await;
}

#[tokio::test]
async fn a_table_without_the_declared_key_is_dynamodbs_error() {
    #[derive(Serialize, Deserialize, Versioned)]
    struct Elsewhere {
        #[dynalock(partition_key)]
        pk: String,
        #[dynalock(version)]
        version: u64,
    }

    let (stage, accounts) = other_schema::<Elsewhere>().await;
    rejected_everywhere(&stage, &accounts).await;
}

/// Every call ends with DynamoDB's refusal at its first request, and says where.
async fn rejected_everywhere(stage: &Stage, accounts: &dynalock::Table<Account>) {
    let mut errors = Vec::new();
    for call in Call::ALL {
        errors.push(refused(&mut alice(1), async |account| call.of(accounts, account).await).await);
    }
    errors.push(refused(&mut alice(0), async |account| accounts.create(account).await).await);
    errors.push(accounts.delete(&alice(1)).await.unwrap_err());
    errors.push(accounts.get("alice").await.unwrap_err());
    errors.push(accounts.get_many(["alice"]).await.unwrap_err());
    errors.push(accounts.update("alice", |_| {}).await.unwrap_err());
    let operations = stage.operations();
    assert_eq!(operations.len(), errors.len(), "one request each: {operations:?}");
    for (error, operation) in errors.iter().zip(&operations) {
        let Error::Sdk(failure) = error else { panic!("{error:?}") };
        assert_eq!((failure.code(), failure.operation()), (Some("ValidationException"), operation.as_str()));
        let message = error.to_string();
        assert!(message.contains(accounts.name()) && message.contains(operation), "{message}");
        assert!(!error.is_retryable() && !error.is_conflict());
        assert!(std::error::Error::source(failure.as_ref()).is_some());
    }
    assert_eq!(stage.rival.scan().table_name(&stage.name).send().await.unwrap().count, 0);
}

#[tokio::test]
async fn a_table_that_does_not_exist_is_named() {
    let stage = Stage::on(&dynalock_tests::engines::Store::chosen());
    let accounts = stage.table::<Account>();
    let error = refused(&mut alice(0), async |account| accounts.create(account).await).await;
    let Error::Sdk(failure) = &error else { panic!("{error:?}") };
    assert_eq!(failure.code(), Some("ResourceNotFoundException"));
    assert_eq!((failure.table(), failure.operation()), (accounts.name(), "PutItem"));
    assert!(error.to_string().contains(accounts.name()), "{error}");
    let error = accounts.get("alice").await.unwrap_err();
    assert!(error.to_string().contains(accounts.name()), "{error}");
    assert_eq!(stage.operations(), ["PutItem", "GetItem"]);
    let listed = json!(stage.rival.list_tables().send().await.unwrap().table_names());
    assert!(!listed.to_string().contains(&stage.name), "no call creates a table");
}

/// The macro sees no further than the newtype.
#[tokio::test]
async fn a_key_without_a_form_in_dynamodb_is_refused_before_sending() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Wide(u128);

    #[derive(Debug, Serialize, Deserialize, Versioned)]
    struct Keyed {
        #[dynalock(partition_key)]
        key: Wide,
        #[dynalock(version)]
        version: u64,
    }

    let stage = Stage::on(&Store::memory());
    match stage.table::<Keyed>().get(Wide(1)).await {
        Err(Error::InvalidRequest { table, problem }) => {
            assert!(
                !table.is_empty() && problem.contains("DynamoDB has no type for the key"),
                "{table}: {problem}"
            );
        }
        other => panic!("{other:?}"),
    }
    assert!(stage.operations().is_empty());
}
