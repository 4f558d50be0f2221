//! What happened to the items of a table, in the order in which the store did it, and the rules that every such history
//! must keep, whatever the network did.
//!
//! Items under test have a number `version` and a list `log`. Each write appends a mark of its own to the list, made of its
//! call and of how often the call has tried: `"hunter2 17.2"` is what call 17 appends in its second run. So the history
//! itself tells whose changes were applied, how often, and on top of what; also where one write carries those of several calls.
//!
//! A call under test that has an even number sets the attribute `even` to its mark too. One that has an odd number sets `odd`, and
//! removes `even`. So changes that one write carries are of different attributes, and some undo others.

mod application;
mod attempt;
mod creates;
mod rules;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::Value;

pub use application::{Application, call_of};
pub use attempt::{Attempt, Carried, Reply, is_create};
pub use creates::{CREATED_ONCE, SENT_ONCE};
pub use rules::{Breach, FRESH};

/// Stands in every value that an item holds, so that no output shows one unnoticed.
pub const SECRET: &str = "hunter2";

/// An item as the store has it, in DynamoDB's JSON.
pub type Stored = Option<Value>;

/// One request that the store carried out and that changed an item.
#[derive(Clone, Debug)]
pub struct Effect {
    /// The program that sent it.
    pub program: u32,
    /// The call that sent it, not always its own change.
    pub sender: u32,
    /// Such as `"UpdateItem"`.
    pub operation: String,
    /// The key of the item.
    pub key: String,
    /// The item that it found.
    pub before: Stored,
    /// The item that it left.
    pub after: Stored,
    /// The marks that it appended to the list, in their order: behind what is the same before and after.
    pub appended: Vec<String>,
}

impl Effect {
    /// What the store made of `before`.
    #[must_use]
    pub fn new(
        program: u32,
        sender: u32,
        operation: String,
        key: String,
        before: Stored,
        after: Stored,
    ) -> Self {
        let (old, mut appended) = (log(&before), log(&after));
        let kept = old.iter().zip(&appended).take_while(|(old, new)| old == new).count();
        appended.drain(..kept);
        Self { program, sender, operation, key, before, after, appended }
    }
}

/// What a call was to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read the item.
    Get,
    /// `update`.
    Update,
    /// `update`, if the stored list is no longer than this.
    UpdateIf(usize),
    /// `try_update`, with a closure that refuses where the list is longer than this.
    TryUpdate(usize),
    /// `update_or_create`.
    UpdateOrCreate,
    /// A create, on this way.
    Create(Way),
    /// `transact`, with a closure that reads the item and saves it, or creates it where there is none.
    Upsert,
    /// `save`.
    Save,
    /// `save`, if the list is no longer than this.
    SaveIf(usize),
    /// `replace`.
    Replace,
    /// `touch`.
    Touch,
    /// `delete`.
    Delete,
    /// Anything that another program does.
    Foreign,
}

/// How an item is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `create`.
    Alone,
    /// `create_all`, with another item.
    Batch,
    /// `transact`, whose only write it is.
    Transact,
    /// `transact`, with another item.
    TransactTwo,
}

/// What is said of the versions of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versions {
    /// No version of a key comes twice, as with `start = "clock"`: assumption A3.
    #[default]
    Unique,
    /// A deleted item begins at the same version again, as with `start = 1`. Then only the rules of creates hold, which rest on
    /// no version.
    Reused,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was done, once.
    Ok,
    /// A delete that found nothing.
    AlreadyGone,
    /// Another writer was faster.
    Conflict,
    /// The item to create was there.
    AlreadyExists,
    /// There was no item.
    NotFound,
    /// The caller's condition did not hold.
    ConditionFailed,
    /// The caller's closure refused.
    Refused,
    /// It may have been done. What a later read of the item said about that.
    Unknown(Option<bool>),
    /// It may have been done: its caller did not wait for the answer.
    Dropped,
    /// An error of the SDK's: not done.
    Failed,
    /// Another program's call, which makes no promise.
    Open,
}

/// One call, and what its caller knows of it.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its number.
    pub id: u32,
    /// The number of the one who made it, and makes one call at a time; from 1.
    pub caller: u32,
    /// The number of its program, whose callers share one table.
    pub program: u32,
    /// Whether they share their writes too.
    pub coalesces: bool,
    /// What it was to do.
    pub action: Action,
    /// To which item.
    pub key: String,
    /// What each of the writer's writes adds to the version.
    pub step: u64,
    /// How many write stamps the writer keeps.
    pub stamps: u64,
    /// The version in the caller's object; 0 if there is none.
    pub expected: u64,
    /// How many effects there were when it began.
    pub began: usize,
    /// How many there were when it ended.
    pub ended: usize,
    /// How it ended.
    pub answer: Answer,
    /// How often the change was applied to an object.
    pub runs: u32,
    /// The version and the list that it returned, also within an error, or that its closure refused.
    pub seen: Option<(u64, Vec<String>)>,
    /// How many requests the SDK sent, and how many it might.
    pub requests: (u32, u32),
    /// How long it took, and how long it might take.
    pub time: (Duration, Duration),
}

