//! The states, and the steps between them.

use std::fmt;
use std::sync::atomic::Ordering;

use crate::store::{Bounds, Doubt, Kind, ROOM, Start, Store, WRITERS};
use dynalock_model::protocol::{
    Act, Author, INCREMENT, Item, Protocol, REBORN, Stamp, Verdict, Write, judge,
};

/// What can go wrong, in [`State::broken`].
pub(crate) const LOST: u8 = 1;
pub(crate) const DOUBLED: u8 = 2;
pub(crate) const PHANTOM: u8 = 4;
pub(crate) const FALSE_REFUSAL: u8 = 8;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) item: Option<Item>,
    pub(crate) writers: [Writer; WRITERS],
    /// Answered writes of which a copy may still be under way.
    pub(crate) sent: Vec<Sent>,
    /// A set of versions that were used: all of them, or by the clock the highest one.
    pub(crate) used: u64,
    pub(crate) copy: Option<Item>,
    pub(crate) left: Bounds,
    pub(crate) broken: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Writer {
    pub(crate) kind: Kind,
    /// How often the change that the writer is about was applied.
    pub(crate) effects: u8,
    pub(crate) busy: Option<Busy>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Busy {
    pub(crate) write: Write,
    pub(crate) attempts: u8,
    pub(crate) clean: bool,
    pub(crate) transmitted: bool,
    pub(crate) applied: bool,
    /// Requests of a create that are late.
    pub(crate) late: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Sent {
    pub(crate) write: Write,
    /// Of the change that it was for.
    pub(crate) effects: u8,
    pub(crate) refused: bool,
    pub(crate) late: u8,
}

impl State {
    pub(crate) fn read(&mut self, index: usize, store: &Store) {
        let (Some(item), writer) = (self.item, &mut self.writers[index]) else { return };
        let Kind { stamps, replaces, conditional } = writer.kind;
        let (next, value) = (item.version + store.step, item.value + INCREMENT);
        let slot = if stamps > 0 { next / store.step % stamps } else { 0 };
        let from = item.version;
        let write = Write { act: Act::Change, from, next, value, stamps, slot, replaces, conditional };
        writer.busy = Some(Busy::new(write, store));
        self.left.writes -= 1;
    }

    /// A writer is about to create the item. It does not look whether there is one, but at the clock.
    pub(crate) fn start_create(&mut self, index: usize, store: &Store) {
        let next = self.next_start(store);
        self.left.creates -= 1;
        let stamps = self.writers[index].kind.stamps;
        let write = Write {
            act: Act::Create,
            from: 0,
            next,
            // No other item begins so.
            value: REBORN
                * (store.bounds.deletes + store.bounds.removes + store.bounds.creates - self.left.creates),
            stamps,
            slot: if stamps > 0 { next / store.step % stamps } else { 0 },
            replaces: false,
            conditional: false,
        };
        self.used |= 1 << next;
        self.writers[index].busy = Some(Busy::new(write, store));
    }

    /// A writer has read the item, and is about to delete it.
    pub(crate) fn start_delete(&mut self, index: usize, store: &Store) {
        let Some(Item { version, value, .. }) = self.item else { return };
        self.left.removes -= 1;
        let write = Write {
            act: Act::Delete,
            from: version,
            next: 0,
            value,
            stamps: 0,
            slot: 0,
            replaces: false,
            conditional: false,
        };
        self.writers[index].busy = Some(Busy::new(write, store));
    }

    /// The version at which an item begins by the clock. Between two readings there is room for all that is written meanwhile.
    pub(crate) fn next_start(&self, store: &Store) -> u8 {
        let top = u8::try_from(self.used.ilog2()).unwrap_or(u8::MAX);
        match store.start {
            Start::One => 1,
            _ if store.bounds.creates > 0 => top + ROOM,
            Start::Clock | Start::Gap => top + 1,
        }
    }

    /// An attempt arrives at the store. Returns whether it was applied.
    pub(crate) fn deliver(&mut self, index: usize) -> bool {
        let writer = &mut self.writers[index];
        let Some(busy) = &mut writer.busy else { return false };
        busy.transmitted = true;
        if !busy.write.applies_to(self.item) {
            return false;
        }
        busy.applied = true;
        writer.effects += 1;
        let (write, effects) = (busy.write, writer.effects);
        self.apply(write, Author::of(index), effects);
        true
    }

    /// The same, and returns whether it is answered with Ok: also where the store knows that it was applied before.
    pub(crate) fn arrive(&mut self, index: usize, store: &Store) -> bool {
        self.writers[index].busy.is_some_and(|busy| busy.is_known(store)) || self.deliver(index)
    }

    /// Whether a late copy of a writer's request changes the item.
    pub(crate) fn admits_late(&self, busy: &Busy, store: &Store) -> bool {
        let is_known = busy.is_known(store);
        busy.transmitted
            && busy.write.applies_to(self.item)
            && !is_known
            && store.may_come(busy.write, busy.late)
    }

    /// The same for a write that was answered.
    pub(crate) fn admits_sent(&self, sent: &Sent, store: &Store) -> bool {
        let is_known = store.doubt == Doubt::Token && sent.write.act == Act::Create && sent.effects > 0;
        sent.write.applies_to(self.item) && !is_known && store.may_come(sent.write, sent.late)
    }

    pub(crate) fn deliver_sent(&mut self, index: usize) {
        let sent = &mut self.sent[index];
        sent.effects += 1;
        sent.late = sent.late.saturating_sub(1);
        if sent.refused {
            self.broken |= FALSE_REFUSAL;
        }
        let (write, effects) = (sent.write, sent.effects);
        self.apply(write, Author::Other, effects);
    }

    fn apply(&mut self, write: Write, author: Author, effects: u8) {
        // The closure must have seen what its write replaces.
        let seen = match (write.act, self.item) {
            (Act::Change, Some(item)) => write.value == item.value + INCREMENT,
            (Act::Delete, Some(item)) => write.value == item.value,
            (Act::Create, _) | (_, None) => true,
        };
        if !seen {
            self.broken |= LOST;
        }
        if effects > 1 {
            self.broken |= DOUBLED;
        }
        self.item = write.applied_to(self.item, author);
    }

    /// An attempt of a writer is lost on its way, and may still arrive.
    pub(crate) fn lose_request(&mut self, index: usize, store: &Store) {
        if let Some(busy) = self.writers[index].busy.as_mut().filter(|busy| busy.write.act == Act::Create) {
            busy.late += 1;
        }
        self.lose(index, store);
    }

    /// An attempt of a writer ends without an answer.
    pub(crate) fn lose(&mut self, index: usize, store: &Store) {
        let Some(busy) = &mut self.writers[index].busy else { return };
        (busy.attempts, busy.clean, busy.transmitted) = (busy.attempts - 1, false, true);
        if busy.write.act == Act::Create && store.doubt == Doubt::Read {
            busy.attempts = 0;
        }
        if busy.attempts == 0 && store.protocol != Protocol::Stamps {
            self.answer(index, Verdict::Unknown);
        }
    }

    /// A writer reads the verdict from the item that came with a failed check.
    pub(crate) fn judge(&mut self, index: usize, store: &Store) {
        let Some(busy) = self.writers[index].busy else { return };
        // What refuses a transaction refuses what was sent of it before.
        let is_final = busy.clean || store.doubt == Doubt::Token && busy.write.act == Act::Create;
        let verdict = self.verdict(index, store, busy.write, is_final);
        self.answer(index, verdict);
    }

    /// A later read tells what became of an unknown outcome. No check failed, so the extra condition says nothing.
    pub(crate) fn look_up(&mut self, index: usize, store: &Store) {
        let Some(busy) = self.writers[index].busy else { return };
        let write = Write { conditional: false, ..busy.write };
        let verdict = self.verdict(index, store, write, false);
        self.answer(index, verdict);
    }

    fn verdict(&self, index: usize, store: &Store, write: Write, clean: bool) -> Verdict {
        let own = Author::of(index);
        let (row, verdict) = judge(store.protocol, write, own, self.item, clean);
        let seen = &store.rows[row][usize::from(!clean)];
        if !seen.load(Ordering::Relaxed) {
            seen.store(true, Ordering::Relaxed);
        }
        verdict
    }

    /// A writer's write is answered, and the writer is free for another, after a conflict with the same change.
    pub(crate) fn answer(&mut self, index: usize, verdict: Verdict) {
        let writer = &mut self.writers[index];
        let Some(busy) = writer.busy.take() else { return };
        let refused = !matches!(verdict, Verdict::Ok | Verdict::AlreadyGone | Verdict::Unknown);
        if verdict == Verdict::Ok && writer.effects != 1 {
            self.broken |= PHANTOM;
        }
        if refused && busy.applied {
            self.broken |= FALSE_REFUSAL;
        }
        let effects = writer.effects;
        if !matches!(verdict, Verdict::Conflict | Verdict::AlreadyExists) {
            writer.effects = 0;
        }
        if busy.transmitted {
            self.sent.push(Sent { write: busy.write, effects, refused, late: busy.late });
        }
        let own = Author::of(index);
        for stamp in self.stamps().filter_map(Option::as_mut) {
            if stamp.author == own {
                stamp.author = Author::Other;
            }
        }
    }

    pub(crate) fn foreign(&mut self, change: impl FnOnce(Item) -> Item) {
        self.item = self.item.map(change);
    }

    /// Forgets what can no longer matter, and brings the writers into an order of their own.
    pub(crate) fn settle(&mut self, store: &Store) {
        if store.start != Start::One {
            // Versions don't come back, so a copy of a write that waits for another version is never applied.
            let now = self.item.map(|item| item.version);
            self.sent.retain(|sent| sent.write.act == Act::Create || Some(sent.write.from) == now);
        }
        self.sent.retain(|sent| store.may_come(sent.write, sent.late));
        self.sent.sort_unstable();
        self.sent.dedup();
        if store.start == Start::Clock {
            self.used = 1 << self.used.ilog2();
            // Later writes make versions above all that were used, so an old stamp is sought by none of them.
            let sought = self.writers.map(|writer| writer.busy.map(|busy| busy.write.next));
            for slot in self.stamps() {
                slot.take_if(|stamp| !sought.contains(&Some(stamp.version)));
            }
        }
        if self.left.restores == 0 {
            self.copy = None;
        }
        if !store.in_order {
            self.sort_writers();
        }
    }

    fn sort_writers(&mut self) {
        let mut order = [0, 1, 2];
        order.sort_by_key(|index| self.writers[*index]);
        self.writers = order.map(|index| self.writers[index]);
        for stamp in self.stamps().filter_map(Option::as_mut) {
            let place = order.iter().position(|index| Author::of(*index) == stamp.author);
            stamp.author = place.map_or(Author::Other, Author::of);
        }
    }

    fn stamps(&mut self) -> impl Iterator<Item = &mut Option<Stamp>> {
        self.item.iter_mut().chain(&mut self.copy).flat_map(|item| &mut item.slots)
    }
}

impl Busy {
    fn new(write: Write, store: &Store) -> Self {
        let attempts = store.attempts;
        Self { write, attempts, clean: true, transmitted: false, applied: false, late: 0 }
    }

    /// Whether the store knows this transaction by its token: it has carried it out, and answers so.
    pub(crate) fn is_known(&self, store: &Store) -> bool {
        store.doubt == Doubt::Token && self.write.act == Act::Create && self.applied
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.item {
            None => write!(f, "no item")?,
            Some(item) => {
                write!(f, "version {} value {}", item.version, item.value)?;
                for stamp in item.slots.iter().flatten() {
                    write!(f, ", stamp {} of {:?}", stamp.version, stamp.author)?;
                }
            }
        }
        for (index, writer) in self.writers.iter().enumerate() {
            let Some(Busy { write, attempts, clean, .. }) = writer.busy else { continue };
            let doubt = if clean { "clean" } else { "ambiguous" };
            let Write { act, from, next, .. } = write;
            write!(f, "; writer {index}: {act:?} {from} to {next}, {doubt}, {attempts} left")?;
        }
        Ok(())
    }
}
