//! The callers of one item in one process: they take turns, and may share a write

pub(crate) mod desk;
pub(crate) mod line;
pub(crate) mod turn;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::item::key::KeyId;
use crate::queue::desk::{CallerId, Desk};
use crate::queue::line::Line;
use crate::support::lock::lock;

/// The queues of a table: one for each item that has callers.
#[derive(Default)]
pub(crate) struct Queues {
    /// Whether waiting callers share one write.
    pub(crate) coalesce: bool,
    by_key: Mutex<HashMap<KeyId, Arc<Line>>>,
    /// How many items are in the map, for those who only ask that.
    items: AtomicUsize,
}

impl Queues {
    pub(crate) fn coalescing() -> Self {
        Self { coalesce: true, ..Self::default() }
    }

    /// How many items have callers. Takes no lock.
    pub(crate) fn len(&self) -> usize {
        self.items.load(Ordering::Relaxed)
    }

    /// Adds a caller to the line of an item. Returns `None` if too many callers wait already.
    fn join(&self, id: &KeyId) -> Option<(Arc<Line>, CallerId)> {
        // The lock of the map is held until the caller has joined. Otherwise the line could be removed in between, and two lines
        // would serve one item.
        let mut by_key = lock(&self.by_key);
        if let Some(line) = by_key.get(id) {
            return line.join().map(|caller| (Arc::clone(line), caller));
        }
        let line = Arc::new(Line::new(self.coalesce));
        let caller = line.join()?;
        by_key.insert(id.clone(), Arc::clone(&line));
        self.items.store(by_key.len(), Ordering::Relaxed);
        Some((line, caller))
    }

    /// Removes a caller. If it had the turn, the next caller gets `desk`. The line is removed with its last caller.
    fn leave(&self, id: &KeyId, line: &Line, caller: CallerId, desk: Option<Desk>) {
        let mut by_key = lock(&self.by_key);
        let left = line.leave(caller, desk);
        let removed = if left.is_last { by_key.remove(id) } else { None };
        self.items.store(by_key.len(), Ordering::Relaxed);
        // A waker, or the drop of a request, runs code of others that may use this map again.
        drop(by_key);
        drop(removed);
        left.wake();
    }
}
