//! Programs that know nothing of dynalock: they raise the version as any mapper does, and treat the write stamps as they
//! like. And the loop that everybody writes who has not heard of lost replies.

use std::collections::HashMap;

use aws_sdk_dynamodb::{config::retry::RetryConfig, primitives::Blob, types::AttributeValue};
use dynalock_tests::history::{Action, Answer, SECRET, Way};

use crate::{
    caller::{Caller, Open, Setting},
    document::{MORTAL, TABLE},
};

type Item = HashMap<String, AttributeValue>;

/// How a foreign program puts an item, where it does not `update` it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Habit {
    /// `PutItem` of what it knows, which drops the stamps.
    Put,
    /// Reads a whole copy, changes it and puts it back, stamps and all.
    PutBack,
    /// Puts back a copy that it kept from earlier, at a higher version.
    Restore,
}

pub(crate) async fn foreign(setting: Setting, seed: u64) {
    let mut caller = Caller::new("foreign".into(), &setting, seed);
    let mut kept: HashMap<&str, Item> = HashMap::new();
    for _ in 0..setting.calls {
        caller.pause().await;
        let key = caller.key();
        let open = caller.begin(Action::Foreign, key, 0);
        let stored = read(&caller, key).await;
        match stored {
            Ok(None) if key == MORTAL => {
                create(&caller, &open, key, setting.from_1).await;
            }
            Ok(None) | Err(()) => {}
            Ok(Some(item)) => {
                let old = kept.entry(key).or_insert_with(|| item.clone()).clone();
                match caller.dice.u32(0..6) {
                    0 if key == MORTAL => delete(&caller, key, &item).await,
                    1 | 2 => update(&mut caller, &open, key).await,
                    3 => put(&mut caller, &open, Habit::PutBack, item.clone(), &item).await,
                    4 => put(&mut caller, &open, Habit::Restore, old, &item).await,
                    _ => put(&mut caller, &open, Habit::Put, item.clone(), &item).await,
                }
                if caller.dice.bool() {
                    kept.insert(key, item);
                }
            }
        }
        caller.end(open, Answer::Open);
    }
}

/// Deletes whatever is there, again and again, as DynamoDB does with what has expired.
pub(crate) async fn sweep(setting: Setting, seed: u64) {
    let mut caller = Caller::new("sweeper".into(), &setting, seed);
    for _ in 0..5 * setting.calls {
        caller.pause().await;
        let key = caller.key();
        let open = caller.begin(Action::Foreign, key, 0);
        let delete = caller.client.delete_item().table_name(TABLE).key("id", AttributeValue::S(key.into()));
        let _ = delete.send().await;
        caller.end(open, Answer::Open);
    }
}

/// Reads, changes and writes, and does so again whenever a check fails.
pub(crate) async fn naive(setting: Setting, seed: u64) {
    let mut caller = Caller::new("naive".into(), &setting, seed);
    for _ in 0..setting.calls {
        caller.pause().await;
        let key = caller.key();
        let mut open = caller.begin(Action::Update, key, 0);
        open.call.runs = 0;
        let mut answer = Answer::Conflict;
        while answer == Answer::Conflict && open.call.runs < 20 {
            open.call.runs += 1;
            answer = match read(&caller, key).await {
                Ok(Some(mut item)) => {
                    let old = version_of(&item);
                    append(&mut item, open.call.mark());
                    let write = caller
                        .client
                        .update_item()
                        .table_name(TABLE)
                        .key("id", AttributeValue::S(key.into()))
                        .update_expression("SET #log = :log, #version = :new")
                        .condition_expression(IS_STILL)
                        .expression_attribute_names("#version", "version")
                        .expression_attribute_names("#log", "log")
                        .expression_attribute_values(":log", item["log"].clone())
                        .expression_attribute_values(":new", number(old + 1))
                        .expression_attribute_values(":old", number(old));
                    match write.send().await.map_err(aws_sdk_dynamodb::Error::from) {
                        Ok(_) => {
                            open.call.seen = Some((old + 1, list_of(&item)));
                            Answer::Ok
                        }
                        Err(aws_sdk_dynamodb::Error::ConditionalCheckFailedException(_)) => Answer::Conflict,
                        Err(_) => Answer::Unknown(None),
                    }
                }
                Ok(None) => Answer::NotFound,
                Err(()) => Answer::Failed,
            };
        }
        caller.end(open, answer);
    }
}

const IS_STILL: &str = "attribute_exists(id) AND (#version = :old OR attribute_not_exists(#version))";

fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn version_of(item: &Item) -> u64 {
    let version = item.get("version").and_then(|version| version.as_n().ok());
    version.and_then(|version| version.parse().ok()).unwrap_or_default()
}

fn list_of(item: &Item) -> Vec<String> {
    let list = item.get("log").and_then(|list| list.as_l().ok());
    list.into_iter().flatten().filter_map(|mark| Some(mark.as_s().ok()?.clone())).collect()
}

fn append(item: &mut Item, mark: String) {
    let log = item.entry("log".into()).or_insert_with(|| AttributeValue::L(vec![]));
    if let AttributeValue::L(log) = log {
        log.push(AttributeValue::S(mark));
    }
}

