//! What a run shares: the history, the trace, and the time.

use std::{
    fmt::Display,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_smithy_async::time::TimeSource;
use dynalock::Error;
use dynalock_tests::history::{Attempt, Effect, Event, History};
use tokio::time::Instant;

/// Names the program that sent a request.
pub(crate) const PROGRAM: &str = "x-simulation-program";

/// Names the call that sent a request.
pub(crate) const CALL: &str = "x-simulation-call";

/// Names the attempt that a request is, or is a copy of.
pub(crate) const ATTEMPT: &str = "x-simulation-attempt";

/// How late a request may come.
pub(crate) const LATE: Duration = Duration::from_secs(40);

#[derive(Debug)]
pub(crate) struct World {
    begun: Instant,
    history: Mutex<History>,
    trace: Mutex<Vec<String>>,
    callers: AtomicU32,
    calls: AtomicU32,
    last_time: Mutex<Duration>,
    /// Writes whose outcome stayed unknown, with their calls.
    pub(crate) unknown: Mutex<Vec<(u32, Error)>>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub(crate) fn new() -> Arc<Self> {
        let begun = Instant::now();
        Arc::new(Self {
            begun,
            history: Mutex::default(),
            trace: Mutex::default(),
            callers: AtomicU32::new(0),
            calls: AtomicU32::new(0),
            last_time: Mutex::default(),
            unknown: Mutex::default(),
        })
    }

    pub(crate) fn history(&self) -> MutexGuard<'_, History> {
        lock(&self.history)
    }

    pub(crate) fn trace(&self) -> Vec<String> {
        lock(&self.trace).clone()
    }

    /// Adds a line to the trace, with the virtual time.
    pub(crate) fn note(&self, line: impl Display) {
        let time = self.begun.elapsed().as_millis();
        lock(&self.trace).push(format!("{time:>7} ms  {line}"));
    }

    pub(crate) fn next_caller(&self) -> u32 {
        self.callers.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn next_call(&self) -> u32 {
        self.calls.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The effects so far.
    pub(crate) fn moment(&self) -> usize {
        self.history().effects.len()
    }

    pub(crate) fn apply(&self, effect: Effect) {
        use dynalock_tests::history::version;
        let (old, new) = (version(&effect.before), version(&effect.after));
        let Effect { sender, operation, appended, .. } = &effect;
        self.note(format_args!("call {sender:<4} {operation} applied: {old} -> {new}, with {appended:?}"));
        let mut history = self.history();
        let index = history.effects.len();
        history.events.push(Event::Applied(index));
        history.effects.push(effect);
    }

    /// A client sends a conditional write. Returns the number of the attempt.
    pub(crate) fn sent(&self, attempt: Attempt) -> usize {
        let attempts = &mut self.history().attempts;
        attempts.push(attempt);
        attempts.len() - 1
    }
}

/// The time of a run: the runtime's virtual time, but never twice the same.
#[derive(Debug)]
pub(crate) struct Clock(pub(crate) Arc<World>);

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        let last = &mut *lock(&self.0.last_time);
        *last = self.0.begun.elapsed().max(*last + Duration::from_millis(1));
        UNIX_EPOCH + Duration::from_hours(500_000) + *last
    }
}
