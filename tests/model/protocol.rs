//! The table of verdicts, stated once more and on its own: what a failed check means to a writer that took version `from`
//! to version `next`.

/// The item, as far as the protocol sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Item {
    pub(crate) version: u8,
    /// What the writers change: [`INCREMENT`] for each change of a dynalock writer, [`FOREIGN`] for each of the others.
    pub(crate) value: u8,
    pub(crate) slots: [Option<Stamp>; SLOTS],
}

pub(crate) const SLOTS: usize = 4;
pub(crate) const INCREMENT: u8 = 1;
pub(crate) const FOREIGN: u8 = 32;
/// What an item begins with after so many deletes, so that it never equals one that was deleted.
pub(crate) const REBORN: u8 = 8;

/// The version that a write made, and in place of random bits the writer whose write this is. Only the write that a
/// writer is busy with can be looked for. As soon as that is answered, its stamps become [`Author::Other`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Stamp {
    pub(crate) version: u8,
    pub(crate) author: Author,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Author {
    Writer(u8),
    Other,
}

/// One logical write, the same for each of its attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Write {
    pub(crate) from: u8,
    pub(crate) next: u8,
    /// What it leaves as the item's value: what its closure read, and the increment.
    pub(crate) value: u8,
    /// The number of slots, 0 if it leaves no stamp.
    pub(crate) stamps: u8,
    /// The slot for its stamp.
    pub(crate) slot: u8,
    /// It replaces the whole item, as `replace` and `PutItem` do, and with it the other slots.
    pub(crate) replaces: bool,
    /// It has an extra condition: that nobody but dynalock writers has changed the item.
    pub(crate) conditional: bool,
}

impl Author {
    pub(crate) fn of(writer: usize) -> Self {
        u8::try_from(writer).map_or(Self::Other, Self::Writer)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Verdict {
    Ok,
    Conflict,
    ConditionFailed,
    NotFound,
    /// A definite error of another kind.
    Failed,
    Unknown,
}

/// How a writer judges a failed check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Protocol {
    /// dynalock's.
    Stamps,
    /// A failed check is a conflict, whatever came before: the usual loop around the SDK.
    Naive,
    /// The same, but if the stored item equals the written one, it is taken for the written one.
    WholeItem,
}

impl Write {
    /// What the store does with a request that arrives.
    pub(crate) fn applies_to(self, item: Option<Item>) -> bool {
        item.is_some_and(|item| item.version == self.from && !self.is_refused_by(item))
    }

    fn is_refused_by(self, item: Item) -> bool {
        self.conditional && item.value >= FOREIGN
    }

    pub(crate) fn applied_to(self, item: Item, author: Author) -> Item {
        let mut slots = if self.replaces { [None; SLOTS] } else { item.slots };
        if self.stamps > 0 {
            slots[usize::from(self.slot)] = Some(Stamp { version: self.next, author });
        }
        Item { version: self.next, value: self.value, slots }
    }
}

/// The verdict on a failed check, and the row of the table that gave it. `clean`: no earlier attempt is ambiguous.
pub(crate) fn judge(
    protocol: Protocol,
    write: Write,
    own: Author,
    item: Option<Item>,
    clean: bool,
) -> (usize, Verdict) {
    use Verdict::{ConditionFailed, Conflict, NotFound, Ok, Unknown};
    let if_clean = |verdict| if clean { verdict } else { Unknown };
    match protocol {
        Protocol::Stamps => {}
        Protocol::WholeItem
            if !clean && item.is_some_and(|item| (item.version, item.value) == (write.next, write.value)) =>
        {
            return (0, Ok);
        }
        Protocol::Naive | Protocol::WholeItem => {
            return match item {
                None => (0, NotFound),
                Some(item) if item.version == write.from => (0, ConditionFailed),
                Some(_) => (0, Conflict),
            };
        }
    }
    let Some(item) = item else { return (6, if_clean(NotFound)) };
    let mut marks = item.slots.iter().flatten().filter(|stamp| stamp.version == write.next);
    let (from, next) = (write.from, write.next);
    match item.version {
        _ if write.stamps > 0 && marks.clone().any(|stamp| stamp.author == own) => (1, Ok),
        now if write.stamps > 0 && (now == next || marks.next().is_some()) => (2, Conflict),
        now if from > 0 && from < now && now < next => (3, Conflict),
        now if from > 0 && now == from && write.conditional => (4, ConditionFailed),
        now if from == 0 && now == from && write.conditional => (5, if_clean(ConditionFailed)),
        _ => (7, if_clean(Conflict)),
    }
}
