//! Whatever item the store shows when it refuses a save, the answer is the one that the table of verdicts has for it, and `Ok`
//! only where the item holds the stamp of this very save.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arbitrary::{Result, Unstructured};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::{RetryPartition, TokenBucket};
use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, HttpClient, Region, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use dynalock::{Condition, Error, Table, Versioned};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::draw::{self, Item};
use crate::{block_on, shows_no_data};

const TABLE: &str = "counters";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
struct Counter {
    #[dynalock(partition_key)]
    id: String,
    count: i64,
    #[dynalock(version, step = 3)]
    version: u64,
}

const STEP: u64 = 3;

/// A slot of the item that the store shows.
#[derive(Debug, Clone)]
enum Slot {
    /// The stamp of the save, as it was sent.
    Own,
    /// As `Own`, with another byte at the end.
    Longer,
    /// As `Own`, without its last byte.
    Shorter,
    /// Another write's stamp for this version.
    Of(u64, u64),
    Any(AttributeValue),
}

/// A store that loses some replies first and then refuses whatever is sent.
#[derive(Debug)]
struct Store {
    /// How many attempts are answered with nothing usable.
    unclear: AtomicU32,
    /// Without the stamps.
    item: Option<Item>,
    slots: Vec<(String, Slot)>,
    /// Whether the refusal tells the item, or a read must.
    tells: bool,
    /// The stamp that was sent.
    sent: Mutex<Option<Vec<u8>>>,
}

impl Store {
    fn shown(&self) -> Option<Item> {
        let sent = self.sent.lock().expect("nothing panics with it").clone().expect("a save has a stamp");
        let mut item = self.item.clone()?;
        for (name, slot) in &self.slots {
            let bytes = |bytes: &[u8]| AttributeValue::B(Blob::new(bytes));
            let value = match slot {
                Slot::Own => bytes(&sent),
                Slot::Longer => bytes(&[&*sent, &[0]].concat()),
                Slot::Shorter => bytes(&sent[..15]),
                Slot::Of(version, unique) => bytes(&[version.to_be_bytes(), unique.to_be_bytes()].concat()),
                Slot::Any(value) => value.clone(),
            };
            item.insert(name.clone(), value);
        }
        Some(item)
    }

    fn answer(&self, request: &HttpRequest) -> std::result::Result<HttpResponse, BoxError> {
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default())?;
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let (status, answer) = if target.ends_with("GetItem") {
            let item = self.shown().map(|item| json!({ "Item": draw::json(&item) }));
            (200, item.unwrap_or_else(|| json!({})))
        } else {
            let stamp = body["ExpressionAttributeValues"][":_s"]["B"].as_str().unwrap_or_default();
            let stamp = aws_smithy_types::base64::decode(stamp)?;
            assert_eq!(stamp.len(), 16);
            let mut sent = self.sent.lock().expect("nothing panics with it");
            assert!(sent.as_ref().is_none_or(|sent| *sent == stamp), "every re-send has the same stamp");
            *sent = Some(stamp);
            drop(sent);
            let left = self.unclear.load(Ordering::Relaxed);
            if left > 0 {
                self.unclear.store(left - 1, Ordering::Relaxed);
                (500, json!({ "__type": "InternalServerError" }))
            } else {
                let item = self.shown().filter(|_| self.tells).map(|item| draw::json(&item));
                let kind = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
                let mut refusal = json!({ "__type": kind, "message": "The conditional request failed" });
                if let Some(item) = item {
                    refusal["Item"] = item;
                }
                (400, refusal)
            }
        };
        let mut response = HttpResponse::new(status.try_into()?, SdkBody::from(answer.to_string()));
        response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
        Ok(response)
    }
}

#[derive(Debug, Clone)]
struct Network(Arc<Store>);

impl HttpClient for Network {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Network {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::ready(Ok(self.0.answer(&request).expect("the SDK's requests are JSON")))
    }
}

/// A client of `store`, with a quota for retries of its own.
fn client(store: &Arc<Store>) -> Client {
    static CLIENTS: AtomicU64 = AtomicU64::new(0);
    let partition = format!("dynalock-fuzz-{}", CLIENTS.fetch_add(1, Ordering::Relaxed));
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("fuzz", "fuzz", None, None, "fuzz"))
        .retry_partition(RetryPartition::custom(partition).token_bucket(TokenBucket::default()).build())
        .http_client(Network(Arc::clone(store)));
    Client::from_conf(config.build())
}

/// What a save may end in.
#[derive(Debug, PartialEq)]
enum Answer {
    Ok,
    Conflict,
    ConditionFailed,
    NotFound,
    Unknown,
}

/// The version of an item: none, NULL and 0 are 0; `None` is what can't be a version.
fn version(item: &Item) -> Option<u64> {
    match item.get("version") {
        None | Some(AttributeValue::Null(_)) => Some(0),
        Some(AttributeValue::N(digits)) => digits.parse().ok(),
        Some(_) => None,
    }
}

