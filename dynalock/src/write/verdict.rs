//! The verdict on a failed check: whether the write was applied, and if not, why.

use crate::item::{Item, StoredVersion};
use crate::write::expectation::Expectation;
use crate::write::intent::{Intent, Operation};
use crate::write::stamp::FoundStamp;

/// The meaning of a failed check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Applied: the item holds the stamp of this write.
    Applied,
    /// Not applied: another writer changed the item first.
    Conflict,
    /// Not applied: the item to create exists already.
    AlreadyExists,
    /// Not applied: there is no item.
    NotFound,
    /// A delete that found no item.
    AlreadyGone,
    /// A delete that found no item, perhaps because an earlier attempt was applied.
    NowOrBefore,
    /// Not applied: the version is as expected, but the caller's condition does not hold.
    ConditionFailed,
    /// Not applied, but nothing prevents it now: the write is sent again.
    Again,
    /// An earlier attempt may have been applied.
    Unknown,
}

/// Judges a failed check by the stored item. The judgement is `unambiguous` if no earlier attempt may have reached DynamoDB.
/// After an attempt that may have reached it, a state that this write could have caused itself never counts as another writer's.
pub(crate) fn judge(write: Intent, stored: Option<&Item>, unambiguous: bool) -> Verdict {
    let (if_unambiguous, if_ambiguous) = match (write.operation, write.expectation) {
        (Operation::DeleteItem, _) => judge_delete(write, stored),
        (_, Expectation::Absent) => judge_create(write, stored),
        _ => judge_change(write, stored),
    };
    if unambiguous { if_unambiguous } else { if_ambiguous }
}

/// One row of the table of verdicts: the verdict without, and with, an earlier attempt that may have reached DynamoDB.
type Row = (Verdict, Verdict);

/// Judges a save, a replace, a touch or an update. The first row that holds decides, so their order matters.
fn judge_change(write: Intent, stored: Option<&Item>) -> Row {
    let Some(item) = stored else { return (Verdict::NotFound, Verdict::Unknown) };
    let found = find_stamp(write, item);
    // An earlier copy of this write was applied, even if no reply was lost: DynamoDB itself may have received it twice.
    if found == FoundStamp::Own {
        return (Verdict::Applied, Verdict::Applied);
    }
    // Only one write can make the next version. Another one did, so this one was not applied and never will be.
    if found == FoundStamp::Other {
        return (Verdict::Conflict, Verdict::Conflict);
    }
    let version = StoredVersion::read(item, write.schema).ok();
    if let (Expectation::Version(old), Some(StoredVersion::Number(now)), Some(next)) =
        (write.expectation, version, write.next_version)
        && old < now
        && now < next
    {
        // Versions only rise. This write would have raised it to `next`, so it was not applied; and the version that it requires
        // is gone, so it never will be.
        return (Verdict::Conflict, Verdict::Conflict);
    }
    judge_condition(write, version).unwrap_or((Verdict::Conflict, Verdict::Unknown))
}

/// Judges a delete. Stamps prove nothing here, since a delete leaves none.
fn judge_delete(write: Intent, stored: Option<&Item>) -> Row {
    let Some(item) = stored else { return (Verdict::AlreadyGone, Verdict::NowOrBefore) };
    let version = StoredVersion::read(item, write.schema).ok();
    judge_condition(write, version).unwrap_or((Verdict::Conflict, Verdict::Unknown))
}

/// Judges a create.
fn judge_create(write: Intent, stored: Option<&Item>) -> Row {
    match stored.map(|item| find_stamp(write, item)) {
        Some(FoundStamp::Own) => (Verdict::Applied, Verdict::Applied),
        Some(FoundStamp::Other) => (Verdict::AlreadyExists, Verdict::AlreadyExists),
        // The item may be this write's, and changed by others until its stamp was overwritten.
        Some(FoundStamp::None) => (Verdict::AlreadyExists, Verdict::Unknown),
        // An earlier attempt may have stored the item, and another writer may have deleted it since.
        None if write.is_conditional => (Verdict::ConditionFailed, Verdict::Unknown),
        // The item that refused the create was deleted in between.
        None => (Verdict::Again, Verdict::Unknown),
    }
}

/// The row for an item whose version is as expected, so that the caller's condition must have failed. `None` if the version is
/// not as expected, or the caller gave no condition.
fn judge_condition(write: Intent, version: Option<StoredVersion>) -> Option<Row> {
    version.filter(|&version| write.is_conditional && write.expectation.is_met_by(version))?;
    Some(match write.expectation {
        // The item cannot change without its version, so the condition refuses late copies as well.
        Expectation::Version(_) => (Verdict::ConditionFailed, Verdict::ConditionFailed),
        _ => (Verdict::ConditionFailed, Verdict::Unknown),
    })
}