impl Call {
    /// What it appends to the list in its present run.
    #[must_use]
    pub fn mark(&self) -> String {
        format!("{SECRET} {}.{}", self.id, self.runs)
    }
}

impl Action {
    /// Whether the caller has a limit, and a list of this length is beyond it.
    #[must_use]
    pub fn refuses(self, length: usize) -> bool {
        matches!(self, Self::SaveIf(limit) | Self::UpdateIf(limit) | Self::TryUpdate(limit) if length > limit)
    }

    /// Whether it reads and changes the item in its turn, whatever version that has.
    #[must_use]
    pub fn takes_turns(self) -> bool {
        matches!(self, Self::Update | Self::UpdateIf(_) | Self::TryUpdate(_) | Self::UpdateOrCreate)
    }

    /// Whether it goes on with what it finds, until others were faster too often.
    #[must_use]
    pub fn runs_again(self) -> bool {
        self.takes_turns() || self == Self::Upsert
    }

    /// Whether it makes an item where there is none.
    #[must_use]
    pub fn creates(self) -> bool {
        matches!(self, Self::Create(_) | Self::UpdateOrCreate | Self::Upsert)
    }

    /// Whether its caller learns what it has written. A closure of `transact` gives its objects away.
    #[must_use]
    pub fn returns_item(self) -> bool {
        !matches!(self, Self::Create(Way::Transact | Way::TransactTwo) | Self::Upsert | Self::Delete)
    }

    /// Whether it leaves a mark in the list.
    fn appends(self) -> bool {
        !matches!(self, Self::Get | Self::Touch | Self::Delete)
    }
}

/// What happened next.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// The call of this number began.
    Began(u32),
    /// The store carried out the effect of this index.
    Applied(usize),
    /// The call of this number ended.
    Ended(u32),
}

/// All effects and all calls of a run.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// In the order of time; of what happens at once, in the order in which it was recorded.
    pub events: Vec<Event>,
    /// In the order of the store.
    pub effects: Vec<Effect>,
    /// In the order of their ends.
    pub calls: Vec<Call>,
    /// Every conditional write that a client sent, in the order in which they left.
    pub attempts: Vec<Attempt>,
    /// Every one that has come to the store, copies included, in the order of the store. Transactions only where they were carried out.
    pub carried: Vec<Carried>,
    /// What is said of the versions.
    pub versions: Versions,
}

/// What became of the calls of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls that were to write.
    pub writes: u32,
    /// Those that were answered Ok.
    pub ok: u32,
    /// Those whose outcome stayed unknown.
    pub unknown: u32,
    /// Those that were dropped before they ended.
    pub dropped: u32,
    /// Those of the dropped ones that were applied.
    pub dropped_applied: u32,
    /// Those that were applied more than once.
    pub doubled: u32,
    /// Those that were answered Ok, and were never applied.
    pub lost: u32,
    /// How many of the store's effects carry one change, two, and so on; the last counts those with more too.
    pub shared: [u32; 4],
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, more: Self) {
        self.writes += more.writes;
        self.ok += more.ok;
        self.unknown += more.unknown;
        self.dropped += more.dropped;
        self.dropped_applied += more.dropped_applied;
        self.doubled += more.doubled;
        self.lost += more.lost;
        self.shared.iter_mut().zip(more.shared).for_each(|(shared, more)| *shared += more);
    }
}

/// The version of an item: 0 where there is none.
#[must_use]
pub fn version(item: &Stored) -> u64 {
    let number = item.as_ref().and_then(|item| item["version"]["N"].as_str());
    number.and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// The list of an item.
#[must_use]
pub fn log(item: &Stored) -> Vec<String> {
    let list = item.as_ref().and_then(|item| item["log"]["L"].as_array());
    list.into_iter().flatten().filter_map(|id| Some(id["S"].as_str()?.to_owned())).collect()
}

impl History {
    /// Counts what became of the writes of everybody but foreign programs.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for call in &self.calls {
            if matches!(call.action, Action::Get | Action::Foreign) {
                continue;
            }
            let applied: Vec<_> = self.applications(call).collect();
            tally.writes += 1;
            tally.ok += u32::from(call.answer == Answer::Ok);
            tally.unknown += u32::from(matches!(call.answer, Answer::Unknown(_)));
            tally.dropped += u32::from(call.answer == Answer::Dropped);
            tally.dropped_applied += u32::from(call.answer == Answer::Dropped && !applied.is_empty());
            tally.doubled += u32::from(applied.len() > 1);
            tally.lost += u32::from(call.answer == Answer::Ok && applied.is_empty());
            for applied in applied.iter().filter(|applied| applied.is_last()) {
                let carried = applied.effect.appended.len().clamp(1, tally.shared.len());
                tally.shared[carried - 1] += 1;
            }
        }
        tally
    }
}
