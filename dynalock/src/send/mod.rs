//! Requests, sent until their outcome is known. Nothing else sends

pub(crate) mod budget;
pub(crate) mod delivery;
mod judgement;
pub(crate) mod limits;
pub(crate) mod retry;
pub(crate) mod sdk_call;
pub(crate) mod store;
pub(crate) mod trace;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{Put, TransactWriteItem};

use crate::error::codes::Worth;
use crate::error::conflict::Conflict;
use crate::error::unknown::UnknownOutcome;
use crate::error::{Error, Result};
use crate::item::Item;
use crate::item::invalid::Invalid;
use crate::item::key::KeyId;
use crate::send::budget::Budget;
use crate::send::delivery::{Delivery, DeliveryProbe, Repeat};
use crate::send::judgement::Judgement;
use crate::send::sdk_call::{CallFailure, SdkCall};
use crate::send::store::Store;
use crate::support::random;
use crate::write::ConditionalWrite;
use crate::write::intent::{Intent, Operation};

const TRANSACT_WRITE_ITEMS: &str = "TransactWriteItems";

/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
const MAX_ACTIONS: usize = 100;
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// DynamoDB recognizes a transaction by its token for ten minutes, so the last copy must be sent well before.
pub(crate) const MAX_TRANSACTION_TIME: Duration = Duration::from_mins(5);

/// How a write succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applied {
    /// DynamoDB applied this request.
    Now,
    /// A delete found nothing to delete.
    AlreadyGone,
    /// A delete found nothing to delete, after an attempt that may have deleted it.
    NowOrBefore,
}

/// One write, or several that are applied together, as one request to DynamoDB.
pub(crate) struct Request {
    client: Client,
    /// The names of the tables, for errors and traces.
    tables: Box<str>,
    parts: Vec<Part>,
    form: Form,
    /// How the attempts ended so far. Shared with the probe that watches them.
    delivery: Arc<Delivery>,
}

/// The operation that sends the writes of a request.
enum Form {
    /// One write, as a `PutItem`, an `UpdateItem` or a `DeleteItem`.
    Single,
    /// One write, as a `TransactWriteItems` with this token. Unless an attempt was ambiguous, a refusal gives the same answers as one
    /// of a `Single`.
    SingleInTransaction { token: String },
    /// Several writes, as the actions of a `TransactWriteItems` with this token.
    Transaction { token: String },
}

/// One write of a request.
struct Part {
    store: Store,
    key: Item,
    intent: Intent,
    /// `None` once it is sent. From then on the delivery keeps the body.
    write: Option<ConditionalWrite>,
}

/// Refuses a number of actions, or of reads, that DynamoDB would not accept in one transaction.
pub(crate) fn check_actions(actions: usize) -> Result<()> {
    let problem = match actions {
        0 => "a transaction needs at least one action".into(),
        1..=MAX_ACTIONS => return Ok(()),
        many => format!("the transaction touches {many} items, but may touch {MAX_ACTIONS}"),
    };
    Err(Invalid::request(problem).in_table(""))
}

/// Refuses items, written or read, that together are larger than DynamoDB accepts in one transaction.
pub(crate) fn check_bytes(bytes: usize) -> Result<()> {
    if bytes > MAX_BYTES {
        let problem = format!("the transaction takes {bytes} bytes or more, but may take {MAX_BYTES} (4 MB)");
        return Err(Invalid::request(problem).in_table(""));
    }
    Ok(())
}

impl Request {
    /// A request for one write.
    pub(crate) fn single(store: &Store, write: ConditionalWrite) -> Self {
        let client = store.client.clone();
        let tables = store.table.clone();
        let parts = vec![Part::new(store.clone(), write)];
        Self { client, tables, parts, form: Form::Single, delivery: Arc::default() }
    }

    /// Recreates the request of one write whose first future was dropped after the request was sent. `delivery` is that of the
    /// first request. It keeps the body, so the copy is identical.
    pub(crate) fn again(store: &Store, key: Item, intent: Intent, delivery: &Arc<Delivery>) -> Self {
        let client = store.client.clone();
        let tables = store.table.clone();
        let parts = vec![Part { store: store.clone(), key, intent, write: None }];
        Self { client, tables, parts, form: Form::Single, delivery: Arc::clone(delivery) }
    }

