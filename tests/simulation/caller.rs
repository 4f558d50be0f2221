//! One who makes calls, one at a time, and the program that it belongs to: its way to the store.

use std::{sync::Arc, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    config::{SharedHttpClient, timeout::TimeoutConfig},
};
use dynalock_tests::{
    engines::Store,
    history::{Action, Answer, Call, Event},
};
use fastrand::Rng;
use tokio::time::Instant;

use crate::{
    network::{Line, Odds},
    sender,
    world::{Clock, World},
};

/// What every program of a run is made with.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) world: Arc<World>,
    pub(crate) store: Store,
    /// The way to the store that records what it does.
    pub(crate) ledger: SharedHttpClient,
    pub(crate) odds: Odds,
    pub(crate) keys: &'static [&'static str],
    /// How many calls each caller makes.
    pub(crate) calls: u32,
    /// The longest pause between two calls of a caller.
    pub(crate) pause: Duration,
    /// Whether they create and delete more often than not.
    pub(crate) creates: bool,
    /// Whether a deleted item begins at version 1 again.
    pub(crate) from_1: bool,
}

/// What the callers of a program share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Sharing {
    /// Nothing: there is only one.
    Nothing,
    /// The queue of each item.
    Turns,
    /// The writes too.
    Writes,
}

#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) name: String,
    number: u32,
    program: u32,
    pub(crate) world: Arc<World>,
    pub(crate) client: Client,
    pub(crate) dice: Rng,
    keys: &'static [&'static str],
    pause: Duration,
}

impl Caller {
    /// The first caller of a program.
    pub(crate) fn new(name: String, setting: &Setting, seed: u64) -> Self {
        let Setting { world, store, ledger, odds, keys, pause, .. } = setting;
        let mut dice = Rng::with_seed(seed);
        let line = Line::new(world, ledger, *odds, dice.u64(..));
        let timeout = Duration::from_millis(dice.u64(300..3000));
        let config = store
            .config()
            .time_source(Clock(Arc::clone(world)))
            .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(timeout).build())
            .http_client(line);
        let client = Client::from_conf(config.build());
        let number = world.next_caller();
        Self { name, number, program: number, world: Arc::clone(world), client, dice, keys, pause: *pause }
    }

    /// Another caller of the same program.
    pub(crate) fn colleague(&mut self) -> Self {
        let (number, world, client) = (self.world.next_caller(), self.world.clone(), self.client.clone());
        Self { name: self.name.clone(), number, world, client, dice: self.dice.fork(), ..*self }
    }

    /// Lets other programs come in between.
    pub(crate) async fn pause(&mut self) {
        tokio::time::sleep(self.pause.mul_f64(self.dice.f64())).await;
    }

    pub(crate) fn key(&mut self) -> &'static str {
        self.keys[self.dice.usize(0..self.keys.len())]
    }

    /// Begins a call; what it sends from now on counts as its requests.
    pub(crate) fn begin(&self, action: Action, key: &str, expected: u64) -> Open {
        let id = self.world.next_call();
        sender::begin(self.program, id);
        let Self { name, number, .. } = self;
        self.world.note(format_args!("call {id:<4} {name} ({number}) {action:?} {key} at {expected}"));
        let began = self.world.moment();
        self.world.history().events.push(Event::Began(id));
        let call = Call {
            id,
            caller: self.number,
            program: self.program,
            coalesces: false,
            action,
            key: key.to_owned(),
            step: 1,
            stamps: 0,
            expected,
            began,
            ended: began,
            answer: Answer::Open,
            runs: 1,
            seen: None,
            requests: (0, u32::MAX),
            time: (Duration::ZERO, Duration::MAX),
        };
        Open { call, begun: Instant::now() }
    }

    /// Ends a call with what it answered.
    pub(crate) fn end(&self, open: Open, answer: Answer) {
        let Open { mut call, begun } = open;
        call.answer = answer;
        call.ended = self.world.moment();
        call.requests.0 = sender::requests();
        call.time.0 = begun.elapsed();
        let Self { name, number, .. } = self;
        self.world.note(format_args!("call {:<4} {name} ({number}) answers {answer:?}", call.id));
        let mut history = self.world.history();
        history.events.push(Event::Ended(call.id));
        history.calls.push(call);
    }
}

/// A call under way.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) call: Call,
    begun: Instant,
}