/// The table of verdicts for a save from version `old` to `new`, row by row; the first that fits.
fn expected(item: Option<&Item>, own: &[u8], old: u64, new: u64, conditional: bool, clean: bool) -> Answer {
    let only_if_clean = |answer| if clean { answer } else { Answer::Unknown };
    let Some(item) = item else { return only_if_clean(Answer::NotFound) };
    let stamps: Vec<&[u8]> = (0..32)
        .filter_map(|slot| match item.get(&format!("_stamp{slot}")) {
            Some(AttributeValue::B(blob)) if blob.as_ref().len() == 16 => Some(blob.as_ref()),
            _ => None,
        })
        .collect();
    let version = version(item);
    let taken = version == Some(new) || stamps.iter().any(|stamp| stamp[..8] == new.to_be_bytes());
    let passed_by = old > 0 && version.is_some_and(|version| old < version && version < new);
    if stamps.contains(&own) {
        Answer::Ok
    } else if taken || passed_by {
        Answer::Conflict
    } else if old > 0 && version == Some(old) && conditional {
        Answer::ConditionFailed
    } else if old == 0 && version == Some(0) && conditional {
        only_if_clean(Answer::ConditionFailed)
    } else {
        only_if_clean(Answer::Conflict)
    }
}

fn slot(bytes: &mut Unstructured<'_>, new: u64) -> Result<(String, Slot)> {
    let name = format!("_stamp{}", bytes.int_in_range(0..=33)?);
    let slot = match bytes.int_in_range(0..=7)? {
        0 => Slot::Own,
        1 => Slot::Longer,
        2 => Slot::Shorter,
        3 => Slot::Of(new, bytes.arbitrary()?),
        4 => Slot::Of(bytes.arbitrary()?, bytes.arbitrary()?),
        5 => Slot::Any(AttributeValue::B(Blob::new(bytes.arbitrary::<[u8; 16]>()?))),
        _ => Slot::Any(draw::value(bytes)?),
    };
    Ok((name, slot))
}

fn run(bytes: &mut Unstructured<'_>) -> Result<()> {
    let old = match bytes.int_in_range(0..=3)? {
        0 => 0,
        1 => bytes.arbitrary::<u64>()?,
        _ => u64::from(bytes.arbitrary::<u8>()?),
    };
    let Some(new) = (if old == 0 { Some(1) } else { old.checked_add(STEP) }) else { return Ok(()) };
    let item = if bytes.ratio(7, 8)? {
        let mut item = Item::from([("id".into(), AttributeValue::S("a".into()))]);
        for _ in 0..bytes.int_in_range(0..=2)? {
            item.insert(draw::text(bytes)?, draw::value(bytes)?);
        }
        let version = match bytes.int_in_range(0..=7)? {
            0 => None,
            1 => Some(draw::value(bytes)?),
            2 => Some(AttributeValue::Null(true)),
            3 => Some(AttributeValue::N(bytes.arbitrary::<u64>()?.to_string())),
            // Around the version.
            near => Some(AttributeValue::N((old + near).saturating_sub(5).to_string())),
        };
        item.extend(version.map(|version| ("version".into(), version)));
        Some(item)
    } else {
        None
    };
    let slots = (0..bytes.int_in_range(0..=3)?).map(|_| slot(bytes, new)).collect::<Result<_>>()?;
    let unclear = bytes.int_in_range(0..=2)?;
    let (conditional, tells) = (bytes.arbitrary()?, bytes.arbitrary()?);
    let store = Store { unclear: unclear.into(), item, slots, tells, sent: Mutex::default() };
    answered(&Arc::new(store), unclear == 0, old, new, conditional);
    Ok(())
}

fn answered(store: &Arc<Store>, clean: bool, old: u64, new: u64, conditional: bool) {
    let table = Table::<Counter>::new(&client(store), TABLE);
    let mut counter = Counter { id: "a".into(), count: 1, version: old };
    let before = counter.clone();
    let ended = block_on(async {
        let save = table.save(&mut counter);
        if conditional { save.condition(Condition::new("attribute_exists(id)")).await } else { save.await }
    });
    let shown = store.shown();
    let own = store.sent.lock().expect("nothing panics with it").clone().expect("a save has a stamp");
    let answer = match &ended {
        Ok(()) => Answer::Ok,
        Err(Error::Conflict(conflict)) => {
            assert_eq!(conflict.item(), shown.as_ref());
            assert_eq!(conflict.expected(), old);
            assert_eq!(conflict.actual(), shown.as_ref().and_then(version));
            Answer::Conflict
        }
        Err(Error::ConditionFailed(_)) => Answer::ConditionFailed,
        Err(Error::NotFound) => Answer::NotFound,
        Err(Error::OutcomeUnknown(unknown)) => {
            assert_eq!(unknown.intended(), Some(new));
            later(unknown, shown.as_ref(), &own);
            Answer::Unknown
        }
        Err(error) => panic!("a refused save ends in {error:?}"),
    };
    if let Err(error) = &ended {
        shows_no_data(error);
    }
    assert_eq!(answer, expected(shown.as_ref(), &own, old, new, conditional, clean), "from {old}: {shown:?}");
    let raised = Counter { version: new, ..before.clone() };
    assert_eq!(counter, if ended.is_ok() { raised } else { before }, "an object moves with Ok alone");
}

/// What is asked later agrees: nothing but the own stamp says that it was applied.
fn later(unknown: &dynalock::UnknownOutcome, shown: Option<&HashMap<String, AttributeValue>>, own: &[u8]) {
    assert_ne!(unknown.was_applied(shown), Some(true), "it was unknown, from the same item");
    let mut item = shown.cloned().unwrap_or_default();
    item.insert("_stamp7".into(), AttributeValue::B(Blob::new(own)));
    assert_eq!(unknown.was_applied(Some(&item)), Some(true));
}

/// Panics if `bytes` make a refusal that is answered wrongly.
pub fn check(bytes: &[u8]) {
    // Bytes that end too early make no refusal.
    let _ = run(&mut Unstructured::new(bytes));
}
