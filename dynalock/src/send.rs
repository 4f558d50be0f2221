//! One conditional write, sent until its outcome is known.

use crate::attempts::Fate;
use crate::conflict::Conflict;
use crate::error::{Error, Result, Unknown};
use crate::item::Item;
use crate::retry::Budget;
use crate::target::{Failure, Reason, Target};
use crate::verdict::{Verdict, judge};
use crate::write::{ConditionalWrite, Operation};

/// How a write ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applied {
    Now,
    /// A delete found nothing to delete.
    AlreadyGone,
}

impl Target {
    /// Sends `write` until it is known what became of it, or `budget` ends. Every re-send is the identical request, so it
    /// cannot be applied twice.
    ///
    /// An attempt whose answer was lost may have been applied. From then on a failed check no longer tells whether this
    /// write or another one raised the version, and unless the stored item rules this write out, the outcome is unknown.
    pub(crate) async fn write(&self, write: &ConditionalWrite, budget: &mut Budget) -> Result<Applied> {
        let mut clean = true;
        loop {
            let Err(failure) = self.send(write, budget).await else { return Ok(Applied::Now) };
            let was_clean = clean;
            clean = clean && !failure.unclear_before && failure.last != Fate::Unclear;
            let error = match failure.reason {
                Reason::CheckFailed(told) => match self.judged(write, told, clean, budget).await {
                    Ok(Some(applied)) => return Ok(applied),
                    Ok(None) => self.conflict(write, None, Error::AlreadyExists),
                    Err(error) => return Err(error),
                },
                Reason::Other(failure) if failure.is_retryable() => Error::Sdk(failure.into()),
                Reason::Other(failure) => {
                    return Err(self.given_up(write, clean, Error::Sdk(failure.into())));
                }
            };
            // The first time, at once: waiting would let other writers hide what this write left behind.
            let again = if was_clean && !clean { budget.take() } else { budget.wait().await };
            if !again {
                return Err(self.given_up(write, clean, error));
            }
            tracing::debug!(table = %self.table, operation = write.operation().name(), clean, "sending again");
        }
    }

    async fn send(&self, write: &ConditionalWrite, budget: &Budget) -> Result<(), Failure> {
        let (client, table) = (&self.client, &*self.table);
        let operation = write.operation();
        macro_rules! send {
            ($method:ident) => {{
                let request = write.$method(client, table).customize();
                let send = |config| request.config_override(config).send();
                self.call(operation.name(), budget, send).await.map(drop)
            }};
        }
        match operation {
            Operation::PutItem => send!(put_item),
            Operation::UpdateItem => send!(update_item),
            Operation::DeleteItem => send!(delete_item),
            // A check has no request of its own; it is part of a transaction.
            Operation::ConditionCheck => Ok(()),
        }
    }

    /// What a failed check means; `None` if the write is to be sent again. `told` is the item that the store told with its
    /// refusal. If it told none, there may still be one, so a strongly consistent read tells.
    async fn judged(
        &self,
        write: &ConditionalWrite,
        told: Option<Item>,
        clean: bool,
        budget: &mut Budget,
    ) -> Result<Option<Applied>> {
        let stored = match told {
            Some(item) => Some(item),
            None => match self.read(write.key(), true, budget).await {
                Ok(item) => item,
                Err(_) if clean => return Err(self.conflict(write, None, Error::Conflict)),
                Err(error) => return Err(self.unknown(write, Some(error))),
            },
        };
        Err(match judge(write, stored.as_ref(), clean) {
            Verdict::Again => return Ok(None),
            Verdict::AlreadyGone => return Ok(Some(Applied::AlreadyGone)),
            Verdict::NotFound => Error::NotFound,
            Verdict::Conflict => self.conflict(write, stored, Error::Conflict),
            Verdict::AlreadyExists => self.conflict(write, stored, Error::AlreadyExists),
            Verdict::ConditionFailed => self.conflict(write, stored, Error::ConditionFailed),
            Verdict::Unknown => self.unknown(write, None),
        })
    }

    fn conflict(
        &self,
        write: &ConditionalWrite,
        item: Option<Item>,
        error: fn(Box<Conflict>) -> Error,
    ) -> Error {
        let expected = write.expect().number();
        error(Box::new(Conflict { table: self.table.clone(), schema: write.schema(), expected, item }))
    }

    fn unknown(&self, write: &ConditionalWrite, cause: Option<Error>) -> Error {
        let (expected, intended) = (write.expect().number(), write.next_version());
        Error::OutcomeUnknown(Box::new(Unknown { table: self.table.clone(), expected, intended, cause }))
    }

    /// The error of a write that is not sent again.
    fn given_up(&self, write: &ConditionalWrite, clean: bool, error: Error) -> Error {
        if clean { error } else { self.unknown(write, Some(error)) }
    }
}
