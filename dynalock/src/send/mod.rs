//! Requests, sent until their outcome is known. Nothing else sends

pub(crate) mod budget;
pub(crate) mod commit;
pub(crate) mod delivery;
pub(crate) mod retry;
pub(crate) mod store;
pub(crate) mod trace;

use std::sync::Arc;

use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::CancellationReason;

use crate::error::codes::Worth;
use crate::error::conflict::Conflict;
use crate::error::unknown::Unknown;
use crate::error::{Error, Result};
use crate::item::Item;
use crate::send::budget::Budget;
use crate::send::delivery::{Attempts, Repeat, Watch};
use crate::send::store::{Reason, Target};
use crate::write::verdict::{Verdict, judge};
use crate::write::{ConditionalWrite, Intent, Operation};

/// How a write ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applied {
    Now,
    /// A delete found nothing to delete.
    AlreadyGone,
    /// The same, after an attempt that may have deleted it.
    NowOrBefore,
}

/// What a failed check means for a logical write.
pub(crate) enum Judged {
    Applied(Applied),
    /// Not applied, and never will be; or unknown.
    Ended(Error),
    /// Nothing stands in its way now.
    Again(Error),
}

/// What is applied once or not at all, however often it is sent: the write of one item, or a transaction.
pub(crate) trait LogicalWrite: Send + Sync {
    /// The DynamoDB operation that carries it.
    fn operation(&self) -> &'static str;

    /// When it may be sent again.
    fn repeat(&self) -> Repeat;

    /// Sends it; from the second time on, what was sent the first time.
    fn send(
        &mut self,
        target: &Target,
        budget: &mut Budget,
        attempts: &Arc<Attempts>,
    ) -> impl Future<Output = Result<(), Reason>> + Send;

    /// What a failed check means; `reasons` has one for each action, or none if the write is not sent again and the store is to
    /// be asked. `clean` is false if an earlier attempt may have been applied.
    fn judged(
        &self,
        target: &Target,
        reasons: Vec<CancellationReason>,
        clean: bool,
        budget: &mut Budget,
    ) -> impl Future<Output = Judged> + Send;

    /// From now on, a failed check is not asked to return an item: a policy forbids that.
    fn item_is_denied(&self, target: &Target);

    /// The error where it may have been applied, and is not sent again because of `cause`.
    fn unknown(&self, target: &Target, cause: Error) -> Error;
}

impl Target {
    /// Sends one write until it is known what became of it, or `budget` ends.
    pub(crate) async fn write(&self, write: ConditionalWrite, budget: &mut Budget) -> Result<Applied> {
        self.settle(&mut Single::of(write), &Arc::default(), budget).await
    }

    /// The same for all the writes of a transaction.
    pub(crate) async fn commit(&self, mut commit: impl LogicalWrite, budget: &mut Budget) -> Result<()> {
        self.settle(&mut commit, &Arc::default(), budget).await.map(drop)
    }

    /// Sends `write` until it is known what became of it, or `budget` ends. Every re-send is the identical request, with
    /// the same versions and the same stamps, so it cannot be applied twice. A create can, where others delete the item in
    /// between: that is sent again after definite failures only, and after a doubt one strongly consistent read decides.
    ///
    /// An attempt whose answer was lost may have been applied. From then on a failed check no longer tells whether this
    /// write or another one raised the version. The stamps in the stored item do, unless they were overwritten since; then
    /// the outcome is unknown.
    ///
    /// Where this is dropped half way, another call may go on with the same `write` and its `attempts`.
    pub(crate) async fn settle(
        &self,
        write: &mut impl LogicalWrite,
        attempts: &Arc<Attempts>,
        budget: &mut Budget,
    ) -> Result<Applied> {
        let mut without_item = false;
        let once = write.repeat() == Repeat::UnlessInDoubt;
        // By a call that was dropped when it had its answer.
        if attempts.succeeded() {
            return Ok(Applied::Now);
        }
        loop {
            let was_clean = !attempts.are_unclear();
            let answer = if once && !was_clean {
                Err(Reason::CheckFailed(Vec::new()))
            } else {
                write.send(self, budget, attempts).await
            };
            if without_item && matches!(answer, Ok(()) | Err(Reason::CheckFailed(_))) {
                write.item_is_denied(self);
            }
            let reason = match answer {
                Ok(()) => return Ok(Applied::Now),
                // What failed came after the answer, such as an interceptor of the client's.
                Err(_) if attempts.succeeded() => return Ok(Applied::Now),
                Err(reason) => reason,
            };
            let clean = !attempts.are_unclear();
            let reason = match reason {
                // From here on it is as if a check had failed and the store had not said on which item, so that it is read.
                Reason::OutOfTime(failure) | Reason::Other(failure) if once && !clean => {
                    budget.failed(Error::Sdk(failure.into()));
                    Reason::CheckFailed(Vec::new())
                }
                reason => reason,
            };
            let given_up = |error| if clean { error } else { write.unknown(self, error) };
            // After the first lost answer, waiting would let other writers hide what this write left behind.
            let at_once = was_clean && !clean;
            let error = match reason {
                Reason::CheckFailed(reasons) => match write.judged(self, reasons, clean, budget).await {
                    Judged::Applied(applied) => return Ok(applied),
                    Judged::Ended(error) => return Err(budget.refused(error)),
                    Judged::Again(error) => error,
                },
                Reason::OutOfTime(failure) => {
                    return Err(given_up(budget.out_of_time(Error::Sdk(failure.into()))));
                }
                Reason::Other(failure) => {
                    // What nobody knows is asked once more: the answer to a copy may tell.
                    let in_doubt = if attempts.last_is_unclear() { Worth::Two } else { Worth::One };
                    let worth = failure.worth().max(in_doubt);
                    // A policy may allow the write, but not that a failed check returns the item.
                    let denied =
                        failure.code() == Some("AccessDeniedException") && attempts.ask_for_no_item();
                    without_item |= denied;
                    let error = Error::Sdk(failure.into());
                    // It says nothing of the write, and so is no attempt, nor what is left of the call when its time is up.
                    if denied {
                        continue;
                    }
                    if !budget.permits(worth) || !attempts.can_be_repeated() {
                        return Err(given_up(error));
                    }
                    error
                }
            };
            let again = if at_once { budget.take_after(error) } else { budget.wait_after(error).await };
            again.map_err(|error| given_up(budget.refused(error)))?;
            tracing::debug!(target: "dynalock", table = %self.table, operation = write.operation(), clean, "sending again");
        }
    }