    /// A request for one write with a token, by which DynamoDB recognizes every copy and applies one only.
    pub(crate) fn single_in_transaction(store: &Store, write: ConditionalWrite) -> Result<Self> {
        let form = |token| Form::SingleInTransaction { token };
        Self::with_token(&store.client, &store.table, vec![(store.clone(), write)], form)
    }

    /// A request for writes that are applied together, or not at all. DynamoDB recognizes its copies by the token and applies one
    /// only. A refusal means that no earlier copy was applied. A later copy may be: DynamoDB checks each one afresh.
    pub(crate) fn transaction(
        client: &Client,
        tables: &str,
        writes: Vec<(Store, ConditionalWrite)>,
    ) -> Result<Self> {
        Self::with_token(client, tables, writes, |token| Form::Transaction { token })
    }

    fn with_token(
        client: &Client,
        tables: &str,
        writes: Vec<(Store, ConditionalWrite)>,
        form: impl FnOnce(String) -> Form,
    ) -> Result<Self> {
        check_actions(writes.len())?;
        check_bytes(writes.iter().map(|(_, write)| write.least_bytes()).sum())?;
        let mut parts: Vec<Part> = Vec::with_capacity(writes.len());
        let mut indices = HashMap::with_capacity(writes.len());
        for (index, (store, write)) in writes.into_iter().enumerate() {
            let mut part = Part::new(store, write);
            part.intent.has_token = true;
            let item = (part.store.table.clone(), KeyId::new(part.intent.schema, &part.key));
            // DynamoDB refuses two actions on one item, but does not say which ones.
            if let Some(earlier) = indices.insert(item, index) {
                let problem = format!("actions {earlier} and {index}, counted from 0, are for the same item");
                return Err(Invalid::request(problem).in_table(&part.store.table));
            }
            parts.push(part);
        }
        let token = random::token().map_err(|none| Invalid::from(none).in_table(tables))?;
        let client = client.clone();
        let form = form(token);
        Ok(Self { client, tables: tables.into(), parts, form, delivery: Arc::default() })
    }

    /// How the attempts of the request ended so far. Another caller continues from it if this request's future is dropped.
    pub(crate) fn delivery(&self) -> &Arc<Delivery> {
        &self.delivery
    }

    /// The refusal of the first write, whose item is gone, for a caller that has read the item.
    pub(crate) fn gone(&self) -> Option<Conflict> {
        self.parts.first().map(|part| part.conflict(None))
    }

