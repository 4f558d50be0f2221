//! What each call costs in capacity units, beside the guide's page about capacity: as the embedded engine counts them, which
//! follows DynamoDB's rules (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html>).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use aws_sdk_dynamodb::{
    Client,
    types::{
        AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
        ProjectionType, ScalarAttributeType,
    },
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector},
    orchestrator::HttpRequest,
    result::ConnectorError,
};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};
use dynalock::{Table, Transaction, Versioned, embedded::Engine, transact};
use dynalock_tests::middleware::{Middleware, operation};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const PAGE: &str = include_str!("../../dynalock/docs/capacity.md");

/// 5.5 KB with everything, which is 2 read units and 6 write units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
struct Document {
    #[dynalock(partition_key)]
    id: String,
    owner: String,
    status: String,
    visits: i64,
    text: String,
    #[dynalock(version)]
    version: u64,
}

fn document(id: &str) -> Document {
    let text = "x".repeat(5500);
    Document { id: id.into(), owner: "ann".into(), status: "new".into(), visits: 0, text, version: 0 }
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Units {
    read: f64,
    write: f64,
    /// Of `write`, by the index that took them.
    by_index: BTreeMap<String, f64>,
    /// Writes whose check failed. Their answer tells no units.
    refused: u32,
}

/// Asks with each request for the units that it takes, and adds them up.
#[derive(Debug, Clone, Default)]
struct Meter {
    units: Arc<Mutex<Units>>,
}

impl Meter {
    fn take(&self) -> Units {
        std::mem::take(&mut self.units.lock().unwrap())
    }
}

impl Middleware for Meter {
    fn handle(&self, mut request: HttpRequest, inner: &SharedHttpConnector) -> HttpConnectorFuture {
        let reads = operation(&request).contains("Get");
        let mut body: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        body["ReturnConsumedCapacity"] = json!("INDEXES");
        let body = body.to_string();
        request.headers_mut().insert("content-length", body.len().to_string());
        *request.body_mut() = SdkBody::from(body);
        let (inner, units) = (inner.clone(), Arc::clone(&self.units));
        HttpConnectorFuture::new(async move {
            let mut response = inner.call(request).await?;
            let body = ByteStream::new(response.take_body()).collect().await;
            let body = body.map_err(|error| ConnectorError::io(error.into()))?.to_vec();
            count(&mut units.lock().unwrap(), reads, &serde_json::from_slice(&body).unwrap());
            *response.body_mut() = SdkBody::from(body);
            Ok(response)
        })
    }
}

fn count(units: &mut Units, reads: bool, reply: &Value) {
    let consumed = match &reply["ConsumedCapacity"] {
        Value::Array(tables) => tables.clone(),
        Value::Null => {
            let kind = reply["__type"].as_str().expect("an error");
            assert!(kind.ends_with("ConditionalCheckFailedException"), "{kind}");
            units.refused += 1;
            return;
        }
        table => vec![table.clone()],
    };
    for table in consumed {
        let total = table["CapacityUnits"].as_f64().unwrap();
        *(if reads { &mut units.read } else { &mut units.write }) += total;
        for (index, capacity) in table["GlobalSecondaryIndexes"].as_object().into_iter().flatten() {
            *units.by_index.entry(index.clone()).or_default() += capacity["CapacityUnits"].as_f64().unwrap();
        }
    }
}

/// A table whose units are counted, and the same one past the meter.
struct Office {
    meter: Meter,
    client: Client,
    documents: Table<Document>,
    rival: Table<Document>,
}

impl Office {
    fn on(engine: &Engine) -> Self {
        let meter = Meter::default();
        let config = engine.config().http_client(meter.wrap(engine.http_client()));
        let client = Client::from_conf(config.build());
        let documents = Table::new(&client, "documents");
        Self { meter, client, documents, rival: Table::new(&engine.client(), "documents") }
    }

    async fn with_documents() -> Self {
        let office = Self::on(&Engine::in_memory());
        office.rival.create_table().await.unwrap();
        for id in ["a", "b", "c"] {
            office.rival.create(&mut document(id)).await.unwrap();
        }
        office
    }
}

/// A row of the page's first table.
fn row(call: &str, units: &Units) -> String {
    assert_eq!(units.refused, 0, "{call}");
    format!("| {call} | {} | {} |", units.read, units.write)
}

#[tokio::test(start_paused = true)]
async fn the_guide_says_what_a_call_costs() {
    let office = Office::with_documents().await;
    let Office { meter, client, documents, rival } = &office;
    let mut rows = Vec::new();
    let mut add = |call: &str| rows.push(row(call, &meter.take()));

    let mut held = documents.get("a").await.unwrap().unwrap();
    add("`get`");
    documents.get("a").eventually_consistent().await.unwrap();
    add("`get`, eventually consistent");
    documents.get_many(["a", "b", "c"]).await.unwrap();
    add("`get_many` of 3");
    documents.create(&mut document("d")).await.unwrap();
    add("`create`");
    documents.create(&mut document("e")).in_transaction().await.unwrap();
    add("`create(..).in_transaction()`");
    documents.save(&mut held).await.unwrap();
    add("`save`");
    documents.replace(&mut held).await.unwrap();
    add("`replace`");
    documents.touch(&mut held).await.unwrap();
    add("`touch`");
    documents.delete(&held).await.unwrap();
    add("`delete`");
    let mut held = documents.get_many(["b", "c"]).await.unwrap();
    let _ = meter.take();
    documents.save_all(held.iter_mut().flatten()).await.into_result().unwrap();
    add("`save_all` of 2");

    documents.update("b", |document| document.visits += 1).await.unwrap();
    add("`update`");
    documents.update("b", |_| {}).await.unwrap();
    add("`update` that changes nothing");
    let visit = || documents.update("b", |document| document.visits += 1).into_future();
    tokio::try_join!(visit(), visit(), visit()).unwrap();
    add("3 `update` in turn");
    let shared = documents.clone().coalescing();
    let visit = || shared.update("b", |document| document.visits += 1).into_future();
    tokio::try_join!(visit(), visit(), visit()).unwrap();
    add("3 `update` at once, coalescing");

    let (mut b, mut c) = (rival.get("b").await.unwrap().unwrap(), rival.get("c").await.unwrap().unwrap());
    Transaction::new(client).save(documents, &mut b).save(documents, &mut c).commit().await.unwrap();
    add("`Transaction` that saves 2");
    Transaction::new(client).save(documents, &mut b).check(documents, &c).commit().await.unwrap();
    add("`Transaction` that saves 1 and checks 1");
    let both = transact(client, move |tx| async move {
        let (b, c) = (tx.get(documents, "b").await?.unwrap(), tx.get(documents, "c").await?.unwrap());
        tx.save(documents, b)?;
        tx.save(documents, c)
    });
    both.await.unwrap();
    add("`transact` that reads 2 and saves both");
    let none = transact(client, move |tx| async move {
        tx.get(documents, "b").await?;
        tx.get(documents, "c").await
    });
    none.await.unwrap();
    add("`transact` that only reads 2");
    let one = transact(client, move |tx| async move {
        let b = tx.get(documents, "b").await?.unwrap();
        tx.save(documents, b)
    });
    one.await.unwrap();
    add("`transact` that reads 1 and saves it");
    transact(client, move |tx| async move { tx.create(documents, document("f")) }).await.unwrap();
    add("`transact` that creates 1");

    assert_on_page(&rows);
}

/// Whether these are all the rows of one of the page's tables.
fn assert_on_page(rows: &[String]) {
    let table = format!("|\n{}\n\n", rows.join("\n"));
    assert!(PAGE.contains(&table), "the page has another table than\n{table}");
}

/// The answer to a refused write tells no units. DynamoDB bills it like an applied one:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/WorkingWithItems.html>.
#[tokio::test(start_paused = true)]
async fn the_guide_says_what_conflicts_add_to_an_update() {
    let mut rows = Vec::new();
    for conflicts in 0..=4 {
        let engine = Engine::in_memory();
        let faults = dynalock::testing::Faults::new(engine.http_client());
        let meter = Meter::default();
        let config = engine.config().http_client(meter.wrap(faults.clone()));
        let client = Client::from_conf(config.build());
        let (documents, rival) =
            (Table::new(&client, "documents"), Table::new(&engine.client(), "documents"));
        rival.create_table().await.unwrap();
        rival.create(&mut document("a")).await.unwrap();
        let between = async {
            let mut gate = (conflicts > 0).then(|| faults.hold_up("UpdateItem"));
            for remaining in (0..conflicts).rev() {
                let reached = gate.take().unwrap();
                reached.reached().await;
                rival.update("a", |document: &mut Document| document.visits += 1).await.unwrap();
                gate = (remaining > 0).then(|| faults.hold_up("UpdateItem"));
                reached.open();
            }
        };
        let (updated, ()) = tokio::join!(
            async { documents.update("a", |document: &mut Document| document.visits += 1).await },
            between
        );
        assert_eq!(updated.unwrap().visits, conflicts + 1);
        let Units { read, write, refused, .. } = meter.take();
        assert_eq!(i64::from(refused), conflicts);
        let billed = write + f64::from(refused) * write;
        rows.push(format!("| {conflicts} | {} | {read} | {billed} |", refused + 1));
    }
    assert_on_page(&rows);
}

const INDEXES: [&str; 3] = ["ALL", "INCLUDE", "KEYS_ONLY"];

/// An index by `owner` for each projection; `INCLUDE` is of `status`.
async fn indexed() -> Office {
    let engine = Engine::in_memory();
    let string = |name: &str| {
        let definition = AttributeDefinition::builder().attribute_name(name);
        definition.attribute_type(ScalarAttributeType::S).build().unwrap()
    };
    let hash = |name: &str| {
        KeySchemaElement::builder().attribute_name(name).key_type(KeyType::Hash).build().unwrap()
    };
    let mut create = engine.client().create_table().table_name("documents");
    create = create.billing_mode(BillingMode::PayPerRequest).key_schema(hash("id"));
    create = create.attribute_definitions(string("id")).attribute_definitions(string("owner"));
    for name in INDEXES {
        let projection = Projection::builder().projection_type(ProjectionType::from(name));
        let included = (name == "INCLUDE").then(|| vec!["status".to_owned()]);
        let projection = projection.set_non_key_attributes(included).build();
        let index = GlobalSecondaryIndex::builder().index_name(name).key_schema(hash("owner"));
        create = create.global_secondary_indexes(index.projection(projection).build().unwrap());
    }
    create.send().await.unwrap();
    let office = Office::on(&engine);
    office.rival.create(&mut document("a")).await.unwrap();
    office
}

#[tokio::test]
async fn the_guide_says_what_a_write_costs_in_each_index() {
    let Office { meter, documents, rival, .. } = &indexed().await;
    let mut by_write = Vec::new();
    let mut held = rival.get("a").await.unwrap().unwrap();
    documents.touch(&mut held).await.unwrap();
    by_write.push(meter.take());
    for change in [
        (|document| document.visits += 1) as fn(&mut Document),
        |document| document.status = "read".into(),
        |document| document.owner = "bob".into(),
    ] {
        change(&mut held);
        documents.save(&mut held).await.unwrap();
        by_write.push(meter.take());
    }
    let rows = INDEXES.map(|index| {
        let cells = by_write.iter().map(|units| units.by_index.get(index).copied().unwrap_or_default());
        let cells: Vec<_> = cells.map(|units| units.to_string()).collect();
        format!("| `{index}` | {} |", cells.join(" | "))
    });
    assert_on_page(&rows);
}

/// An item with this many stamps, after as many writes as fill all slots.
macro_rules! stamped {
    ($($stamps:literal)*) => {
        [$({
            #[derive(Debug, Clone, Serialize, Deserialize, Versioned)]
            #[dynalock(stamps = $stamps)]
            struct Stamped {
                #[dynalock(partition_key)]
                id: String,
                #[dynalock(version)]
                version: u64,
            }
            let client = Engine::in_memory().client();
            let table = Table::<Stamped>::new(&client, "stamped");
            table.create_table().await.unwrap();
            let mut item = Stamped { id: "a".into(), version: 0 };
            table.create(&mut item).await.unwrap();
            for _ in 0..40 {
                table.touch(&mut item).await.unwrap();
            }
            let read = client.get_item().table_name("stamped");
            let read = read.key("id", aws_sdk_dynamodb::types::AttributeValue::S("a".into())).send();
            let stored = read.await.unwrap().item.unwrap();
            let stamps = stored.iter().filter(|(name, _)| name.starts_with("_stamp"));
            let bytes: usize = stamps.map(|(name, value)| name.len() + value.as_b().unwrap().as_ref().len()).sum();
            format!("| {} | {bytes} |", $stamps)
        }),*]
    };
}

#[tokio::test]
async fn the_guide_says_by_how_many_bytes_stamps_make_an_item_larger() {
    assert_on_page(&stamped!(0 1 4 8 16 32));
}
