//! The table of verdicts, stated once more and on its own: what a failed check means to a writer that creates an item, takes it
//! from version `from` to version `next`, or deletes it.

/// The item, as far as the protocol sees it, with so many slots for stamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Item<const S: usize = SLOTS> {
    /// 0 if it has none.
    pub version: u8,
    /// What the writers change: [`INCREMENT`] for each change of a dynalock writer, [`FOREIGN`] for each of the others.
    pub value: u8,
    /// The stamps of the last writes.
    pub slots: [Option<Stamp>; S],
}

/// How many slots an item of the model has.
pub const SLOTS: usize = 4;
/// What a change of a dynalock writer adds to the value.
pub const INCREMENT: u8 = 1;
/// What a change of any other writer adds to it.
pub const FOREIGN: u8 = 32;
/// What an item begins with after so many deletes, so that it never equals one that was deleted.
pub const REBORN: u8 = 8;

/// The version that a write made, and in place of random bits the writer whose write this is. Only the write that a
/// writer is busy with can be looked for. As soon as that is answered, its stamps become [`Author::Other`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stamp {
    /// The version that the write made.
    pub version: u8,
    /// Whose write it was.
    pub author: Author,
}

/// Whose write it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Author {
    /// The write that the writer of this number is busy with.
    Writer(u8),
    /// Any other write.
    Other,
}

/// What a write does to the item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Act {
    /// Makes it, if there is none.
    Create,
    /// Takes it to the next version.
    Change,
    /// Takes it away.
    Delete,
}

/// One logical write, the same for each of its attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Write {
    /// What it does.
    pub act: Act,
    /// The version that it expects.
    pub from: u8,
    /// The version that it makes.
    pub next: u8,
    /// What it leaves as the item's value: what its closure read, and the increment.
    pub value: u8,
    /// The number of slots, 0 if it leaves no stamp.
    pub stamps: u8,
    /// The slot for its stamp.
    pub slot: u8,
    /// It replaces the whole item, as `replace` and `PutItem` do, and with it the other slots.
    pub replaces: bool,
    /// It has an extra condition: that nobody but dynalock writers has changed the item.
    pub conditional: bool,
}

impl Author {
    /// The writer of this number.
    #[must_use]
    pub fn of(writer: usize) -> Self {
        u8::try_from(writer).map_or(Self::Other, Self::Writer)
    }
}

/// What a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Applied.
    Ok,
    /// Not applied: another writer was faster.
    Conflict,
    /// Not applied: the item to create is there.
    AlreadyExists,
    /// Not applied: the version was right, and the extra condition was not.
    ConditionFailed,
    /// Not applied: there is no item.
    NotFound,
    /// A delete that finds nothing to delete.
    AlreadyGone,
    /// Not applied, and nothing stands in its way: it is sent again.
    Again,
    /// A definite error of another kind.
    Failed,
    /// Applied or not.
    Unknown,
}

/// How a writer judges a failed check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// dynalock's.
    Stamps,
    /// A failed check is a conflict, whatever came before: the usual loop around the SDK.
    Naive,
    /// The same, but if the stored item equals the written one, it is taken for the written one.
    WholeItem,
}

impl Write {
    /// Whether the store carries out a request that arrives.
    #[must_use]
    pub fn applies_to<const S: usize>(self, item: Option<Item<S>>) -> bool {
        match (self.act, item) {
            (Act::Create, item) => item.is_none(),
            (_, None) => false,
            (_, Some(item)) => item.version == self.from && !self.is_refused_by(item),
        }
    }

    fn is_refused_by<const S: usize>(self, item: Item<S>) -> bool {
        self.conditional && item.value >= FOREIGN
    }

    /// What it makes of the item.
    #[must_use]
    pub fn applied_to<const S: usize>(self, item: Option<Item<S>>, author: Author) -> Option<Item<S>> {
        let mut slots = item.filter(|_| !self.replaces).map_or([None; S], |item| item.slots);
        if self.stamps > 0 {
            slots[usize::from(self.slot)] = Some(Stamp { version: self.next, author });
        }
        (self.act != Act::Delete).then_some(Item { version: self.next, value: self.value, slots })
    }
}

/// How many rows the table has, and one more.
pub const ROWS: usize = 15;

/// The verdict on a failed check, and the row of the table that gave it. `clean`: no earlier attempt is ambiguous.
#[must_use]
pub fn judge<const S: usize>(
    protocol: Protocol,
    write: Write,
    own: Author,
    item: Option<Item<S>>,
    clean: bool,
) -> (usize, Verdict) {
    use Verdict::{AlreadyExists, AlreadyGone, ConditionFailed, Conflict, NotFound, Ok, Unknown};
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
                Some(_) if write.act == Act::Create => (0, AlreadyExists),
                None => (0, NotFound),
                Some(item) if item.version == write.from => (0, ConditionFailed),
                Some(_) => (0, Conflict),
            };
        }
    }
    match write.act {
        Act::Create => judge_create(write, own, item, clean),
        Act::Change => judge_change(write, own, item, clean),
        Act::Delete => match item {
            None => (12, AlreadyGone),
            Some(item) if item.version == write.from && write.conditional => {
                (13, if write.from > 0 { ConditionFailed } else { if_clean(ConditionFailed) })
            }
            Some(_) => (14, if_clean(Conflict)),
        },
    }
}

fn judge_create<const S: usize>(
    write: Write,
    own: Author,
    item: Option<Item<S>>,
    clean: bool,
) -> (usize, Verdict) {
    let if_clean = |verdict| if clean { verdict } else { Verdict::Unknown };
    let Some(item) = item else { return (11, if_clean(Verdict::Again)) };
    match write.mark_in(own, item) {
        Some(author) if author == own => (8, Verdict::Ok),
        Some(_) => (9, Verdict::AlreadyExists),
        None => (10, if_clean(Verdict::AlreadyExists)),
    }
}

fn judge_change<const S: usize>(
    write: Write,
    own: Author,
    item: Option<Item<S>>,
    clean: bool,
) -> (usize, Verdict) {
    use Verdict::{ConditionFailed, Conflict, NotFound, Ok};
    let if_clean = |verdict| if clean { verdict } else { Verdict::Unknown };
    let Some(item) = item else { return (6, if_clean(NotFound)) };
    let (from, next, now) = (write.from, write.next, item.version);
    match write.mark_in(own, item) {
        Some(author) if author == own => (1, Ok),
        Some(_) => (2, Conflict),
        None if from > 0 && from < now && now < next => (3, Conflict),
        None if from > 0 && now == from && write.conditional => (4, ConditionFailed),
        None if from == 0 && now == from && write.conditional => (5, if_clean(ConditionFailed)),
        None => (7, if_clean(Conflict)),
    }
}

impl Write {
    /// Who made the version that this write was to make, as far as the item tells it to a writer with stamps.
    fn mark_in<const S: usize>(self, own: Author, item: Item<S>) -> Option<Author> {
        let is_marked = |by: Option<Author>| {
            let mut marks = item.slots.iter().flatten().filter(|stamp| stamp.version == self.next);
            marks.any(|stamp| by.is_none_or(|by| stamp.author == by))
        };
        match self.stamps {
            0 => None,
            _ if is_marked(Some(own)) => Some(own),
            _ => (item.version == self.next || is_marked(None)).then_some(Author::Other),
        }
    }
}
