//! What dynalock costs beside the same requests written by hand: instructions per call, counted by callgrind.
//!
//! `cargo bench -p dynalock-tests --bench instructions` prints one table. Both sides run in one process image, over the
//! same client, whose connector answers from memory, so what is counted is the SDK, serde and the code around them. The
//! count is repeatable; the ratio is what matters.

use std::collections::HashMap;
use std::hint::black_box;
use std::process::{Command, ExitCode};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValuesOnConditionCheckFailure::AllOld, TransactWriteItem, Update,
};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use dynalock::{Table, Transaction, Versioned, transact};
use serde::{Deserialize, Serialize};

type Failure = Box<dyn std::error::Error>;

const CALLS: [&str; 7] =
    ["create", "get", "save", "update", "transaction of 2", "transaction of 25", "transact 2"];
const FEW: u64 = 20;
const MANY: u64 = 120;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let result = match &arguments[1..] {
        [child, side, call, repetitions] if child == "child" => work(side, call, repetitions),
        _ => compare(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

/// Runs every call on both sides under callgrind and prints the table.
fn compare() -> Result<(), Failure> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("valgrind is not installed: nothing is measured");
        return Ok(());
    }
    println!("{:<17} {:>14} {:>14} {:>7}", "call", "by hand", "dynalock", "ratio");
    for call in CALLS {
        let hand = instructions("hand", call)?;
        let dynalock = instructions("dynalock", call)?;
        println!("{call:<17} {hand:>14.0} {dynalock:>14.0} {:>7.3}", dynalock / hand);
    }
    Ok(())
}

/// Instructions per call: what more calls cost beyond fewer, so that starting up does not count.
fn instructions(side: &str, call: &str) -> Result<f64, Failure> {
    let total = |repetitions: u64| -> Result<f64, Failure> {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(std::env::current_exe()?)
            .args(["child", side, call, &repetitions.to_string()])
            .output()?;
        let report = String::from_utf8_lossy(&output.stderr);
        let collected = report.lines().find_map(|line| line.split_once("Collected :"));
        let (_, count) = collected.ok_or_else(|| format!("{side} {call} failed:\n{report}"))?;
        Ok(count.trim().parse()?)
    };
    #[allow(clippy::cast_precision_loss)] // small numbers
    Ok((total(MANY)? - total(FEW)?) / (MANY - FEW) as f64)
}

/// One side's call, again and again.
fn work(side: &str, call: &str, repetitions: &str) -> Result<(), Failure> {
    let repetitions: u64 = repetitions.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = client();
        let table = Table::<Order>::new(&client, "orders");
        for _ in 0..repetitions {
            match side {
                "hand" => by_hand(&client, call).await?,
                _ => by_dynalock(&client, &table, call).await?,
            }
        }
        Ok(())
    })
}

#[derive(Serialize, Deserialize, Versioned)]
struct Order {
    #[dynalock(partition_key)]
    id: String,
    customer: String,
    status: String,
    cents: i64,
    weight: f64,
    lines: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    address: HashMap<String, String>,
    #[dynalock(version)]
    version: u64,
}

fn order() -> Order {
    order_of("order-4711".into())
}

/// What a transaction holds.
fn held(orders: u32) -> Vec<Order> {
    (0..orders).map(|number| order_of(format!("order-{number}"))).collect()
}