    fn operation(&self) -> &'static str {
        match (&self.form, &*self.parts) {
            (Form::Single, [part]) => part.intent.operation.name(),
            _ => TRANSACT_WRITE_ITEMS,
        }
    }

    fn call(&self) -> SdkCall<'_> {
        SdkCall { client: &self.client, operation: self.operation(), tables: &self.tables }
    }

    /// When the request may be sent again.
    fn repeat(&self) -> Repeat {
        if self.parts.iter().any(|part| part.intent.is_lone_create()) {
            Repeat::UnlessAmbiguous
        } else {
            Repeat::Always
        }
    }

    /// Sends the request until its outcome is known, or `budget` ends. Each re-send is the identical request, with the same
    /// versions and the same stamps, so it cannot be applied twice. A create is the exception: a copy is applied again if others
    /// deleted the item in between. A create is therefore sent again after definite failures only. After an ambiguous one, a
    /// strongly consistent read decides.
    ///
    /// An attempt whose answer was lost may have been applied. From then on, a failed check may mean that this write raised the
    /// version, or that another one did. The stamps in the stored item distinguish the two. If they were overwritten since, the
    /// outcome is unknown.
    pub(crate) async fn settle(&mut self, budget: &mut Budget) -> Result<Applied> {
        let delivery = Arc::clone(&self.delivery);
        let is_sent_once = self.repeat() == Repeat::UnlessAmbiguous;
        let mut is_item_withheld = false;
        // The future that sent the request first may have been dropped after DynamoDB answered it.
        if delivery.succeeded() {
            return Ok(Applied::Now);
        }
        loop {
            let was_unambiguous = !delivery.is_ambiguous();
            let answer = if is_sent_once && !was_unambiguous {
                // A copy of a create might bring back an item that others deleted, so nothing is sent. This is judged as a failed
                // check that returned no item, for which the item is read.
                Err(CallFailure::CheckFailed(Vec::new()))
            } else {
                self.send(budget).await
            };
            if is_item_withheld && matches!(answer, Ok(()) | Err(CallFailure::CheckFailed(_))) {
                // The policy allows the write itself, so it denied that a failed check returns the item. It does not say for
                // which of the tables, so none of them is asked for its item again.
                self.parts.iter().for_each(|part| part.store.deny_item());
            }
            let failure = match answer {
                Ok(()) => return Ok(Applied::Now),
                // Something else failed after DynamoDB had answered, such as an interceptor of the client.
                Err(_) if delivery.succeeded() => return Ok(Applied::Now),
                Err(failure) => failure,
            };
            let unambiguous = !delivery.is_ambiguous();
            // A create that may have been applied is not sent again. The read that decides may outlive the budget, and then this
            // failure is what to return.
            let failure = match failure {
                CallFailure::OutOfTime(failure) | CallFailure::Other(failure)
                    if is_sent_once && !unambiguous =>
                {
                    budget.failed(Error::Sdk(failure.into()));
                    CallFailure::CheckFailed(Vec::new())
                }
                failure => failure,
            };
            // After an ambiguous attempt, a request that is given up has an unknown outcome. The error is its cause only.
            let final_error = |error| if unambiguous { error } else { self.unknown(error) };
            let error = match failure {
                CallFailure::CheckFailed(reasons) => {
                    // Few requests get here. Without the box, the future of each would have room for this one.
                    match Box::pin(self.judge(reasons, unambiguous, budget)).await {
                        Judgement::Applied(applied) => return Ok(applied),
                        Judgement::Failed(error) => return Err(budget.refused(error)),
                        Judgement::Again(error) => error,
                    }
                }
                CallFailure::OutOfTime(failure) => {
                    return Err(final_error(budget.out_of_time(Error::Sdk(failure.into()))));
                }
                // A policy may allow the write, but not that a failed check returns the item. Such a denial says nothing about
                // the write. It counts as no attempt, and is not the error to return when time is up.
                CallFailure::Other(failure)
                    if failure.code() == Some("AccessDeniedException") && delivery.withhold_item() =>
                {
                    is_item_withheld = true;
                    continue;
                }
                CallFailure::Other(failure) => {
                    // An ambiguous failure is worth one more attempt: the answer to the copy may be definite.
                    let least = if delivery.last_is_ambiguous() { Worth::Two } else { Worth::One };
                    let worth = failure.worth().max(least);
                    let error = Error::Sdk(failure.into());
                    if !budget.permits(worth) || !delivery.can_be_repeated() {
                        return Err(final_error(error));
                    }
                    error
                }
            };
            // After the first ambiguous attempt the copy is sent at once: during a delay, others might overwrite the stamp of
            // this write, and with it the proof that it was applied.
            let retry = if was_unambiguous && !unambiguous {
                budget.take_after(error)
            } else {
                budget.wait_after(error).await
            };
            retry.map_err(|error| final_error(budget.refused(error)))?;
            let table = &*self.tables;
            let operation = self.operation();
            tracing::debug!(target: "dynalock", table, operation, unambiguous, "sending again");
        }
    }

    /// Makes one attempt, in which the SDK may transmit the request several times.
    async fn send(&mut self, budget: &mut Budget) -> Result<(), CallFailure> {
        match &self.form {
            Form::Single => self.send_single(budget).await,
            Form::SingleInTransaction { token } | Form::Transaction { token } => {
                let request = self.client.transact_write_items().client_request_token(token);
                let items = self.parts.iter_mut().map(Part::take_transact_write_item).collect();
                let request = request.set_transact_items(Some(items));
                let probe = DeliveryProbe::<TransactWriteItemsError>::new(&self.delivery, self.repeat());
                let call = self.call();
                let config = call.config(budget).interceptor(probe);
                let sent = Box::pin(request.customize().config_override(config).send());
                call.until(budget.deadline(), budget, sent).await.map(drop)
            }
        }
    }

    async fn send_single(&mut self, budget: &mut Budget) -> Result<(), CallFailure> {
        let repeat = self.repeat();
        let Some(part) = self.parts.first_mut() else {
            return Err(CallFailure::Other(self.call().failure("the request has no write", Worth::One)));
        };
        let call = part.store.call(part.intent.operation.name());
        let table = part.store.table.to_string();
        let client = &self.client;
        let write = part.write.take();
        macro_rules! send {
            ($operation:ident, $into_operation:ident, $error:ty) => {{
                // A copy only names its table, from which the SDK finds the endpoint. The probe puts in the first one's body.
                let copy = || client.$operation().table_name(table.clone());
                let first = write
                    .and_then(|write| write.$into_operation(client, table.clone(), part.store.on_failure()));
                let request = first.unwrap_or_else(copy);
                let config = match repeat {
                    Repeat::Always => call.config(budget),
                    Repeat::UnlessAmbiguous => call.config_for_one_attempt(budget),
                };
                let config = config.interceptor(DeliveryProbe::<$error>::new(&self.delivery, repeat));
                let sent = Box::pin(request.customize().config_override(config).send());
                call.until(budget.deadline(), budget, sent).await.map(drop)
            }};
        }
        match part.intent.operation {
            Operation::PutItem => send!(put_item, into_put_item, PutItemError),
            Operation::UpdateItem => send!(update_item, into_update_item, UpdateItemError),
            Operation::DeleteItem => send!(delete_item, into_delete_item, DeleteItemError),
            Operation::ConditionCheck => {
                let failure =
                    call.failure("a condition check is sent only as part of a transaction", Worth::One);
                Err(CallFailure::Other(failure))
            }
        }
    }

    /// The error of a request that may have been applied, and is not sent again because of `cause`.
    fn unknown(&self, cause: Error) -> Error {
        let changes = self.parts.iter().filter(|part| part.intent.operation != Operation::ConditionCheck);
        // The error names one item. A later read says most about an item with a stamp, and next most about one with a version.
        let most_verifiable =
            changes.min_by_key(|part| (part.intent.stamp.is_none(), part.intent.next_version.is_none()));
        match most_verifiable {
            Some(part) => part.unknown(Some(cause)),
            // Checks alone change nothing, so there is no outcome to be unknown.
            None => cause,
        }
    }
}

impl Part {
    fn new(store: Store, write: ConditionalWrite) -> Self {
        Self { store, key: write.key(), intent: write.intent(), write: Some(write) }
    }

    /// The action of a transaction for this write. From the second time on it is a placeholder that names the table, from which
    /// the SDK finds the endpoint. The probe replaces the body by that of the first request.
    fn take_transact_write_item(&mut self) -> TransactWriteItem {
        let table = self.store.table.to_string();
        match self.write.take() {
            Some(write) => write.into_transact_write_item(table, self.store.on_failure()),
            None => {
                let put = Put::builder().table_name(table).set_item(Some(Item::new()));
                // Every required member is set, so the build does not fail.
                TransactWriteItem::builder().set_put(put.build().ok()).build()
            }
        }
    }

    fn conflict(&self, item: Option<Item>) -> Conflict {
        let Intent { schema, expectation, .. } = self.intent;
        Conflict::new(&self.store.table, schema, expectation, self.key.clone(), item)
    }

    fn unknown(&self, cause: Option<Error>) -> Error {
        Error::OutcomeUnknown(
            UnknownOutcome::new(&self.store.table, self.key.clone(), self.intent, cause).into(),
        )
    }
}