async fn read(caller: &Caller, key: &str) -> Result<Option<Item>, ()> {
    let read = caller.client.get_item().table_name(TABLE).consistent_read(true);
    let read = read.key("id", AttributeValue::S(key.into())).send().await;
    read.map(|read| read.item).map_err(drop)
}

/// Its request leaves once: a second one could bring back what was deleted, at the same version, against A3.
async fn create(caller: &Caller, open: &Open, key: &str, from_1: bool) {
    let put = caller.client.put_item().table_name(TABLE).set_item(Some(new(caller, open, key, from_1)));
    let once = aws_sdk_dynamodb::Config::builder().retry_config(RetryConfig::disabled());
    let put = put.condition_expression("attribute_not_exists(id)").customize().config_override(once);
    let _ = put.send().await;
}

fn new(caller: &Caller, open: &Open, key: &str, from_1: bool) -> Item {
    let now = caller.client.config().time_source().map(|clock| clock.now());
    let now = now.and_then(|now| now.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
    let now = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
    let mut item = Item::from([
        ("id".into(), AttributeValue::S(key.into())),
        ("version".into(), number(if from_1 { 1 } else { now })),
        ("color".into(), AttributeValue::S(SECRET.into())),
    ]);
    append(&mut item, open.call.mark());
    item
}

/// Creates the item where there is none, and leaves the rest to the SDK, which sends the request again after a doubt, as does
/// everybody who has not heard of that. Deletes it where there is one. With a stamp or without: that saves nobody.
pub(crate) async fn naive_creates(setting: Setting, seed: u64) {
    let mut caller = Caller::new("naive".into(), &setting, seed);
    let is_stamped = caller.dice.bool();
    for _ in 0..setting.calls {
        caller.pause().await;
        let key = caller.key();
        if let Ok(Some(item)) = read(&caller, key).await {
            let open = caller.begin(Action::Foreign, key, 0);
            delete(&caller, key, &item).await;
            caller.end(open, Answer::Open);
            continue;
        }
        let mut open = caller.begin(Action::Create(Way::Alone), key, 0);
        let mut item = new(&caller, &open, key, setting.from_1);
        let parity = if open.call.id.is_multiple_of(2) { "even" } else { "odd" };
        item.insert(parity.into(), AttributeValue::S(open.call.mark()));
        if is_stamped {
            open.call.stamps = 1;
            let stamp = u128::from(version_of(&item)) << 64 | u128::from(caller.dice.u64(..));
            item.insert("_stamp0".into(), AttributeValue::B(Blob::new(stamp.to_be_bytes())));
        }
        let made = (version_of(&item), list_of(&item));
        let put = caller.client.put_item().table_name(TABLE).set_item(Some(item));
        let put = put.condition_expression("attribute_not_exists(id)").send().await;
        let answer = match put.map_err(aws_sdk_dynamodb::Error::from) {
            Ok(_) => {
                open.call.seen = Some(made);
                Answer::Ok
            }
            Err(aws_sdk_dynamodb::Error::ConditionalCheckFailedException(_)) => Answer::AlreadyExists,
            Err(_) => Answer::Unknown(None),
        };
        caller.end(open, answer);
    }
}

async fn delete(caller: &Caller, key: &str, item: &Item) {
    let delete = caller.client.delete_item().table_name(TABLE).key("id", AttributeValue::S(key.into()));
    let delete =
        delete.condition_expression("#version = :old").expression_attribute_names("#version", "version");
    let _ = delete.expression_attribute_values(":old", number(version_of(item))).send().await;
}

/// Needs no read and no condition: each time that it is applied, it raises the version.
async fn update(caller: &mut Caller, open: &Open, key: &str) {
    let by = caller.dice.u64(1..=2);
    let update = caller
        .client
        .update_item()
        .table_name(TABLE)
        .key("id", AttributeValue::S(key.into()))
        .update_expression("SET #log = list_append(#log, :mark), color = :color ADD #version :by")
        .condition_expression("attribute_exists(id)")
        .expression_attribute_names("#version", "version")
        .expression_attribute_names("#log", "log")
        .expression_attribute_values(":mark", AttributeValue::L(vec![AttributeValue::S(open.call.mark())]))
        .expression_attribute_values(":color", AttributeValue::S(open.call.mark()))
        .expression_attribute_values(":by", number(by));
    let _ = update.send().await;
}

/// Puts `item` in place of `stored`, if that is still there.
async fn put(caller: &mut Caller, open: &Open, habit: Habit, mut item: Item, stored: &Item) {
    let old = version_of(stored);
    let new = old + if habit == Habit::Restore { caller.dice.u64(1..=3) } else { 1 };
    item.insert("version".into(), number(new));
    append(&mut item, open.call.mark());
    if habit == Habit::Put {
        item.retain(|name, _| !name.starts_with("_stamp"));
    }
    let put = caller.client.put_item().table_name(TABLE).set_item(Some(item));
    let put = put.condition_expression(IS_STILL).expression_attribute_names("#version", "version");
    let _ = put.expression_attribute_values(":old", number(old)).send().await;
}
