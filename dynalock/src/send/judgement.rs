//! The judgement of a failed check: what it means for the request, with an item that is read if DynamoDB returned none.

use aws_sdk_dynamodb::types::CancellationReason;

use crate::error::codes::Worth;
use crate::error::{Error, Result};
use crate::item::Item;
use crate::send::budget::Budget;
use crate::send::sdk_call::CHECK_FAILED;
use crate::send::{Applied, Form, Part, Request};
use crate::write::expectation::Expectation;
use crate::write::verdict::{Verdict, judge};

/// What a failed check means for its request.
pub(super) enum Judgement {
    Applied(Applied),
    /// The request was not applied and never will be, or its outcome is unknown. The error says which.
    Failed(Error),
    /// The request was not applied, and the item no longer prevents it. The error is for a call that has no attempt left.
    Again(Error),
}

impl Request {
    /// Judges a failed check. `reasons` has one for each action. It is empty for a request that is not sent again, whose item is
    /// read instead.
    pub(super) async fn judge(
        &self,
        reasons: Vec<CancellationReason>,
        unambiguous: bool,
        budget: &mut Budget,
    ) -> Judgement {
        match (&self.form, &*self.parts) {
            (Form::Single, [part]) => part.judge(reasons, unambiguous, budget).await,
            _ => self.judge_transaction(reasons, unambiguous, budget).await,
        }
    }

    async fn judge_transaction(
        &self,
        reasons: Vec<CancellationReason>,
        unambiguous: bool,
        budget: &mut Budget,
    ) -> Judgement {
        let codes = reasons.iter().map(|reason| reason.code().unwrap_or_default().to_owned()).collect();
        // A reason belongs to the action at its position. If their numbers differ, no reason can be assigned to an action.
        // <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_CancellationReason.html>
        let reasons = if reasons.len() == self.parts.len() { reasons } else { Vec::new() };
        let is_alone = matches!(self.form, Form::SingleInTransaction { .. });
        let mut refused = Vec::new();
        // An earlier attempt may not have reached DynamoDB yet. The refusal is final if it refuses that attempt as well.
        let mut is_final = unambiguous;
        for (index, (part, reason)) in self.parts.iter().zip(reasons).enumerate() {
            if reason.code() != Some(CHECK_FAILED) {
                continue;
            }
            let (stored, verdict) = match part.stored_item(reason.item, budget).await {
                Ok(stored) => {
                    let verdict = judge(part.intent, stored.as_ref(), true);
                    (stored, verdict)
                }
                // The item cannot be read, but the action was refused for certain.
                Err(_) => (None, Verdict::Conflict),
            };
            let mut conflict = part.conflict(stored);
            if !is_alone {
                conflict.set_action_index(index);
            }
            let refuses_copies = match part.intent.expectation {
                // A wrong version stays wrong, since versions only grow, until the item is deleted and created again. At the right
                // one, the contents cannot change.
                Expectation::Version(_) => true,
                Expectation::Absent => conflict.item().is_some(),
                // Without a version, an item can change back to the contents that the action expects.
                Expectation::Unversioned | Expectation::AsRead(_) => conflict.actual() > Some(0),
            };
            is_final = is_final || refuses_copies;
            refused.push(match verdict {
                // An earlier copy was applied, and the store refused this one because it did not recognize the token.
                Verdict::Applied => return Judgement::Applied(Applied::Now),
                Verdict::Again if is_alone && unambiguous => {
                    return Judgement::Again(Error::AlreadyExists(conflict.into()));
                }
                Verdict::AlreadyExists | Verdict::Again => Error::AlreadyExists(conflict.into()),
                Verdict::ConditionFailed => Error::ConditionFailed(conflict.into()),
                _ => Error::Conflict(conflict.into()),
            });
        }
        if refused.is_empty() {
            let cause = "the refusal does not have one reason for each action";
            let error = Error::Sdk(self.call().failure(cause, Worth::One).into());
            return Judgement::Failed(if unambiguous { error } else { self.unknown(error) });
        }
        // A conflict comes first: it may be resolved by a new read, which a false condition is not.
        let mut error = refused.remove(refused.iter().position(Error::is_conflict).unwrap_or_default());
        if let Some(first) = error.conflict_mut().filter(|_| !is_alone) {
            first.add_refusals(codes, refused);
        }
        Judgement::Failed(if is_final { error } else { self.unknown(budget.refused(error)) })
    }
}

impl Part {
    async fn judge(
        &self,
        mut reasons: Vec<CancellationReason>,
        unambiguous: bool,
        budget: &mut Budget,
    ) -> Judgement {
        let returned_item = reasons.pop().and_then(|reason| reason.item);
        // Kept before the read: if that succeeds, the budget forgets why the request was not answered.
        let earlier_failure = budget.earlier_failure();
        let stored = match self.stored_item(returned_item, budget).await {
            Ok(stored) => stored,
            Err(_) if unambiguous => return Judgement::Failed(Error::Conflict(self.conflict(None).into())),
            Err(error) => return Judgement::Failed(self.unknown(Some(error))),
        };
        Judgement::Failed(match judge(self.intent, stored.as_ref(), unambiguous) {
            Verdict::Applied => return Judgement::Applied(Applied::Now),
            Verdict::AlreadyGone => return Judgement::Applied(Applied::AlreadyGone),
            Verdict::NowOrBefore => return Judgement::Applied(Applied::NowOrBefore),
            Verdict::Again => return Judgement::Again(Error::AlreadyExists(self.conflict(None).into())),
            Verdict::NotFound => Error::NotFound,
            Verdict::Conflict => Error::Conflict(self.conflict(stored).into()),
            Verdict::AlreadyExists => Error::AlreadyExists(self.conflict(stored).into()),
            Verdict::ConditionFailed => Error::ConditionFailed(self.conflict(stored).into()),
            Verdict::Unknown => self.unknown(earlier_failure),
        })
    }

    /// The item that made DynamoDB refuse the write: the one that it returned, or the result of a strongly consistent read.
    async fn stored_item(&self, returned_item: Option<Item>, budget: &mut Budget) -> Result<Option<Item>> {
        match returned_item {
            Some(item) => Ok(Some(item)),
            None => self.store.read(&self.key, true, budget).await,
        }
    }
}
