//! A caller that writes with dynalock, by every call there is.

use std::time::Duration;

use dynalock::{Condition, Deleted, Error, Retry, Table};
use dynalock_tests::history::{Action, Answer, Way};
use tokio::time::timeout;

use crate::{
    caller::{Caller, Open, Setting, Sharing},
    document::{Document, MORTAL, TABLE, id},
    secret::leak,
    world::lock,
};

pub(crate) struct Writer<D: Document> {
    pub(crate) caller: Caller,
    pub(crate) table: Table<D>,
    /// The object at hand, possibly old.
    held: Option<D>,
    limits: (u32, Duration),
    sharing: Sharing,
    /// Whether it creates and deletes more often than not.
    creates: bool,
}

impl<D: Document> Writer<D> {
    /// The first caller of a program.
    pub(crate) fn new(setting: &Setting, seed: u64, sharing: Sharing) -> Self {
        let caller = Caller::new(format!("K{} step {}", D::STAMPS, D::STEP), setting, seed);
        let table = Table::new(&caller.client, TABLE);
        let table = if sharing == Sharing::Writes { table.coalescing() } else { table };
        Self::at(table, caller, sharing, setting.creates)
    }

    /// Another caller of the same program.
    pub(crate) fn colleague(&mut self) -> Self {
        Self::at(self.table.clone(), self.caller.colleague(), self.sharing, self.creates)
    }

    fn at(table: Table<D>, mut caller: Caller, sharing: Sharing, creates: bool) -> Self {
        let attempts = caller.dice.u32(4..40);
        let deadline = Duration::from_millis(caller.dice.u64(2_000..30_000));
        let table = table.with_retry(Retry::default().attempts(attempts).deadline(deadline));
        Self { caller, table, held: None, limits: (attempts, deadline), sharing, creates }
    }

    pub(crate) fn retry(&self) -> Retry {
        let (attempts, deadline) = self.limits;
        Retry::default().attempts(attempts).deadline(deadline)
    }

    pub(crate) fn table(&self) -> &Table<D> {
        &self.table
    }

    pub(crate) async fn run(mut self, calls: u32) {
        for _ in 0..calls {
            self.caller.pause().await;
            let key = self.caller.key();
            if self.creates && self.caller.dice.u32(0..4) > 0 {
                self.create_or_delete(key).await;
                continue;
            }
            // Who shares something does half of the time what that matters to.
            let choices = if self.sharing != Sharing::Nothing && self.caller.dice.bool() { 6 } else { 13 };
            match (self.caller.dice.u32(0..choices), self.held.take()) {
                (0..3, held) => {
                    self.held = held;
                    self.update(key, Action::Update).await;
                }
                (3, held) => {
                    self.held = held;
                    let limit = self.caller.dice.usize(0..20);
                    self.update(key, Action::UpdateIf(limit)).await;
                }
                (4, held) => {
                    self.held = held;
                    self.try_update(key).await;
                }
                (5, _) if key == MORTAL => self.update_or_create(key).await,
                (6, _) if key == MORTAL => self.create(key, Way::Alone).await,
                (7, Some(object)) if may_delete(&object) => self.delete(&object).await,
                (8, Some(object)) => self.write(Action::Touch, object).await,
                (9, Some(object)) => self.write(Action::Replace, object).await,
                (10, Some(mut object)) => {
                    let limit = object.log().len() + self.caller.dice.usize(0..2);
                    self.write(Action::SaveIf(limit.saturating_sub(1)), object).await;
                }
                (_, Some(object)) => self.write(Action::Save, object).await,
                (_, None) => self.get(key).await,
            }
        }
    }

    /// One of the calls that create and delete items.
    async fn create_or_delete(&mut self, key: &'static str) {
        let held = self.held.take();
        match (self.caller.dice.u32(0..9), held) {
            (0..3, Some(object)) if may_delete(&object) => self.delete(&object).await,
            (0, _) => self.get(key).await,
            (1 | 3, _) => self.create(key, Way::Alone).await,
            (2 | 4, _) => self.update_or_create(key).await,
            (5, _) => self.create(key, Way::Batch).await,
            (6, _) => self.create(key, Way::Transact).await,
            (7, _) => self.create(key, Way::TransactTwo).await,
            _ => self.upsert(key).await,
        }
    }

    pub(crate) fn begin(&self, action: Action, key: &str, expected: u64) -> Open {
        let mut open = self.caller.begin(action, key, expected);
        (open.call.step, open.call.stamps) = (D::STEP, D::STAMPS);
        open.call.coalesces = self.sharing == Sharing::Writes;
        let (attempts, deadline) = self.limits;
        // Each attempt is up to three requests of the SDK's; reads that are no attempts of their own come on top.
        open.call.requests.1 = 3 * (2 * attempts + 2);
        open.call.time.1 = deadline + Duration::from_millis(5);
        open
    }

    /// Waits for a call, or loses patience and drops it: `None`.
    pub(crate) async fn wait<T>(&mut self, call: impl Future<Output = T>) -> Option<T> {
        let (patient, patience) = (self.caller.dice.u32(0..8) > 0, self.caller.dice.u64(0..80));
        let patience = if patient { Duration::MAX } else { Duration::from_millis(patience) };
        timeout(patience, call).await.ok()
    }

    async fn update(&mut self, key: &'static str, action: Action) {
        let mut open = self.begin(action, key, 0);
        open.call.runs = 0;
        let change = |object: &mut D| {
            open.call.runs += 1;
            object.change(&open.call);
        };
        let call = self.table.update(key, change);
        let call = match action {
            Action::UpdateIf(limit) => call.condition(no_longer_than(limit)),
            _ => call,
        };
        let answer = self.wait(call.into_future()).await;
        self.hand_over(open, answer);
    }

