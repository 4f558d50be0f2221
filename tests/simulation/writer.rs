//! A program that writes with dynalock, by every call there is.

use std::{fmt::Debug, time::Duration};

use dynalock::{Condition, Deleted, Error, Retry, Table, Versioned};
use dynalock_tests::history::{Action, Answer};
use serde::{Deserialize, Serialize};

use crate::{
    caller::{Caller, Open, Setting},
    world::lock,
};

pub(crate) const TABLE: &str = "simulation";

/// The key of an item that may be deleted. The other items stay.
pub(crate) const MORTAL: &str = "mortal";

/// What each program makes of the same items.
pub(crate) trait Document: Versioned<Key = String> + Clone + Debug + PartialEq {
    const STEP: u64;
    const STAMPS: u64;

    fn new(id: &str) -> Self;
    fn version(&self) -> u64;
    fn log(&mut self) -> &mut Vec<String>;

    fn seen(&self) -> (u64, Vec<String>) {
        (self.version(), self.clone().log().clone())
    }
}

macro_rules! document {
    ($name:ident, stamps = $stamps:literal, step = $step:literal) => {
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Versioned)]
        #[dynalock(stamps = $stamps)]
        pub(crate) struct $name {
            #[dynalock(partition_key)]
            id: String,
            log: Vec<String>,
            #[dynalock(version, start = "clock", step = $step)]
            version: u64,
        }

        impl Document for $name {
            const STEP: u64 = $step;
            const STAMPS: u64 = $stamps;

            fn new(id: &str) -> Self {
                Self { id: id.into(), log: vec![], version: 0 }
            }

            fn version(&self) -> u64 {
                self.version
            }

            fn log(&mut self) -> &mut Vec<String> {
                &mut self.log
            }
        }
    };
}

document!(K0, stamps = 0, step = 1);
document!(K1, stamps = 1, step = 1);
document!(K4, stamps = 4, step = 1);
document!(K16, stamps = 16, step = 1);
document!(K0By3, stamps = 0, step = 3);
document!(K1By3, stamps = 1, step = 3);
document!(K4By3, stamps = 4, step = 3);
document!(K16By3, stamps = 16, step = 3);

pub(crate) struct Writer<D: Document> {
    caller: Caller,
    table: Table<D>,
    /// The object at hand, possibly old.
    held: Option<D>,
    limits: (u32, Duration),
}

impl<D: Document> Writer<D> {
    pub(crate) fn new(setting: &Setting, seed: u64) -> Self {
        let mut caller = Caller::new(format!("K{} step {}", D::STAMPS, D::STEP), setting, seed);
        let attempts = caller.dice.u32(4..40);
        let deadline = Duration::from_millis(caller.dice.u64(2_000..30_000));
        let retry = Retry::default().attempts(attempts).deadline(deadline);
        let table = Table::new(&caller.client, TABLE).with_retry(retry);
        Self { caller, table, held: None, limits: (attempts, deadline) }
    }

