//! One conditional write, sent until its outcome is known.

use std::sync::Arc;

use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;

use crate::attempts::{Attempts, Watch};
use crate::conflict::Conflict;
use crate::error::{Error, Result, Unknown};
use crate::item::Item;
use crate::retry::Budget;
use crate::target::{Reason, Target};
use crate::verdict::{Verdict, judge};
use crate::write::{ConditionalWrite, Intent, Operation};

/// How a write ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applied {
    Now,
    /// A delete found nothing to delete.
    AlreadyGone,
}

impl Target {
    /// Sends `write` until it is known what became of it, or `budget` ends. Every re-send is the identical request, with
    /// the same version and the same stamp, so it cannot be applied twice.
    ///
    /// An attempt whose answer was lost may have been applied. From then on a failed check no longer tells whether this
    /// write or another one raised the version. The stamps in the stored item do, unless they were overwritten since; then
    /// the outcome is unknown.
    pub(crate) async fn write(&self, write: ConditionalWrite, budget: &mut Budget) -> Result<Applied> {
        let (intent, key) = (write.intent(), write.key());
        let attempts = Arc::new(Attempts::default());
        let (mut write, mut without_item) = (Some(write), false);
        loop {
            let was_clean = !attempts.are_unclear();
            let answer = self.send(intent.operation, write.take(), budget, &attempts).await;
            if without_item && matches!(answer, Ok(()) | Err(Reason::CheckFailed(_))) {
                self.item_is_denied();
            }
            let reason = match answer {
                Ok(()) => return Ok(Applied::Now),
                // What failed came after the answer, such as an interceptor of the client's.
                Err(_) if attempts.succeeded() => return Ok(Applied::Now),
                Err(reason) => reason,
            };
            let clean = !attempts.are_unclear();
            // After the first lost answer, waiting would let other writers hide what this write left behind.
            let mut at_once = was_clean && !clean;
            let error = match reason {
                Reason::CheckFailed(told) => match self.judged(intent, &key, told, clean, budget).await? {
                    Some(applied) => return Ok(applied),
                    None => self.conflict(intent, None, Error::AlreadyExists),
                },
                Reason::OutOfTime(failure) => {
                    let error = budget.out_of_time(Error::Sdk(failure.into()));
                    return Err(self.given_up(intent, &key, clean, error));
                }
                Reason::Other(failure) => {
                    let passing = failure.is_retryable() || attempts.last_is_unclear();
                    // A policy may allow the write, but not that a failed check returns the item.
                    let denied =
                        failure.code() == Some("AccessDeniedException") && attempts.ask_for_no_item();
                    without_item |= denied;
                    at_once |= denied;
                    let error = Error::Sdk(failure.into());
                    if !(denied || passing && attempts.can_be_repeated()) {
                        return Err(self.given_up(intent, &key, clean, error));
                    }
                    error
                }
            };
            let again = if at_once { budget.take_after(error) } else { budget.wait_after(error).await };
            again.map_err(|error| self.given_up(intent, &key, clean, error))?;
            tracing::debug!(table = %self.table, operation = intent.operation.name(), clean, "sending again");
        }
    }

    /// Sends `write`, or where that is `None`, what was sent before.
    async fn send(
        &self,
        operation: Operation,
        write: Option<ConditionalWrite>,
        budget: &mut Budget,
        attempts: &Arc<Attempts>,
    ) -> Result<(), Reason> {
        let (client, table) = (&self.client, self.table.to_string());
        macro_rules! send {
            ($method:ident, $first:ident, $error:ty) => {{
                let request = match write {
                    Some(write) if self.asks_for_item() => write.$first(client, table),
                    Some(write) => {
                        write.$first(client, table).set_return_values_on_condition_check_failure(None)
                    }
                    None => client.$method().table_name(table),
                };
                let config = self.config(budget).interceptor(Watch::<$error>::new(attempts));
                let call = Box::pin(request.customize().config_override(config).send());
                self.within(budget.deadline(), budget, operation.name(), call).await.map(drop)
            }};
        }
        match operation {
            Operation::PutItem => send!(put_item, into_put_item, PutItemError),
            Operation::UpdateItem => send!(update_item, into_update_item, UpdateItemError),
            Operation::DeleteItem => send!(delete_item, into_delete_item, DeleteItemError),
            // A check has no request of its own; it is part of a transaction.
            Operation::ConditionCheck => Ok(()),
        }
    }

    /// What a failed check means; `None` if the write is to be sent again. `told` is the item that the store told with its
    /// refusal. If it told none, there may still be one, so a strongly consistent read tells.
    async fn judged(
        &self,
        write: Intent,
        key: &Item,
        told: Option<Item>,
        clean: bool,
        budget: &mut Budget,
    ) -> Result<Option<Applied>> {
        let stored = match told {
            Some(item) => Some(item),
            None => match self.read(key, true, budget).await {
                Ok(item) => item,
                Err(_) if clean => return Err(self.conflict(write, None, Error::Conflict)),
                Err(error) => return Err(self.unknown(write, key, Some(error))),
            },
        };
        Err(match judge(write, stored.as_ref(), clean) {
            Verdict::Again => return Ok(None),
            Verdict::Applied => return Ok(Some(Applied::Now)),
            Verdict::AlreadyGone => return Ok(Some(Applied::AlreadyGone)),
            Verdict::NotFound => Error::NotFound,
            Verdict::Conflict => self.conflict(write, stored, Error::Conflict),
            Verdict::AlreadyExists => self.conflict(write, stored, Error::AlreadyExists),
            Verdict::ConditionFailed => self.conflict(write, stored, Error::ConditionFailed),
            Verdict::Unknown => self.unknown(write, key, None),
        })
    }

    fn conflict(&self, write: Intent, item: Option<Item>, error: fn(Box<Conflict>) -> Error) -> Error {
        let expected = write.expect.number();
        error(Box::new(Conflict { table: self.table.clone(), schema: write.schema, expected, item }))
    }

    fn unknown(&self, write: Intent, key: &Item, cause: Option<Error>) -> Error {
        Error::OutcomeUnknown(Box::new(Unknown { table: self.table.clone(), key: key.clone(), write, cause }))
    }

    /// The error of a write that is not sent again.
    fn given_up(&self, write: Intent, key: &Item, clean: bool, error: Error) -> Error {
        if clean { error } else { self.unknown(write, key, Some(error)) }
    }
}
