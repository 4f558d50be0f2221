//! What a failed check means: applied or not, and why not.

use crate::item::{Item, StoredVersion};
use crate::write::expectation::Expectation;
use crate::write::intent::{Intent, Operation};
use crate::write::stamp::Trace;

/// The meaning of a failed check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Applied: the item holds the stamp of this write.
    Applied,
    /// Not applied: another writer was faster.
    Conflict,
    /// Not applied: the item to create is there.
    AlreadyExists,
    /// Not applied: there is no item.
    NotFound,
    /// A delete that has nothing to delete.
    AlreadyGone,
    /// A delete that has nothing left to delete, perhaps since an earlier attempt was applied.
    NowOrBefore,
    /// Not applied: the version was right, but the caller's condition was not.
    ConditionFailed,
    /// Not applied, though nothing stands in its way now: send it again.
    Again,
    /// An earlier attempt may have been applied.
    Unknown,
}

/// Judges a failed check by the item that the store holds. The judgement is `unambiguous` if no earlier attempt may have reached
/// the store: what such an attempt could have caused itself is never held against another writer.
pub(crate) fn judge(write: Intent, stored: Option<&Item>, unambiguous: bool) -> Verdict {
    let (if_unambiguous, else_) = match (write.operation, write.expectation) {
        (Operation::DeleteItem, _) => judge_delete(write, stored),
        (_, Expectation::Absent) => judge_create(write, stored),
        _ => judge_change(write, stored),
    };
    if unambiguous { if_unambiguous } else { else_ }
}

/// One row of the table of verdicts: without and with an earlier attempt that may have reached the store.
type Row = (Verdict, Verdict);

/// What a save, a replace, a touch or an update found. The first row that holds counts.
fn judge_change(write: Intent, stored: Option<&Item>) -> Row {
    let Some(item) = stored else { return (Verdict::NotFound, Verdict::Unknown) };
    let trace = trace(write, item);
    if trace == Trace::Own {
        return (Verdict::Applied, Verdict::Applied);
    }
    // The step into the next version happens once. If another write made it, this one neither did nor can.
    if trace == Trace::Other {
        return (Verdict::Conflict, Verdict::Conflict);
    }
    let version = StoredVersion::read(item, write.schema).ok();
    if let (Expectation::Version(old), Some(StoredVersion::Number(now)), Some(next)) =
        (write.expectation, version, write.next_version)
        && old < now
        && now < next
    {
        // The step was not made yet, and from here it never can be.
        return (Verdict::Conflict, Verdict::Conflict);
    }
    refused_condition(write, version).unwrap_or((Verdict::Conflict, Verdict::Unknown))
}

/// What a delete found. Stamps are not looked at: a delete leaves none.
fn judge_delete(write: Intent, stored: Option<&Item>) -> Row {
    let Some(item) = stored else { return (Verdict::AlreadyGone, Verdict::NowOrBefore) };
    let version = StoredVersion::read(item, write.schema).ok();
    refused_condition(write, version).unwrap_or((Verdict::Conflict, Verdict::Unknown))
}

/// What a create found.
fn judge_create(write: Intent, stored: Option<&Item>) -> Row {
    match stored.map(|item| trace(write, item)) {
        Some(Trace::Own) => (Verdict::Applied, Verdict::Applied),
        Some(Trace::Other) => (Verdict::AlreadyExists, Verdict::AlreadyExists),
        Some(Trace::None) => (Verdict::AlreadyExists, Verdict::Unknown),
        // If an earlier attempt stored the item, another writer has deleted it since.
        None if write.is_conditional => (Verdict::ConditionFailed, Verdict::Unknown),
        None => (Verdict::Again, Verdict::Unknown),
    }
}

/// The row of a version that is as expected: then it was the caller's condition that failed. `None` if it is not.
fn refused_condition(write: Intent, version: Option<StoredVersion>) -> Option<Row> {
    version.filter(|&version| write.is_conditional && write.expectation.meets(version))?;
    Some(match write.expectation {
        // Contents cannot change under a version, so the condition refuses late copies as well.
        Expectation::Version(_) => (Verdict::ConditionFailed, Verdict::ConditionFailed),
        _ => (Verdict::ConditionFailed, Verdict::Unknown),
    })
}

