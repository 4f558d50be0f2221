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
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure::AllOld};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use dynalock::{Table, Versioned};
use serde::{Deserialize, Serialize};

type Failure = Box<dyn std::error::Error>;

const CALLS: [&str; 4] = ["create", "get", "save", "update"];
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
    println!("{:<8} {:>14} {:>14} {:>7}", "call", "by hand", "dynalock", "ratio");
    for call in CALLS {
        let hand = instructions("hand", call)?;
        let dynalock = instructions("dynalock", call)?;
        println!("{call:<8} {hand:>14.0} {dynalock:>14.0} {:>7.3}", dynalock / hand);
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
                _ => by_dynalock(&table, call).await?,
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
    Order {
        id: "order-4711".into(),
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

async fn by_dynalock(orders: &Table<Order>, call: &str) -> Result<(), Failure> {
    match call {
        "create" => orders.create(black_box(&mut order())).await?,
        "get" => drop(black_box(orders.get("order-4711").await?)),
        "save" => orders.save(black_box(&mut order())).await?,
        _ => drop(black_box(orders.update("order-4711", |order| order.cents += 1).await?)),
    }
    Ok(())
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
        "get" => drop(black_box(read(client).await?)),
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
        _ => {
            let mut order = read(client).await?;
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
    }
    Ok(())
}

async fn read(client: &Client) -> Result<Order, Failure> {
    let request = client.get_item().table_name("orders").consistent_read(true);
    let output = request.key("id", AttributeValue::S("order-4711".into())).send().await?;
    Ok(serde_dynamo::from_item(output.item.ok_or("no item")?)?)
}

/// Answers every read with the same order, and every write with success.
#[derive(Debug, Clone)]
struct Canned;

const ITEM: &str = r#"{"Item":{"id":{"S":"order-4711"},"customer":{"S":"customer-42"},"status":{"S":"open"},"cents":{"N":"123456"},"weight":{"N":"2.5"},"lines":{"L":[{"S":"apples"},{"S":"pears"},{"S":"plums"}]},"address":{"M":{"street":{"S":"High Street 1"},"city":{"S":"Springfield"}}},"version":{"N":"7"}}}"#;

impl HttpConnector for Canned {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let body = if target.ends_with(".GetItem") { ITEM } else { "{}" };
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
