//! Items as other mappers write them, and what these send. The facts are from their documentation and code; only PynamoDB and
//! boto3 run here, in `tests/interop`.
//!
//! - AWS SDK for Java 2, Enhanced Client: an object without a version is stored with `startAt + incrementBy` where there is no
//!   version (<https://github.com/aws/aws-sdk-java-v2/pull/6019>), and an object at `startAt` also where that is stored
//!   (<https://github.com/aws/aws-sdk-java-v2/pull/6659>, which allows -1).
//! - .NET, object persistence model: the first version is 0
//!   (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/DynamoDBContext.VersionSupport.html>).
//! - toasty: the first version is 1; an update of many checks no version, and raises it
//!   (<https://github.com/tokio-rs/toasty/blob/main/docs/guide/src/concurrency-control.md>).

use std::fmt::Debug;

use aws_sdk_dynamodb::{Client, error::ProvideErrorMetadata};
use dynalock::{Error, Table, Versioned};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::fixtures::{Account, Stage, alice, number, text};

const PAGE: &str = include_str!("../../dynalock/docs/interoperation.md");

/// What `save` and `delete` of an object at version 0 demand.
const UNVERSIONED: &str = r#"attribute_exists(id) AND (attribute_not_exists(version) OR version=0 OR attribute_type(version,"NULL"))"#;

/// For mappers that begin at 7 and count in twos.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
#[dynalock(stamps = 0)]
struct InTwos {
    #[dynalock(partition_key)]
    id: String,
    balance: i64,
    #[dynalock(version, start = 7, step = 2)]
    version: u64,
}

/// What the tests need of both structs.
trait Stored: Versioned<Key = String> + Clone + Debug {
    fn earn(&mut self);
    fn version(&self) -> u64;
}

impl Stored for Account {
    fn earn(&mut self) {
        self.balance += 1;
    }

    fn version(&self) -> u64 {
        self.version
    }
}

impl Stored for InTwos {
    fn earn(&mut self) {
        self.balance += 1;
    }

    fn version(&self) -> u64 {
        self.version
    }
}

/// The row of the page's table for an item with this version.
async fn row<T: Stored>(version: Option<Value>, title: &str, writers: &str) -> String {
    let mut item = json!({ "id": "alice", "balance": 100 });
    if let Some(version) = version {
        item["version"] = version;
    }
    let (stage, table) = Stage::of::<T>().await;
    // Each call finds the item as it was.
    let fresh = async || {
        stage.put(item.clone()).await;
        let object = table.get("alice").await.unwrap().expect("stored");
        let _ = stage.requests();
        object
    };
    let condition = || {
        let sent = stage.sent();
        let condition = sent.iter().find_map(|sent| sent.split_once(" IF ")).expect("a condition").1;
        if condition == UNVERSIONED { "*none yet*".to_owned() } else { format!("`{condition}`") }
    };

    let mut object = fresh().await;
    let read = object.version();
    table.save(&mut object).await.unwrap();
    let saved = format!("{} → {}", condition(), object.version());
    fresh().await;
    let updated = table.update("alice", T::earn).await.unwrap().version();
    let updated = format!("{} → {updated}", condition());
    let object = fresh().await;
    table.delete(&object).await.unwrap();
    let deleted = condition();
    let mut object = fresh().await;
    let error = table.create(&mut object).await.unwrap_err();
    assert!(matches!(error, Error::AlreadyExists(_)), "{error:?}");
    assert_eq!(condition(), "`attribute_not_exists(id)`");
    assert_eq!(stage.stored_alice().await, item);
    format!("| {title} | {writers} | {read} | {saved} | {updated} | {deleted} | `AlreadyExists` |")
}