/// Whose stamp `item` holds for the version that the write makes. An item at that version has another write's, even where it is
/// overwritten. Where the struct keeps no stamps, there is none.
fn trace(write: Intent, item: &Item) -> Trace {
    let Some(stamp) = write.stamp else { return Trace::None };
    let version = StoredVersion::read(item, write.schema).ok().map(StoredVersion::number);
    match stamp.trace_in(item) {
        Trace::None if version == write.next_version => Trace::Other,
        trace => trace,
    }
}

/// Whether a write was applied whose answer was lost, as far as a later read tells: `None` if that stays unknown. No check failed on
/// this item, so a version that is as expected says nothing.
pub(crate) fn was_applied(write: Intent, stored: Option<&Item>) -> Option<bool> {
    match judge(write, stored, false) {
        Verdict::Applied => Some(true),
        Verdict::Conflict | Verdict::AlreadyExists => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;

    use super::*;
    use crate::item::schema::Schema;
    use crate::write::stamp::Stamp;

    const OLD: u64 = 5;
    const NEXT: u64 = 8;

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Call {
        /// `save`, `replace`, `touch` and `update`.
        Change(Operation),
        Delete,
        Create,
    }

    /// One failed check: the call, and what the store holds.
    #[derive(Debug, Clone)]
    struct Case {
        call: Call,
        expectation: Expectation,
        stored: Option<Item>,
        conditional: bool,
        slots: Slots,
    }

    /// What stands in the slots for write stamps.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Slots {
        /// The struct keeps no stamps; the item may hold some.
        Off,
        Empty,
        Own,
        /// Another write's stamp for the same version.
        Other,
        /// Stamps for the versions before and after.
        Neighbours,
    }

    impl Slots {
        fn fill(self, item: &mut Item, own: Stamp) {
            let of = |version: u64, unique: u64| Stamp::new(version, unique).value();
            let next = own.version();
            match self {
                Self::Off => item.insert("_stamp3".into(), of(next, 99)),
                Self::Empty => None,
                Self::Own => item.insert("_stamp2".into(), own.value()),
                Self::Other => item.insert("_stamp0".into(), of(next, 99)),
                Self::Neighbours => {
                    item.insert("_stamp0".into(), of(next - 1, 1));
                    item.insert("_stamp1".into(), of(next + 1, 1))
                }
            };
        }
    }

    impl Case {
        fn all() -> Vec<Self> {
            let read = [StoredVersion::Absent, StoredVersion::Null, StoredVersion::Number(0)]
                .map(Expectation::AsRead);
            let held = [Expectation::Version(OLD), Expectation::Unversioned];
            let mut calls = vec![(Call::Create, Expectation::Absent)];
            for expect in held {
                calls.push((Call::Delete, expect));
                calls.push((Call::Change(Operation::PutItem), expect));
            }
            calls.extend(
                held.into_iter().chain(read).map(|expect| (Call::Change(Operation::UpdateItem), expect)),
            );

            let number = |digits: &str| Some(AttributeValue::N(digits.into()));
            let versions = [
                None,
                Some(AttributeValue::Null(true)),
                Some(AttributeValue::S("5".into())),
                number("0"),
                number("1"),
                number("4"),
                number("5"),
                number("6"),
                number("7"),
                number("8"),
                number("9"),
                number("5.5"),
                number("-5"),
                number("99999999999999999999999999999999999999"),
            ];
            let items = versions.into_iter().map(|version| {
                let key = ("id".to_owned(), AttributeValue::S("x".into()));
                let version = version.map(|version| ("version".to_owned(), version));
                Some(std::iter::once(key).chain(version).collect::<Item>())
            });
            let stored: Vec<_> = std::iter::once(None).chain(items).collect();
            let mut cases = Vec::new();
            for (call, expectation) in calls {
                for stored in &stored {
                    for conditional in [false, true] {
                        for slots in [Slots::Off, Slots::Empty, Slots::Own, Slots::Other, Slots::Neighbours] {
                            let mut case =
                                Self { call, expectation, stored: stored.clone(), conditional, slots };
                            let own = case.stamp();
                            if let Some(item) = &mut case.stored {
                                slots.fill(item, own);
                            }
                            cases.push(case);
                        }
                    }
                }
            }
            cases
        }

        fn intent(&self) -> Intent {
            let (operation, next_version) = match self.call {
                Call::Change(operation) => (operation, Some(NEXT)),
                Call::Delete => (Operation::DeleteItem, None),
                Call::Create => (Operation::PutItem, Some(1)),
            };
            let (expectation, is_conditional, has_token) = (self.expectation, self.conditional, false);
            let stamp = Some(self.stamp()).filter(|_| self.slots != Slots::Off && !self.deletes());
            Intent {
                schema: Schema::EXAMPLE,
                operation,
                expectation,
                next_version,
                stamp,
                is_conditional,
                has_token,
            }
        }

        /// The version that the call makes; a delete makes none, and finds what another write left.
        fn next(&self) -> u64 {
            if self.creates() { 1 } else { NEXT }
        }

        fn stamp(&self) -> Stamp {
            Stamp::new(self.next(), 42)
        }

        fn own(&self) -> bool {
            self.stored.is_some() && self.slots == Slots::Own
        }

        /// Stamps are on, and the step into the version was made by another write, or no longer shows who made it.
        fn step_is_taken(&self) -> bool {
            let at_next = self.version() == Some(self.next());
            self.stored.is_some() && self.slots != Slots::Off && (self.slots == Slots::Other || at_next)
        }

        fn changes(&self) -> bool {
            matches!(self.call, Call::Change(_))
        }

        fn deletes(&self) -> bool {
            self.call == Call::Delete
        }

        fn creates(&self) -> bool {
            self.call == Call::Create
        }

        /// The version that the item has, where it is a number that can be one.
        fn version(&self) -> Option<u64> {
            self.stored.as_ref()?.get("version")?.as_n().ok()?.parse().ok()
        }

        fn at_old(&self) -> bool {
            self.expectation == Expectation::Version(OLD) && self.version() == Some(OLD)
        }

        /// v = 0, and the stored version is what was read, or for calls that did not read: none, NULL or 0.
        fn as_read(&self) -> bool {
            let Some(item) = &self.stored else { return false };
            let (absent, null) = match item.get("version") {
                None => (true, false),
                Some(version) => (false, version.is_null()),
            };
            let zero = self.version() == Some(0);
            match self.expectation {
                Expectation::Unversioned => absent || null || zero,
                Expectation::AsRead(StoredVersion::Absent) => absent,
                Expectation::AsRead(StoredVersion::Null) => null,
                Expectation::AsRead(StoredVersion::Number(0)) => zero,
                _ => false,
            }
        }
    }

    type Row = (&'static str, fn(&Case) -> bool, Verdict, Verdict);

    /// The table of verdicts: the store says (first match) | clean | after ambiguity.
    #[rustfmt::skip]
    const ROWS: [Row; 17] = [
        ("change: own stamp", |case| case.changes() && case.own(), Verdict::Applied, Verdict::Applied),
        ("change: version = w or another stamp for w", |case| case.changes() && case.step_is_taken(), Verdict::Conflict, Verdict::Conflict),
        ("change: v > 0 and v < version < w", |case| case.changes() && case.expectation == Expectation::Version(OLD) && case.version().is_some_and(|version| OLD < version && version < NEXT), Verdict::Conflict, Verdict::Conflict),
        ("change: version = v > 0, extra condition", |case| case.changes() && case.at_old() && case.conditional, Verdict::ConditionFailed, Verdict::ConditionFailed),
        ("change: v = 0, as it was read, extra condition", |case| case.changes() && case.as_read() && case.conditional, Verdict::ConditionFailed, Verdict::Unknown),
        ("change: no item", |case| case.changes() && case.stored.is_none(), Verdict::NotFound, Verdict::Unknown),
        ("change: anything else", Case::changes, Verdict::Conflict, Verdict::Unknown),
        ("delete: no item", |case| case.deletes() && case.stored.is_none(), Verdict::AlreadyGone, Verdict::NowOrBefore),
        ("delete: version = v > 0, extra condition", |case| case.deletes() && case.at_old() && case.conditional, Verdict::ConditionFailed, Verdict::ConditionFailed),
        ("delete: v = 0, as it was read, extra condition", |case| case.deletes() && case.as_read() && case.conditional, Verdict::ConditionFailed, Verdict::Unknown),
        ("delete: any other item", Case::deletes, Verdict::Conflict, Verdict::Unknown),
        ("create: own stamp", |case| case.creates() && case.own(), Verdict::Applied, Verdict::Applied),
        ("create: version = w or another stamp for w", |case| case.creates() && case.step_is_taken(), Verdict::AlreadyExists, Verdict::AlreadyExists),
        ("create: another item", |case| case.creates() && case.stored.is_some(), Verdict::AlreadyExists, Verdict::Unknown),
        ("create: no item, extra condition", |case| case.creates() && case.conditional, Verdict::ConditionFailed, Verdict::Unknown),
        ("create: still no item", Case::creates, Verdict::Again, Verdict::Unknown),
        ("nothing is left", |_| true, Verdict::Unknown, Verdict::Unknown),
    ];

    #[test]
    fn every_failed_check_is_judged_as_the_table_says() {
        let mut matched = [0; ROWS.len()];
        for case in Case::all() {
            let row = ROWS.iter().position(|(_, holds, ..)| holds(&case)).expect("the last row always holds");
            let (says, _, clean, after_ambiguity) = ROWS[row];
            matched[row] += 1;
            assert_eq!(judge(case.intent(), case.stored.as_ref(), true), clean, "{says}, clean: {case:?}");
            let judged = judge(case.intent(), case.stored.as_ref(), false);
            assert_eq!(judged, after_ambiguity, "{says}, after ambiguity: {case:?}");
        }
        let (nothing_left, rows) = matched.split_last().expect("there are rows");
        assert_eq!(*nothing_left, 0);
        assert!(rows.iter().all(|count| *count > 0), "a row without a case: {matched:?}");
    }

    /// No check failed on what a later read finds, so an item at the expected version says nothing yet.
    #[test]
    fn a_later_read_tells_only_what_is_certain() {
        for case in Case::all() {
            let passed = |version| OLD < version && version < NEXT;
            let passed_by =
                case.expectation == Expectation::Version(OLD) && case.version().is_some_and(passed);
            let expected = match &case {
                case if case.deletes() => None,
                case if case.own() => Some(true),
                case if case.step_is_taken() || passed_by => Some(false),
                _ => None,
            };
            assert_eq!(was_applied(case.intent(), case.stored.as_ref()), expected, "{case:?}");
        }
    }

    /// What an attempt of ours could have caused is never held against a rival.
    #[test]
    fn an_item_as_our_own_write_leaves_it_is_never_a_definite_refusal() {
        for case in Case::all().into_iter().filter(|case| matches!(case.slots, Slots::Off | Slots::Own)) {
            let ours = match case.call {
                Call::Change(_) => case.version() == Some(NEXT),
                Call::Create => case.version() == Some(1),
                Call::Delete => case.stored.is_none(),
            };
            if ours {
                let judged = judge(case.intent(), case.stored.as_ref(), false);
                let open = match case.slots {
                    _ if case.deletes() => Verdict::NowOrBefore,
                    Slots::Own => Verdict::Applied,
                    _ => Verdict::Unknown,
                };
                assert_eq!(judged, open, "{case:?}");
            }
        }
    }
}
