//! What a failed check means for a request.

use aws_sdk_dynamodb::types::CancellationReason;

use crate::error::codes::Worth;
use crate::error::{Error, Result};
use crate::item::Item;
use crate::send::budget::Budget;
use crate::send::sdk_call::CHECK_FAILED;
use crate::send::{Applied, Form, Part, Request};
use crate::write::expectation::Expectation;
use crate::write::verdict::{Verdict, judge};

/// What a failed check means.
pub(super) enum Judgement {
    Applied(Applied),
    /// Not applied, and never will be; or unknown.
    Failed(Error),
    /// Not applied, and nothing stands in its way now.
    Again(Error),
}

impl Request {
    /// Judges a failed check. `reasons` has one for each action; none if the request is not sent again and DynamoDB is to be asked.
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
        // They belong to the actions by their position: of too few or too many, none belongs to one for sure.
        let reasons = if reasons.len() == self.parts.len() { reasons } else { Vec::new() };
        let is_alone = matches!(self.form, Form::SingleInTransaction { .. });
        let mut refused = Vec::new();
        // An earlier attempt may still be on its way. What refused this one must refuse that one too.
        let mut is_final = unambiguous;
        for (place, (part, reason)) in self.parts.iter().zip(reasons).enumerate() {
            if reason.code() != Some(CHECK_FAILED) {
                continue;
            }
            let (stored, verdict) = match part.stored_item(reason.item, budget).await {
                Ok(stored) => {
                    let verdict = judge(part.intent, stored.as_ref(), true);
                    (stored, verdict)
                }
                // An action whose item cannot be read was refused all the same.
                Err(_) => (None, Verdict::Conflict),
            };
            let mut conflict = part.conflict(stored);
            if !is_alone {
                conflict.set_action_index(place);
            }
            let refuses_copies = match part.intent.expectation {
                Expectation::Version(_) => true,
                Expectation::Absent => conflict.item().is_some(),
                // Under no version, contents change, and with them what refuses.
                Expectation::Unversioned | Expectation::AsRead(_) => conflict.actual() > Some(0),
            };
            is_final = is_final || refuses_copies;
            refused.push(match verdict {
                // A store that does not know the token refused what it had applied.
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
            let cause = "there is not one reason for each action in the refusal";
            let error = Error::Sdk(self.call().failure(cause, Worth::One).into());
            return Judgement::Failed(if unambiguous { error } else { self.unknown(error) });
        }
        // What a fresh read may cure comes first.
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
        // A read that succeeds lets the budget forget why the request was not answered.
        let unanswered = budget.earlier_failure();
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
            Verdict::Unknown => self.unknown(unanswered),
        })
    }

    /// The item that DynamoDB refused a write for: the one that it returned, or what a strongly consistent read finds.
    async fn stored_item(&self, returned_item: Option<Item>, budget: &mut Budget) -> Result<Option<Item>> {
        match returned_item {
            Some(item) => Ok(Some(item)),
            None => self.store.read(&self.key, true, budget).await,
        }
    }
}