    /// What the store holds where it refused a write: the item that it told, or what a strongly consistent read finds.
    pub(crate) async fn standing(
        &self,
        told: Option<Item>,
        key: &Item,
        budget: &mut Budget,
    ) -> Result<Option<Item>> {
        match told {
            Some(item) => Ok(Some(item)),
            None => self.read(key, true, budget).await,
        }
    }
}

/// The write of one item.
pub(crate) struct Single {
    intent: Intent,
    key: Item,
    /// Until it is sent.
    write: Option<ConditionalWrite>,
}

impl Single {
    pub(crate) fn of(write: ConditionalWrite) -> Self {
        Self { intent: write.intent(), key: write.key(), write: Some(write) }
    }

    /// A write of the item under `key` whose request its attempts have kept.
    pub(crate) fn again(intent: Intent, key: Item) -> Self {
        Self { intent, key, write: None }
    }

    fn conflict(&self, target: &Target, item: Option<Item>, error: fn(Box<Conflict>) -> Error) -> Error {
        let Intent { schema, expect, .. } = self.intent;
        error(Box::new(Conflict::new(&target.table, schema, expect, self.key.clone(), item)))
    }

    fn lost(&self, target: &Target, cause: Option<Error>) -> Error {
        Error::OutcomeUnknown(Box::new(Unknown {
            table: target.table.clone(),
            key: self.key.clone(),
            write: self.intent,
            cause,
        }))
    }
}

impl LogicalWrite for Single {
    fn operation(&self) -> &'static str {
        self.intent.operation.name()
    }

    fn repeat(&self) -> Repeat {
        if self.intent.is_lone_create() { Repeat::UnlessInDoubt } else { Repeat::Always }
    }

    async fn send(
        &mut self,
        target: &Target,
        budget: &mut Budget,
        attempts: &Arc<Attempts>,
    ) -> Result<(), Reason> {
        let (client, table) = (&target.client, target.table.to_string());
        macro_rules! send {
            ($method:ident, $first:ident, $error:ty) => {{
                let request = match self.write.take() {
                    Some(write) => write.$first(client, table, target.on_failed_check()),
                    None => client.$method().table_name(table),
                };
                let repeat = self.repeat();
                let config = match repeat {
                    Repeat::Always => target.config(budget),
                    Repeat::UnlessInDoubt => target.config_for_one_attempt(budget),
                };
                let config = config.interceptor(Watch::<$error>::new(attempts, repeat));
                let call = Box::pin(request.customize().config_override(config).send());
                target.within(budget.deadline(), budget, self.operation(), call).await.map(drop)
            }};
        }
        match self.intent.operation {
            Operation::PutItem => send!(put_item, into_put_item, PutItemError),
            Operation::UpdateItem => send!(update_item, into_update_item, UpdateItemError),
            Operation::DeleteItem => send!(delete_item, into_delete_item, DeleteItemError),
            // A check has no request of its own; it is part of a transaction.
            Operation::ConditionCheck => Ok(()),
        }
    }

    async fn judged(
        &self,
        target: &Target,
        mut reasons: Vec<CancellationReason>,
        clean: bool,
        budget: &mut Budget,
    ) -> Judged {
        let told = reasons.pop().and_then(|reason| reason.item);
        let stored = match target.standing(told, &self.key, budget).await {
            Ok(stored) => stored,
            Err(_) if clean => return Judged::Ended(self.conflict(target, None, Error::Conflict)),
            Err(error) => return Judged::Ended(self.lost(target, Some(error))),
        };
        Judged::Ended(match judge(self.intent, stored.as_ref(), clean) {
            Verdict::Again => return Judged::Again(self.conflict(target, None, Error::AlreadyExists)),
            Verdict::Applied => return Judged::Applied(Applied::Now),
            Verdict::AlreadyGone => return Judged::Applied(Applied::AlreadyGone),
            Verdict::NowOrBefore => return Judged::Applied(Applied::NowOrBefore),
            Verdict::NotFound => Error::NotFound,
            Verdict::Conflict => self.conflict(target, stored, Error::Conflict),
            Verdict::AlreadyExists => self.conflict(target, stored, Error::AlreadyExists),
            Verdict::ConditionFailed => self.conflict(target, stored, Error::ConditionFailed),
            Verdict::Unknown => self.lost(target, None),
        })
    }

    fn item_is_denied(&self, target: &Target) {
        target.item_is_denied();
    }

    fn unknown(&self, target: &Target, cause: Error) -> Error {
        self.lost(target, Some(cause))
    }
}
