//! Several conditional writes as one `TransactWriteItems`, sent until its outcome is known.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{CancellationReason, Put, TransactWriteItem};

use crate::error::codes::Worth;
use crate::error::conflict::Conflict;
use crate::error::sdk_failure::SdkFailure;
use crate::error::unknown::Unknown;
use crate::error::{Error, Result};
use crate::item::Item;
use crate::item::invalid::Invalid;
use crate::item::key::KeyId;
use crate::send::budget::Budget;
use crate::send::delivery::{Attempts, Repeat, Watch};
use crate::send::store::{CHECK_FAILED, Reason, Target};
use crate::send::{Applied, Judged, LogicalWrite};
use crate::support::random;
use crate::write::expectation::Expect;
use crate::write::verdict::{Verdict, judge};
use crate::write::{ConditionalWrite, Intent, Operation};

const TRANSACT: &str = "TransactWriteItems";

/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
const MAX_ACTIONS: usize = 100;
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// DynamoDB recognizes a transaction by its token for ten minutes; re-sends must come well before.
pub(crate) const LONGEST: Duration = Duration::from_mins(5);

/// Refuses a number of actions, or of reads, that DynamoDB would refuse.
pub(crate) fn check_actions(actions: usize) -> Result<()> {
    let problem = match actions {
        0 => "a transaction needs at least one action".into(),
        1..=MAX_ACTIONS => return Ok(()),
        many => format!("the transaction touches {many} items, but may touch {MAX_ACTIONS}"),
    };
    Err(Invalid::request(problem).in_table(""))
}

/// Refuses a size that DynamoDB would refuse: that of the items written, or of those read.
pub(crate) fn check_bytes(bytes: usize) -> Result<()> {
    if bytes > MAX_BYTES {
        let problem = format!("the transaction takes {bytes} bytes or more, but may take {MAX_BYTES} (4 MB)");
        return Err(Invalid::request(problem).in_table(""));
    }
    Ok(())
}

/// A transaction on its way. DynamoDB recognizes it by its token and applies it once, however often it comes. What it refuses
/// was not applied before, but it checks every copy afresh.
pub(crate) struct Commit {
    actions: Vec<Action>,
    token: String,
    /// Until they are sent.
    writes: Option<Vec<TransactWriteItem>>,
    /// Whether it carries a call for one item, whose answers number no actions.
    is_alone: bool,
}

/// What is left of an action once it is sent.
struct Action {
    target: Target,
    key: Item,
    intent: Intent,
}

impl Action {
    /// What stands for it where it is sent again, with the body of the first time: the SDK looks at the tables to find the
    /// endpoint.
    fn in_name(&self) -> TransactWriteItem {
        let put = Put::builder().table_name(&*self.target.table).set_item(Some(Item::new()));
        // Every required member is set, so the build does not fail.
        TransactWriteItem::builder().set_put(put.build().ok()).build()
    }
}

impl Commit {
    /// Takes writes together, each with its table. `target` stands for all of the tables.
    pub(crate) fn of(target: &Target, writes: Vec<(Target, ConditionalWrite)>) -> Result<Self> {
        check_actions(writes.len())?;
        check_bytes(writes.iter().map(|(_, write)| write.least_bytes()).sum())?;
        let mut actions: Vec<Action> = Vec::with_capacity(writes.len());
        let mut items = Vec::with_capacity(writes.len());
        let mut places = HashMap::with_capacity(writes.len());
        for (place, (target, write)) in writes.into_iter().enumerate() {
            let (key, intent) = (write.key(), Intent { has_token: true, ..write.intent() });
            let item = (target.table.clone(), KeyId::of(intent.schema, &key));
            if let Some(other) = places.insert(item, place) {
                let problem = format!("actions {other} and {place}, counted from 0, are for the same item");
                return Err(Invalid::request(problem).in_table(&target.table));
            }
            items.push(write.into_transact_write_item(target.table.to_string(), target.on_failed_check()));
            actions.push(Action { target, key, intent });
        }
        let token = random::token().map_err(|none| Invalid::from(none).in_table(&target.table))?;
        Ok(Self { actions, token, writes: Some(items), is_alone: false })
    }

    /// One write, whose answers are those that it has alone.
    pub(crate) fn alone(target: &Target, write: ConditionalWrite) -> Result<Self> {
        Ok(Self { is_alone: true, ..Self::of(target, vec![(target.clone(), write)])? })
    }
}