fn order_of(id: String) -> Order {
    Order {
        id,
        customer: "customer-42".into(),
        status: "open".into(),
        cents: 123_456,
        weight: 2.5,
        lines: vec!["apples".into(), "pears".into(), "plums".into()],
        note: None,
        address: [("street", "High Street 1"), ("city", "Springfield")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        version: 7,
    }
}

async fn by_dynalock(client: &Client, orders: &Table<Order>, call: &str) -> Result<(), Failure> {
    match call {
        "create" => orders.create(black_box(&mut order())).await?,
        "get" => drop(black_box(orders.get("order-4711").await?)),
        "save" => orders.save(black_box(&mut order())).await?,
        "update" => drop(black_box(orders.update("order-4711", |order| order.cents += 1).await?)),
        "transaction of 2" => save_together(client, orders, held(2)).await?,
        "transaction of 25" => save_together(client, orders, held(25)).await?,
        _ => {
            let moved = transact(client, move |tx| async move {
                let mut from = tx.get(orders, "order-4711").await?.ok_or(dynalock::Error::NotFound)?;
                let mut to = tx.get(orders, "order-4712").await?.ok_or(dynalock::Error::NotFound)?;
                from.cents -= 1;
                to.cents += 1;
                tx.save(orders, from)?;
                tx.save(orders, to)
            });
            moved.await?;
        }
    }
    Ok(())
}

async fn save_together(client: &Client, orders: &Table<Order>, mut held: Vec<Order>) -> Result<(), Failure> {
    let saves = black_box(&mut held)
        .iter_mut()
        .fold(Transaction::new(client), |transaction, order| transaction.save(orders, order));
    Ok(saves.commit().await?)
}

async fn by_hand(client: &Client, call: &str) -> Result<(), Failure> {
    match call {
        "create" => {
            let mut order = black_box(order());
            order.version = 1;
            client
                .put_item()
                .table_name("orders")
                .set_item(Some(serde_dynamo::to_item(&order)?))
                .condition_expression("attribute_not_exists(id)")
                .return_values_on_condition_check_failure(AllOld)
                .send()
                .await?;
        }
        "get" => drop(black_box(read(client, "order-4711").await?)),
        "save" => {
            let mut order = black_box(order());
            let expected = AttributeValue::N(order.version.to_string());
            order.version += 1;
            let mut item: HashMap<String, AttributeValue> = serde_dynamo::to_item(&order)?;
            let id = item.remove("id").ok_or("no id")?;
            let mut request = client
                .update_item()
                .table_name("orders")
                .key("id", id)
                .update_expression(
                    "SET #version=:version,#customer=:customer,#status=:status,#cents=:cents,#weight=:weight,\
                     #lines=:lines,#address=:address REMOVE #note",
                )
                .condition_expression("#version=:expected")
                .expression_attribute_names("#note", "note")
                .expression_attribute_values(":expected", expected)
                .return_values_on_condition_check_failure(AllOld);
            for (name, value) in item {
                request = request
                    .expression_attribute_names(format!("#{name}"), &name)
                    .expression_attribute_values(format!(":{name}"), value);
            }
            request.send().await?;
        }
        "update" => {
            let mut order = read(client, "order-4711").await?;
            let expected = AttributeValue::N(order.version.to_string());
            order.version += 1;
            order.cents += 1;
            client
                .update_item()
                .table_name("orders")
                .key("id", AttributeValue::S(order.id.clone()))
                .update_expression("SET #version=:version,#cents=:cents")
                .condition_expression("#version=:expected")
                .expression_attribute_names("#version", "version")
                .expression_attribute_names("#cents", "cents")
                .expression_attribute_values(":version", AttributeValue::N(order.version.to_string()))
                .expression_attribute_values(":cents", AttributeValue::N(order.cents.to_string()))
                .expression_attribute_values(":expected", expected)
                .return_values_on_condition_check_failure(AllOld)
                .send()
                .await?;
            drop(black_box(order));
        }
        "transaction of 2" => save_together_by_hand(client, held(2)).await?,
        "transaction of 25" => save_together_by_hand(client, held(25)).await?,
        _ => {
            let mut from = read(client, "order-4711").await?;
            let mut to = read(client, "order-4712").await?;
            from.cents -= 1;
            to.cents += 1;
            save_together_by_hand(client, vec![from, to]).await?;
        }
    }
    Ok(())
}

/// The same requests, write stamps included.
async fn save_together_by_hand(client: &Client, mut held: Vec<Order>) -> Result<(), Failure> {
    let mut actions = Vec::with_capacity(held.len());
    for order in black_box(&mut held) {
        let expected = AttributeValue::N(order.version.to_string());
        order.version += 1;
        let stamp = u128::from(order.version) << 64 | u128::from(fastrand::u64(..));
        let mut item: HashMap<String, AttributeValue> = serde_dynamo::to_item(&*order)?;
        let id = item.remove("id").ok_or("no id")?;
        let mut update = Update::builder()
            .table_name("orders")
            .key("id", id)
            .update_expression(
                "SET #version=:version,#stamp=:stamp,#customer=:customer,#status=:status,#cents=:cents,\
                 #weight=:weight,#lines=:lines,#address=:address REMOVE #note",
            )
            .condition_expression("#version=:expected")
            .expression_attribute_names("#note", "note")
            .expression_attribute_names("#stamp", "_stamp0")
            .expression_attribute_values(":stamp", AttributeValue::B(Blob::new(stamp.to_be_bytes())))
            .expression_attribute_values(":expected", expected)
            .return_values_on_condition_check_failure(AllOld);
        for (name, value) in item {
            update = update
                .expression_attribute_names(format!("#{name}"), &name)
                .expression_attribute_values(format!(":{name}"), value);
        }
        actions.push(TransactWriteItem::builder().update(update.build()?).build());
    }
    client.transact_write_items().set_transact_items(Some(actions)).send().await?;
    Ok(())
}

async fn read(client: &Client, id: &str) -> Result<Order, Failure> {
    let request = client.get_item().table_name("orders").consistent_read(true);
    let output = request.key("id", AttributeValue::S(id.into())).send().await?;
    Ok(serde_dynamo::from_item(output.item.ok_or("no item")?)?)
}

/// Answers every read with one of two orders, and every write with success.
#[derive(Debug, Clone)]
struct Canned;

macro_rules! item {
    ($id:literal) => {
        concat!(
            r#"{"Item":{"id":{"S":""#,
            $id,
            r#""},"customer":{"S":"customer-42"},"status":{"S":"open"},"cents":{"N":"123456"},"weight":{"N":"2.5"},"lines":{"L":[{"S":"apples"},{"S":"pears"},{"S":"plums"}]},"address":{"M":{"street":{"S":"High Street 1"},"city":{"S":"Springfield"}}},"version":{"N":"7"}}}"#
        )
    };
}

impl HttpConnector for Canned {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let asked = request.body().bytes().unwrap_or_default();
        let body = match target.ends_with(".GetItem") {
            true if asked.windows(10).any(|id| id == b"order-4712") => item!("order-4712"),
            true => item!("order-4711"),
            false => "{}",
        };
        HttpConnectorFuture::ready(Ok(HttpResponse::new(
            200.try_into().expect("a status"),
            SdkBody::from(body),
        )))
    }
}

impl HttpClient for Canned {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Self)
    }
}

fn client() -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("key", "secret", None, None, "bench"))
        .http_client(Canned);
    Client::from_conf(config.build())
}
