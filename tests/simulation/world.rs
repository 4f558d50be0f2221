//! What a run shares: the history, the trace, the time, and the one rule that foreign deletes keep.

use std::{
    collections::BTreeSet,
    fmt::Display,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_smithy_async::time::TimeSource;
use dynalock::Error;
use dynalock_tests::history::{Effect, Event, History};
use tokio::time::Instant;

/// Names the program that sent a request.
pub(crate) const PROGRAM: &str = "x-simulation-program";

/// Names the call that sent a request.
pub(crate) const CALL: &str = "x-simulation-call";

/// How late a copy of a create may come. Creates have no version to fence them, so that nothing may be deleted while one is
/// under way.
pub(crate) const LATE_CREATE: Duration = Duration::from_millis(300);

/// How late any other request may come.
pub(crate) const LATE: Duration = Duration::from_secs(40);

#[derive(Debug)]
pub(crate) struct World {
    begun: Instant,
    history: Mutex<History>,
    trace: Mutex<Vec<String>>,
    callers: AtomicU32,
    calls: AtomicU32,
    creates: Mutex<Creates>,
    last_time: Mutex<Duration>,
    /// Writes whose outcome stayed unknown, with their calls.
    pub(crate) unknown: Mutex<Vec<(u32, Error)>>,
}

#[derive(Debug)]
struct Creates {
    /// The calls that have sent one and may send it again.
    senders: BTreeSet<u32>,
    last_end: Instant,
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
            creates: Mutex::new(Creates { senders: BTreeSet::new(), last_end: begun }),
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

    /// A call sends what may create an item.
    pub(crate) fn creating(&self, call: u32) {
        lock(&self.creates).senders.insert(call);
    }

    /// A call sends nothing any more.
    pub(crate) fn ended(&self, call: u32) {
        let creates = &mut *lock(&self.creates);
        if creates.senders.remove(&call) {
            creates.last_end = Instant::now();
        }
    }

    /// Whether no copy of a create can come any more.
    pub(crate) fn may_delete(&self) -> bool {
        let creates = lock(&self.creates);
        creates.senders.is_empty() && creates.last_end.elapsed() > 2 * LATE_CREATE
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