impl LogicalWrite for Commit {
    fn operation(&self) -> &'static str {
        TRANSACT
    }

    fn repeat(&self) -> Repeat {
        Repeat::Always
    }

    async fn send(
        &mut self,
        target: &Target,
        budget: &mut Budget,
        attempts: &Arc<Attempts>,
    ) -> Result<(), Reason> {
        let request = target.client.transact_write_items().client_request_token(&self.token);
        let writes = self.writes.take().unwrap_or_else(|| self.actions.iter().map(Action::in_name).collect());
        let request = request.set_transact_items(Some(writes));
        let watch = Watch::<TransactWriteItemsError>::new(attempts, self.repeat());
        let config = target.config(budget).interceptor(watch);
        let call = Box::pin(request.customize().config_override(config).send());
        target.within(budget.deadline(), budget, TRANSACT, call).await.map(drop)
    }

    async fn judged(
        &self,
        target: &Target,
        reasons: Vec<CancellationReason>,
        clean: bool,
        budget: &mut Budget,
    ) -> Judged {
        let codes = reasons.iter().map(|reason| reason.code().unwrap_or_default().to_owned()).collect();
        // They belong to the actions by their position: of too few or too many, none belongs to one for sure.
        let reasons = if reasons.len() == self.actions.len() { reasons } else { Vec::new() };
        let mut refused = Vec::new();
        // An earlier attempt may still be on its way, and what refused this one must refuse that one too.
        let mut is_final = clean;
        for (place, (action, reason)) in self.actions.iter().zip(reasons).enumerate() {
            if reason.code() != Some(CHECK_FAILED) {
                continue;
            }
            let Action { target, key, intent } = action;
            let (stored, verdict) = match target.standing(reason.item, key, budget).await {
                Ok(stored) => {
                    let verdict = judge(*intent, stored.as_ref(), true);
                    (stored, verdict)
                }
                // An action whose item cannot be read was refused all the same.
                Err(_) => (None, Verdict::Conflict),
            };
            let error: fn(Box<Conflict>) -> Error = match verdict {
                // A store that does not know the token refused what it had applied.
                Verdict::Applied => return Judged::Applied(Applied::Now),
                Verdict::AlreadyExists | Verdict::Again => Error::AlreadyExists,
                Verdict::ConditionFailed => Error::ConditionFailed,
                _ => Error::Conflict,
            };
            let mut conflict =
                Conflict::new(&target.table, intent.schema, intent.expect, key.clone(), stored);
            if verdict == Verdict::Again && self.is_alone && clean {
                return Judged::Again(error(Box::new(conflict)));
            }
            conflict.action = Some(place).filter(|_| !self.is_alone);
            is_final |= match intent.expect {
                Expect::Version(_) => true,
                Expect::Absent => conflict.item().is_some(),
                // Under no version, contents change and so does what refuses.
                Expect::Unversioned | Expect::AsRead(_) => conflict.actual() > Some(0),
            };
            refused.push(error(Box::new(conflict)));
        }
        if refused.is_empty() {
            let cause = "there is not one reason for each action in the refusal";
            let error = Error::Sdk(SdkFailure::new(TRANSACT, &target.table, cause, Worth::One).into());
            return Judged::Ended(if clean { error } else { self.unknown(target, error) });
        }
        // What a fresh read may cure comes first.
        let mut error = refused.remove(refused.iter().position(Error::is_conflict).unwrap_or_default());
        if let Some(first) = error.conflict_mut().filter(|_| !self.is_alone) {
            (first.reasons, first.others) = (codes, refused);
        }
        Judged::Ended(if is_final { error } else { self.unknown(target, budget.refused(error)) })
    }

    fn item_is_denied(&self, _: &Target) {
        // Which of the tables is meant, the refusal does not tell.
        self.actions.iter().for_each(|action| action.target.item_is_denied());
    }

    fn unknown(&self, _: &Target, cause: Error) -> Error {
        // The one of which a later read tells most.
        let changed =
            self.actions.iter().filter(|action| action.intent.operation != Operation::ConditionCheck);
        let telling = changed
            .min_by_key(|Action { intent, .. }| (intent.stamp.is_none(), intent.next_version.is_none()));
        match telling {
            Some(Action { target, key, intent }) => Error::OutcomeUnknown(Box::new(Unknown {
                table: target.table.clone(),
                key: key.clone(),
                write: *intent,
                cause: Some(cause),
            })),
            // Checks alone change nothing, so nothing is in doubt.
            None => cause,
        }
    }
}
