//! The store, and the record of what it does.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use aws_sdk_dynamodb::config::{HttpClient, SharedHttpClient};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};
use aws_smithy_types::body::SdkBody;
use dynalock_tests::{
    history::{Carried, Effect, Stored, is_create},
    middleware::{Middleware, operation},
};
use serde_json::{Value, json};

use crate::world::{ATTEMPT, CALL, PROGRAM, World};

/// What a request says.
pub(crate) struct Sent {
    pub(crate) operation: String,
    pub(crate) body: Value,
}

impl Sent {
    pub(crate) fn read(request: &HttpRequest) -> Self {
        let operation = operation(request).to_owned();
        let body = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default();
        Self { operation, body }
    }

    /// Its writes of single items.
    fn writes(&self) -> Vec<Write<'_>> {
        match &*self.operation {
            "PutItem" => vec![Write { operation: "PutItem", body: &self.body }],
            "UpdateItem" => vec![Write { operation: "UpdateItem", body: &self.body }],
            "DeleteItem" => vec![Write { operation: "DeleteItem", body: &self.body }],
            "TransactWriteItems" => {
                let actions = self.body["TransactItems"].as_array().into_iter().flatten();
                let actions = actions.filter_map(Value::as_object).flatten();
                let writes = actions.filter_map(|(action, body)| {
                    let operation = match &**action {
                        "Put" => "PutItem",
                        "Update" => "UpdateItem",
                        "Delete" => "DeleteItem",
                        _ => return None,
                    };
                    Some(Write { operation, body })
                });
                writes.collect()
            }
            _ => vec![],
        }
    }
}

/// A write of one item, in a request of its own or in a transaction.
#[derive(Clone, Copy)]
struct Write<'a> {
    operation: &'static str,
    body: &'a Value,
}

impl Write<'_> {
    fn key(self) -> String {
        let key = self.body["Key"]["id"]["S"].as_str().or_else(|| self.body["Item"]["id"]["S"].as_str());
        key.unwrap_or_default().to_owned()
    }
}

/// What becomes of a create that is delivered twice, if the item is deleted in between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Copies {
    /// The second copy is lost, as the promise assumes of creates.
    #[default]
    EndWithDeletes,
    /// It creates the item anew.
    OutliveDeletes,
}

/// The store, and the record of what it does. A request that has come here is carried out, whoever waits for it.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    world: Arc<World>,
    copies: Copies,
    /// One request at a time, so that what is read after a write is what it left.
    record: Arc<tokio::sync::Mutex<Record>>,
}

#[derive(Debug, Default)]
struct Record {
    items: BTreeMap<String, Stored>,
    /// The attempts that have come, by number.
    attempts: BTreeSet<String>,
    /// The tokens of the transactions that were refused.
    refused: BTreeSet<String>,
}

impl Ledger {
    /// Returns `store` with a new record.
    pub(crate) fn of(
        store: impl HttpClient + 'static,
        world: &Arc<World>,
        copies: Copies,
    ) -> SharedHttpClient {
        Self { world: Arc::clone(world), copies, record: Arc::default() }.wrap(store)
    }
}

impl Middleware for Ledger {
    fn handle(&self, request: HttpRequest, inner: &SharedHttpConnector) -> HttpConnectorFuture {
        let carried_out = tokio::spawn(carry_out(self.clone(), inner.clone(), request));
        HttpConnectorFuture::new(async move {
            carried_out.await.map_err(|error| ConnectorError::other(error.into(), None))?
        })
    }
}

async fn carry_out(
    ledger: Ledger,
    store: SharedHttpConnector,
    request: HttpRequest,
) -> Result<HttpResponse, ConnectorError> {
    let record = &mut *ledger.record.lock().await;
    let sent = Sent::read(&request);
    let header = |name| request.headers().get(name).unwrap_or_default().to_owned();
    let number = |name| header(name).parse().unwrap_or_default();
    let (program, sender, attempt) = (number(PROGRAM), number(CALL), header(ATTEMPT));
    let writes = sent.writes();
    if ledger.copies == Copies::EndWithDeletes && record.is_outlived(&sent, &writes, &attempt) {
        ledger.world.note(format_args!("call {sender:<4} {} is a copy, behind a delete", sent.operation));
        return Err(ConnectorError::io("lost".into()));
    }
    if !writes.is_empty() {
        record.attempts.insert(attempt);
    }
    let response = store.call(request).await?;
    let is_done = response.status().is_success();
    if !is_done {
        record.refused.extend(sent.body["ClientRequestToken"].as_str().map(str::to_owned));
        // Of a transaction, any part may have been what refused it.
        if refusal(&response).is_none() {
            return Ok(response);
        }
    }
    for write in writes {
        let (key, operation, body) = (write.key(), write.operation.to_owned(), write.body.clone());
        let after = read(&store, &write.body["TableName"], &key).await?;
        let before = record.items.insert(key.clone(), after.clone()).flatten();
        let is_changed = before != after;
        // A transaction that the store has carried out before changes nothing.
        if is_changed || !is_done {
            let carried = Carried {
                sender,
                operation,
                key,
                body,
                before: before.clone(),
                after: after.clone(),
                is_done,
            };
            let key = carried.key.clone();
            ledger.world.history().carried.push(carried);
            if is_changed {
                ledger.world.apply(Effect::new(program, sender, write.operation.into(), key, before, after));
            }
        }
    }
    Ok(response)
}

/// The item that comes with a failed check, if `response` is one of a single write.
pub(crate) fn refusal(response: &HttpResponse) -> Option<Stored> {
    let body: Value = serde_json::from_slice(response.body().bytes()?).ok()?;
    let is_refusal = body["__type"].as_str()?.ends_with("ConditionalCheckFailedException");
    is_refusal.then(|| Some(body["Item"].clone()).filter(Value::is_object))
}

impl Record {
    /// Whether this is a copy of a create that has come before and found an item or left one, which was deleted since: of the same
    /// attempt, or of a transaction that was refused.
    fn is_outlived(&self, sent: &Sent, writes: &[Write<'_>], attempt: &str) -> bool {
        let is_gone = |key: &str| self.items.get(key).is_none_or(Option::is_none);
        let may_create = writes.iter().any(|write| is_create(write.body) && is_gone(&write.key()));
        let token = sent.body["ClientRequestToken"].as_str();
        let has_come = match token {
            Some(token) => self.refused.contains(token),
            None => self.attempts.contains(attempt),
        };
        may_create && has_come
    }
}

/// Reads an item as it is stored. The engine asks for no signature.
async fn read(store: &SharedHttpConnector, table: &Value, key: &str) -> Result<Stored, ConnectorError> {
    let body = json!({ "TableName": table, "Key": { "id": { "S": key } }, "ConsistentRead": true });
    let mut request = HttpRequest::new(SdkBody::from(body.to_string()));
    request.headers_mut().insert("x-amz-target", "DynamoDB_20120810.GetItem");
    let response = store.call(request).await?;
    let mut reply: Value = serde_json::from_slice(response.body().bytes().unwrap_or_default())
        .map_err(|error| ConnectorError::user(error.into()))?;
    Ok(reply.as_object_mut().and_then(|reply| reply.remove("Item")))
}