#[tokio::test]
async fn the_guide_says_what_each_call_does_with_an_item_of_another_mapper() {
    let rows = [
        row::<Account>(None, "none", "any writer before there was a version").await,
        row::<Account>(Some(json!(null)), "NULL", "boto3 from `None`, and others that store what is missing")
            .await,
        row::<Account>(Some(json!(0)), "0", ".NET's first save; Java's with `startAt = -1`").await,
        row::<Account>(Some(json!(1)), "1", "the first save of Java, PynamoDB and toasty; .NET's second")
            .await,
        row::<InTwos>(Some(json!(7)), "7", "Java's first save with `startAt = 5, incrementBy = 2`").await,
    ];
    println!("{}", rows.join("\n"));
    for row in rows {
        assert!(PAGE.contains(&row), "the page has another row than\n{row}");
    }
    assert!(PAGE.contains(UNVERSIONED));
}

/// How another mapper counts, and what it sends.
#[derive(Debug, Clone, Copy)]
struct Mapper {
    name: &'static str,
    first: u64,
    step: u64,
    sends: Sends,
    /// An object at this version passes for a new one too.
    new_at: Option<u64>,
}

/// By which requests it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sends {
    Puts,
    Updates,
    /// A put for what is new, and then updates.
    PutThenUpdates,
}

use Sends::{PutThenUpdates, Puts, Updates};

const JAVA: Mapper = Mapper { name: "Java", first: 1, step: 1, sends: Puts, new_at: Some(0) };
const DOTNET: Mapper = Mapper { name: ".NET", first: 0, step: 1, sends: Updates, new_at: None };

const MAPPERS: [Mapper; 5] = [
    JAVA,
    Mapper { name: "Java's update", sends: Updates, ..JAVA },
    Mapper { name: "Java from 0", first: 0, new_at: None, ..JAVA },
    DOTNET,
    Mapper { name: "toasty", first: 1, step: 1, sends: PutThenUpdates, new_at: None },
];

const JAVA_IN_TWOS: Mapper = Mapper { name: "Java in twos", first: 7, step: 2, sends: Puts, new_at: Some(5) };

impl Mapper {
    /// Writes an object that it read at `held`, or a new one. Whether the check passed.
    async fn write(self, client: &Client, table: &str, held: Option<u64>, balance: i64) -> bool {
        let version = held.map_or(self.first, |held| held + self.step);
        let condition = match held {
            None => "attribute_not_exists(version)",
            Some(held) if self.new_at == Some(held) => "attribute_not_exists(version) OR version = :held",
            Some(_) => "version = :held",
        };
        let held_value = held.map(|held| [(":held".to_owned(), number(held))].into());
        let error = if self.sends == Puts || self.sends == PutThenUpdates && held.is_none() {
            let put = client.put_item().table_name(table).condition_expression(condition);
            let put = put.item("id", text("alice")).item("balance", number(balance));
            let put = put.item("version", number(version)).set_expression_attribute_values(held_value);
            put.send().await.err().and_then(|error| error.code().map(str::to_owned))
        } else {
            let update = client.update_item().table_name(table).key("id", text("alice"));
            let update = update.condition_expression(condition).set_expression_attribute_values(held_value);
            let update = update.update_expression("SET balance = :balance, version = :version");
            let update = update.expression_attribute_values(":balance", number(balance));
            let update = update.expression_attribute_values(":version", number(version));
            update.send().await.err().and_then(|error| error.code().map(str::to_owned))
        };
        assert!(error.as_deref().is_none_or(|code| code == "ConditionalCheckFailedException"), "{error:?}");
        error.is_none()
    }
}

