//! What a failed check means: applied or not, and why not.

use crate::condition::Expect;
use crate::item::{Item, StoredVersion};
use crate::write::{Intent, Operation};

/// The meaning of a failed check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Not applied: another writer was faster.
    Conflict,
    /// Not applied: the item to create is there.
    AlreadyExists,
    /// Not applied: there is no item.
    NotFound,
    /// A delete that has nothing left to delete.
    AlreadyGone,
    /// Not applied: the version was right, but the caller's condition was not.
    ConditionFailed,
    /// Not applied, though nothing stands in its way now: send it again.
    Again,
    /// An earlier attempt may have been applied.
    Unknown,
}

/// Judges a failed check by the item that the store holds. `clean` is false if an earlier attempt may have reached the
/// store; what such an attempt could have caused itself is then never held against another writer.
pub(crate) fn judge(write: Intent, stored: Option<&Item>, clean: bool) -> Verdict {
    let only_if_clean = |verdict| if clean { verdict } else { Verdict::Unknown };
    let expect = write.expect;
    let Some(item) = stored else {
        return match write.operation {
            Operation::DeleteItem => Verdict::AlreadyGone,
            _ if expect != Expect::Absent => only_if_clean(Verdict::NotFound),
            // If an earlier attempt stored the item, another writer has deleted it since.
            _ if write.is_conditional => only_if_clean(Verdict::ConditionFailed),
            _ => only_if_clean(Verdict::Again),
        };
    };
    if expect == Expect::Absent {
        return only_if_clean(Verdict::AlreadyExists);
    }
    let Ok(version) = StoredVersion::of(item, write.schema) else {
        return only_if_clean(Verdict::Conflict);
    };
    if expect.meets(version) && write.is_conditional {
        return match expect {
            // Contents cannot change under a version, so the condition refuses late duplicates as well.
            Expect::Version(_) => Verdict::ConditionFailed,
            _ => only_if_clean(Verdict::ConditionFailed),
        };
    }
    match (expect, version, write.next_version) {
        // The step into `next` was not made yet, and from here it never can be.
        (Expect::Version(old), StoredVersion::Number(now), Some(next)) if old < now && now < next => {
            Verdict::Conflict
        }
        _ => only_if_clean(Verdict::Conflict),
    }
}
