//! What happened to the items of a table, in the order in which the store did it, and the rules that every such history
//! must keep, whatever the network did.
//!
//! Items under test have a number `version` and a list `log`. Each write appends a mark of its own to the list, made of its
//! call and of how often the call has tried: `"hunter2 17.2"` is what call 17 appends in its second run. So the history
//! itself tells whose writes were applied, how often, and on top of what.

mod rules;

use std::time::Duration;

use serde_json::Value;

/// Stands in every value that an item holds, so that no output shows one unnoticed.
pub const SECRET: &str = "hunter2";

/// An item as the store has it, in DynamoDB's JSON.
pub type Stored = Option<Value>;

/// One request that the store carried out and that changed an item.
#[derive(Clone, Debug)]
pub struct Effect {
    /// The call that it belongs to.
    pub call: u32,
    /// Such as `"UpdateItem"`.
    pub operation: String,
    /// The key of the item.
    pub key: String,
    /// The item that it found.
    pub before: Stored,
    /// The item that it left.
    pub after: Stored,
}

/// What a call was to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read the item.
    Get,
    /// `update`.
    Update,
    /// `try_update`, with a closure that refuses where the list is longer than this.
    TryUpdate(usize),
    /// `update_or_create`.
    UpdateOrCreate,
    /// `create`.
    Create,
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
    /// The number of the program that made it; from 1.
    pub client: u32,
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
        matches!(self, Self::SaveIf(limit) | Self::TryUpdate(limit) if length > limit)
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
            let effects = self.effects_of(call).count();
            tally.writes += 1;
            tally.ok += u32::from(call.answer == Answer::Ok);
            tally.unknown += u32::from(matches!(call.answer, Answer::Unknown(_)));
            tally.dropped += u32::from(call.answer == Answer::Dropped);
            tally.dropped_applied += u32::from(call.answer == Answer::Dropped && effects > 0);
            tally.doubled += u32::from(effects > 1);
            tally.lost += u32::from(call.answer == Answer::Ok && effects == 0);
        }
        tally
    }

    fn effects_of(&self, call: &Call) -> impl Iterator<Item = (usize, &Effect)> {
        let call = call.id;
        self.effects.iter().enumerate().filter(move |(_, effect)| effect.call == call)
    }
}