    pub(crate) async fn run(mut self, calls: u32) {
        for _ in 0..calls {
            self.caller.pause().await;
            let key = self.caller.key();
            match (self.caller.dice.u32(0..12), self.held.take()) {
                (0..5, held) => {
                    self.held = held;
                    self.update(key).await;
                }
                (5, _) if key == MORTAL => self.update_or_create(key).await,
                (6, _) if key == MORTAL => self.create(key).await,
                (7, Some(object)) if self.may_delete(&object) => self.delete(&object).await,
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

    fn may_delete(&self, object: &D) -> bool {
        object.seen().0 > 0 && id(object) == MORTAL && self.caller.world.may_delete()
    }

    fn begin(&self, action: Action, key: &str, expected: u64) -> Open {
        let mut open = self.caller.begin(action, key, expected);
        (open.call.step, open.call.stamps) = (D::STEP, D::STAMPS);
        let (attempts, deadline) = self.limits;
        // Each attempt is up to three requests of the SDK's; reads that are no attempts of their own come on top.
        open.call.requests.1 = 3 * (2 * attempts + 2);
        open.call.time.1 = deadline + Duration::from_millis(5);
        open
    }

    async fn update(&mut self, key: &str) {
        let mut open = self.begin(Action::Update, key, 0);
        open.call.runs = 0;
        let answer = self
            .table
            .update(key, |object: &mut D| {
                open.call.runs += 1;
                object.log().push(open.mark());
            })
            .await;
        self.hand_over(open, answer);
    }

    async fn update_or_create(&mut self, key: &str) {
        let mut open = self.begin(Action::UpdateOrCreate, key, 0);
        open.call.runs = 0;
        let change = |object: &mut D| {
            open.call.runs += 1;
            object.log().push(open.mark());
        };
        let call = self.table.update_or_create(key, || D::new(key), change).into_future();
        let answer = self.caller.world.create(call).await;
        self.hand_over(open, answer);
    }

    async fn create(&mut self, key: &str) {
        let open = self.begin(Action::Create, key, 0);
        let mut object = D::new(key);
        object.log().push(open.mark());
        let before = object.clone();
        let answer = self.caller.world.create(self.table.create(&mut object).into_future()).await;
        assert!(answer.is_ok() || object == before, "I8: an object changed without Ok");
        self.hand_over(open, answer.map(|()| object));
    }

    async fn write(&mut self, action: Action, mut object: D) {
        let open = self.begin(action, &id(&object), object.version());
        if action != Action::Touch {
            object.log().push(open.mark());
        }
        let before = object.clone();
        let call = match action {
            Action::Touch => self.table.touch(&mut object),
            Action::Replace => self.table.replace(&mut object),
            Action::SaveIf(limit) => {
                let short = Condition::new("size(#log) <= :limit").name("#log", "log");
                self.table.save(&mut object).condition(short.value(":limit", limit))
            }
            _ => self.table.save(&mut object),
        };
        let answer = call.await;
        assert!(answer.is_ok() || object == before, "I8: an object changed without Ok");
        self.hand_over(open, answer.map(|()| object));
    }

    async fn delete(&mut self, object: &D) {
        let open = self.begin(Action::Delete, &id(object), object.version());
        match self.table.delete(object).await {
            Ok(Deleted::Now) => self.caller.end(open, Answer::Ok),
            Ok(Deleted::AlreadyGone) => self.caller.end(open, Answer::AlreadyGone),
            Err(error) => self.hand_over(open, Err(error)),
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

    /// Ends a call; the object stays at hand if it was stored.
    fn hand_over(&mut self, mut open: Open, answer: Result<D, Error>) {
        let error = match answer {
            Ok(object) => {
                open.call.seen = Some(object.seen());
                self.held = Some(object);
                return self.caller.end(open, Answer::Ok);
            }
            Err(error) => error,
        };
        if let Error::Conflict(conflict) | Error::AlreadyExists(conflict) = &error {
            open.call.seen = conflict.current::<D>().ok().map(|object| object.seen());
        }
        let (id, answer) = (open.call.id, refused(&error));
        self.caller.end(open, answer);
        if let Answer::Unknown(_) = answer {
            lock(&self.caller.world.unknown).push((id, error));
        }
    }
}

fn id<D: Document>(object: &D) -> String {
    match serde_json::to_value(object) {
        Ok(object) => object["id"].as_str().unwrap_or_default().to_owned(),
        Err(error) => panic!("a document is plain data: {error}"),
    }
}

fn refused(error: &Error) -> Answer {
    match error {
        Error::Conflict(_) => Answer::Conflict,
        Error::AlreadyExists(_) => Answer::AlreadyExists,
        Error::NotFound => Answer::NotFound,
        Error::ConditionFailed(_) => Answer::ConditionFailed,
        Error::OutcomeUnknown(_) => Answer::Unknown(None),
        Error::Sdk(_) => Answer::Failed,
        error => panic!("no call of the simulation can end in {error:?}"),
    }
}