    async fn try_update(&mut self, key: &'static str) {
        let action = Action::TryUpdate(self.caller.dice.usize(0..20));
        let mut open = self.begin(action, key, 0);
        open.call.runs = 0;
        let change = |object: &mut D| {
            open.call.runs += 1;
            open.call.seen = Some(object.seen());
            let refuses = action.refuses(object.log().len());
            // What it leaves behind must not be kept.
            object.change(&open.call);
            if refuses { Err(Refusal(None)) } else { Ok(()) }
        };
        let answer = self.wait(self.table.try_update(key, change).into_future()).await;
        let answer = match answer {
            Some(Err(Refusal(None))) => return self.caller.end(open, Answer::Refused),
            Some(Err(Refusal(Some(error)))) => Some(Err(error)),
            Some(Ok(object)) => Some(Ok(object)),
            None => None,
        };
        open.call.seen = None;
        self.hand_over(open, answer);
    }

    async fn update_or_create(&mut self, key: &'static str) {
        let mut open = self.begin(Action::UpdateOrCreate, key, 0);
        open.call.runs = 0;
        let change = |object: &mut D| {
            open.call.runs += 1;
            object.change(&open.call);
        };
        let call = self.table.update_or_create(key, || D::new(key), change);
        let answer = self.wait(call.into_future()).await;
        self.hand_over(open, answer);
    }

    async fn write(&mut self, action: Action, mut object: D) {
        let open = self.begin(action, &id(&object), object.version());
        if action != Action::Touch {
            object.change(&open.call);
        }
        let before = object.clone();
        let call = match action {
            Action::Touch => self.table.touch(&mut object),
            Action::Replace => self.table.replace(&mut object),
            Action::SaveIf(limit) => self.table.save(&mut object).condition(no_longer_than(limit)),
            _ => self.table.save(&mut object),
        };
        let answer = self.wait(call.into_future()).await;
        self.hand_over_changed(open, answer, &before, object);
    }

    async fn delete(&mut self, object: &D) {
        let open = self.begin(Action::Delete, &id(object), object.version());
        match self.wait(self.table.delete(object).into_future()).await {
            Some(Ok(Deleted::Now)) => self.caller.end(open, Answer::Ok),
            Some(Ok(Deleted::AlreadyGone | Deleted::NowOrBefore)) => {
                self.caller.end(open, Answer::AlreadyGone);
            }
            Some(Err(error)) => self.hand_back(open, Some(Err(error))),
            None => self.hand_back(open, None),
        }
    }

    async fn get(&mut self, key: &str) {
        let mut open = self.begin(Action::Get, key, 0);
        let answer = match self.table.get(key).await {
            Ok(Some(object)) => {
                open.call.seen = Some(object.seen());
                self.held = Some(object);
                Answer::Ok
            }
            Ok(None) => Answer::NotFound,
            Err(error) => refused(&error),
        };
        self.caller.end(open, answer);
    }

    /// Ends a call that was given the object itself.
    pub(crate) fn hand_over_changed(
        &mut self,
        open: Open,
        answer: Option<Result<(), Error>>,
        before: &D,
        after: D,
    ) {
        let done = matches!(answer, Some(Ok(())));
        assert!(done || after == *before, "I8: an object changed without Ok");
        self.hand_over(open, answer.map(|answer| answer.map(|()| after)));
    }

    /// Ends a call; the object stays at hand if it was stored.
    fn hand_over(&mut self, mut open: Open, answer: Option<Result<D, Error>>) {
        let answer = answer.map(|answer| {
            answer.map(|object| {
                open.call.seen = Some(object.seen());
                self.held = Some(object);
            })
        });
        self.hand_back(open, answer);
    }

    /// Ends a call that returned no object.
    pub(crate) fn hand_back(&mut self, mut open: Open, answer: Option<Result<(), Error>>) {
        let error = match answer {
            Some(Ok(())) => return self.caller.end(open, Answer::Ok),
            Some(Err(error)) => error,
            None => return self.caller.end(open, Answer::Dropped),
        };
        if let Error::Conflict(conflict) | Error::AlreadyExists(conflict) | Error::ConditionFailed(conflict) =
            &error
        {
            open.call.seen = conflict.current::<D>().ok().map(|object| object.seen());
        }
        let (id, answer) = (open.call.id, refused(&error));
        self.caller.end(open, answer);
        if let Answer::Unknown(_) = answer {
            lock(&self.caller.world.unknown).push((id, error));
        }
    }
}

/// Why a `try_update` did not write: its closure refused, or dynalock failed.
struct Refusal(Option<Error>);

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self(Some(error))
    }
}

fn may_delete<D: Document>(object: &D) -> bool {
    object.version() > 0 && id(object) == MORTAL
}

fn no_longer_than(limit: usize) -> Condition {
    Condition::new("size(#log) <= :limit").name("#log", "log").value(":limit", limit)
}

fn refused(error: &Error) -> Answer {
    assert_eq!(leak(error), None, "I12: an error shows an item");
    match error {
        Error::Conflict(_) => Answer::Conflict,
        Error::AlreadyExists(_) => Answer::AlreadyExists,
        Error::NotFound => Answer::NotFound,
        Error::ConditionFailed(_) => Answer::ConditionFailed,
        Error::OutcomeUnknown(_) => Answer::Unknown(None),
        Error::Busy { .. } | Error::Sdk(_) => Answer::Failed,
        error => panic!("no call of the simulation can end in {error:?}"),
    }
}