/// The stamp that `item` holds for the version that the write makes; `None` if the struct keeps no stamps.
fn find_stamp(write: Intent, item: &Item) -> FoundStamp {
    let Some(stamp) = write.stamp else { return FoundStamp::None };
    let version = StoredVersion::read(item, write.schema).ok().map(StoredVersion::number);
    match stamp.find_in(item) {
        // A write sets its version and its stamp together. An item at this version without this stamp is another write's, which
        // keeps no stamps or whose stamp was overwritten.
        FoundStamp::None if version == write.next_version => FoundStamp::Other,
        found => found,
    }
}

/// Whether a write with an unknown outcome was applied, as far as a later read shows; `None` if that stays unknown. An item at
/// the expected version proves nothing: the write may still be under way.
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

    /// What the stamp slots of the item hold.
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
            let stamp = |version: u64, unique: u64| Stamp::new(version, unique).value();
            let next = own.version();
            match self {
                Self::Off => item.insert("_stamp3".into(), stamp(next, 99)),
                Self::Empty => None,
                Self::Own => item.insert("_stamp2".into(), own.value()),
                Self::Other => item.insert("_stamp0".into(), stamp(next, 99)),
                Self::Neighbours => {
                    item.insert("_stamp0".into(), stamp(next - 1, 1));
                    item.insert("_stamp1".into(), stamp(next + 1, 1))
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
            let stamp = Some(self.stamp()).filter(|_| self.slots != Slots::Off && !self.deletes());
            Intent {
                schema: Schema::EXAMPLE,
                operation,
                expectation: self.expectation,
                next_version,
                stamp,
                is_conditional: self.conditional,
                has_token: false,
            }
        }

        /// The version that the call makes. A delete makes none; this is then the version of the stamps that others left.
        fn next(&self) -> u64 {
            if self.creates() { 1 } else { NEXT }
        }

        fn stamp(&self) -> Stamp {
            Stamp::new(self.next(), 42)
        }

        fn own(&self) -> bool {
            self.stored.is_some() && self.slots == Slots::Own
        }

        /// Stamps are on, and another write made the version, as its stamp or the version itself shows.
        fn next_is_taken(&self) -> bool {
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

        /// The version of the item, if its attribute is a valid version.
        fn version(&self) -> Option<u64> {
            self.stored.as_ref()?.get("version")?.as_n().ok()?.parse().ok()
        }

        fn at_old(&self) -> bool {
            self.expectation == Expectation::Version(OLD) && self.version() == Some(OLD)
        }

        /// v = 0, and the stored version is as it was read; for calls that did not read: absent, NULL or 0.
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

    /// The table of verdicts: the stored item (first match) | unambiguous | after ambiguity.
    #[rustfmt::skip]
    const ROWS: [Row; 17] = [
        ("change: own stamp", |case| case.changes() && case.own(), Verdict::Applied, Verdict::Applied),
        ("change: version = w or another stamp for w", |case| case.changes() && case.next_is_taken(), Verdict::Conflict, Verdict::Conflict),
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
        ("create: version = w or another stamp for w", |case| case.creates() && case.next_is_taken(), Verdict::AlreadyExists, Verdict::AlreadyExists),
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
            let (name, _, unambiguous, after_ambiguity) = ROWS[row];
            matched[row] += 1;
            let judged = judge(case.intent(), case.stored.as_ref(), true);
            assert_eq!(judged, unambiguous, "{name}, unambiguous: {case:?}");
            let judged = judge(case.intent(), case.stored.as_ref(), false);
            assert_eq!(judged, after_ambiguity, "{name}, after ambiguity: {case:?}");
        }
        let (nothing_left, rows) = matched.split_last().expect("there are rows");
        assert_eq!(*nothing_left, 0);
        assert!(rows.iter().all(|count| *count > 0), "a row without a case: {matched:?}");
    }

    /// A later read is not a failed check, so an item at the expected version proves nothing.
    #[test]
    fn a_later_read_answers_only_what_is_certain() {
        for case in Case::all() {
            let is_between = |version| OLD < version && version < NEXT;
            let was_overtaken =
                case.expectation == Expectation::Version(OLD) && case.version().is_some_and(is_between);
            let expected = match &case {
                case if case.deletes() => None,
                case if case.own() => Some(true),
                case if case.next_is_taken() || was_overtaken => Some(false),
                _ => None,
            };
            assert_eq!(was_applied(case.intent(), case.stored.as_ref()), expected, "{case:?}");
        }
    }

    /// A state that this write itself could have caused never counts as another writer's.
    #[test]
    fn an_item_that_this_write_could_have_left_is_never_a_definite_refusal() {
        for case in Case::all().into_iter().filter(|case| matches!(case.slots, Slots::Off | Slots::Own)) {
            let could_be_own = match case.call {
                Call::Change(_) => case.version() == Some(NEXT),
                Call::Create => case.version() == Some(1),
                Call::Delete => case.stored.is_none(),
            };
            if could_be_own {
                let judged = judge(case.intent(), case.stored.as_ref(), false);
                let expected = match case.slots {
                    _ if case.deletes() => Verdict::NowOrBefore,
                    Slots::Own => Verdict::Applied,
                    _ => Verdict::Unknown,
                };
                assert_eq!(judged, expected, "{case:?}");
            }
        }
    }
}
