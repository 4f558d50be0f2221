//! Programs that know nothing of dynalock: they raise the version as any mapper does, and treat the write stamps as they
//! like. And the loop that everybody writes who has not heard of lost replies.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use dynalock_tests::history::{Action, Answer, SECRET};

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
                create(&caller, &open, key).await;
            }
            Ok(None) | Err(()) => {}
            Ok(Some(item)) => {
                let old = kept.entry(key).or_insert_with(|| item.clone()).clone();
                match caller.dice.u32(0..6) {
                    0 if key == MORTAL && caller.world.may_delete() => delete(&caller, key, &item).await,
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

async fn create(caller: &Caller, open: &Open, key: &str) {
    let now = caller.client.config().time_source().map(|clock| clock.now());
    let now = now.and_then(|now| now.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
    let mut item = Item::from([
        ("id".into(), AttributeValue::S(key.into())),
        ("version".into(), number(u64::try_from(now.as_micros()).unwrap_or(u64::MAX))),
        ("color".into(), AttributeValue::S(SECRET.into())),
    ]);
    append(&mut item, open.call.mark());
    let put = caller.client.put_item().table_name(TABLE).set_item(Some(item));
    let _ = put.condition_expression("attribute_not_exists(id)").send().await;
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