/// Lets both write in turn, and each once with what is no longer stored.
async fn take_turns<T: Stored>(mapper: Mapper) {
    let Mapper { name, first, step, .. } = mapper;
    let (stage, table): (Stage, Table<T>) = Stage::of().await;
    let (client, table_name) = (&stage.rival, &stage.name);
    assert!(mapper.write(client, table_name, None, 10).await, "{name} creates");
    let mut held = table.get("alice").await.unwrap().expect("stored");
    assert_eq!(held.version(), first, "{name}");

    let updated = table.update("alice", T::earn).await.unwrap();
    assert_eq!(updated.version(), first + step);
    assert!(!mapper.write(client, table_name, Some(first), 20).await, "{name} overwrites");
    assert!(!mapper.write(client, table_name, None, 20).await, "{name} creates over an item");
    assert_eq!(stage.stored_alice().await["balance"], 11, "{name}");

    assert!(mapper.write(client, table_name, Some(first + step), 20).await, "{name} is refused");
    for mut stale in [held.clone(), updated] {
        let error = table.save(&mut stale).await.unwrap_err();
        let Error::Conflict(conflict) = &error else { panic!("{name}: {error:?}") };
        assert_eq!(conflict.actual(), Some(first + 2 * step), "{name}");
    }
    let error = table.delete(&held).await.unwrap_err();
    assert!(error.is_conflict(), "{name}: {error:?}");
    held = table.update("alice", T::earn).await.unwrap();
    assert_eq!(held.version(), first + 3 * step);
    let stored = json!({ "id": "alice", "balance": 21, "version": first + 3 * step });
    assert_eq!(stage.stored_alice().await, stored, "{name}");
}

#[tokio::test]
async fn a_stale_write_is_refused_whichever_mapper_sends_it() {
    for mapper in MAPPERS {
        take_turns::<Account>(mapper).await;
    }
    take_turns::<InTwos>(JAVA_IN_TWOS).await;
}

/// toasty's update of a query.
#[tokio::test]
async fn a_write_that_checks_no_version_but_raises_it_is_a_conflict() {
    let (stage, accounts) = Stage::of::<Account>().await;
    let mut held = alice(0);
    accounts.create(&mut held).await.unwrap();
    let update = stage.rival.update_item().table_name(&stage.name).key("id", text("alice"));
    let update = update.update_expression("SET balance = :balance, version = version + :one");
    let update = update.expression_attribute_values(":balance", number(5));
    update.expression_attribute_values(":one", number(1)).send().await.unwrap();
    let error = accounts.save(&mut held).await.unwrap_err();
    assert!(matches!(&error, Error::Conflict(conflict) if conflict.actual() == Some(2)), "{error:?}");
    assert_eq!(accounts.update("alice", |account| account.balance += 1).await.unwrap().balance, 6);
}

/// The reason for the page's rule about version 0.
#[tokio::test]
async fn a_first_save_to_version_0_is_noticed_by_an_update_and_not_by_a_save() {
    let unversioned = json!({ "id": "alice", "balance": 100 });
    let (stage, accounts) = Stage::of::<Account>().await;
    stage.put(unversioned.clone()).await;
    let mut held = accounts.get("alice").await.unwrap().unwrap();
    assert!(DOTNET.write(&stage.rival, &stage.name, None, 50).await);
    held.balance += 1;
    accounts.save(&mut held).await.unwrap();
    assert_eq!(stage.stored_alice().await["balance"], 101, "the 50 are lost");

    stage.put(unversioned).await;
    let (rival, name) = (stage.rival.clone(), stage.name.clone());
    stage.wire.before("UpdateItem", async move {
        assert!(DOTNET.write(&rival, &name, None, 50).await);
    });
    let mut runs = 0;
    let update = accounts.update("alice", |account| {
        runs += 1;
        account.balance += 1;
    });
    assert_eq!(update.await.unwrap().balance, 51);
    assert_eq!(runs, 2);
}

/// The reason for the page's rule about `startAt`.
#[tokio::test]
async fn a_version_that_is_javas_start_brings_a_deleted_item_back() {
    let java = Mapper { new_at: Some(5), ..JAVA };
    let (stage, accounts) = Stage::of::<Account>().await;
    stage.put(json!({ "id": "alice", "balance": 100, "version": 5 })).await;
    accounts.delete(&alice(5)).await.unwrap();
    assert!(java.write(&stage.rival, &stage.name, Some(5), 20).await);
    accounts.delete(&alice(6)).await.unwrap();
    assert!(!java.write(&stage.rival, &stage.name, Some(6), 20).await);
}
