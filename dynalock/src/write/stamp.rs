//! Write stamps: what a write leaves in the item, so that it can tell afterwards whether it was applied.
//!
//! A stamp is the version that the write made, and 64 random bits that only this write has. The last few writes' stamps
//! stand in slots beside the version, each in an attribute of its own, so that an `UpdateItem` can set one without reading
//! and without losing the others.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::item::Item;
use crate::item::invalid::Invalid;
use crate::item::schema::{STAMP_SLOTS, Schema};
use crate::support::random;

/// The mark of one logical write, the same for every time that it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    version: u64,
    unique: u64,
}

impl Stamp {
    /// A fresh stamp for a write that makes `version`.
    pub(crate) fn draw(version: u64) -> Result<Self, Invalid> {
        Ok(Self { version, unique: random::unique_bits()? })
    }

    /// The attribute that keeps this stamp among `slots` of them, 1 to 32. Versions that follow each other by `step` fall
    /// into different slots.
    fn slot(self, step: u64, slots: u8) -> &'static str {
        let turn = self.version / step.max(1) % u64::from(slots.clamp(1, 32));
        STAMP_SLOTS[usize::try_from(turn).unwrap_or_default()]
    }

    /// The attribute that keeps this stamp in an item that `schema` describes.
    pub(crate) fn slot_in(self, schema: &Schema) -> &'static str {
        self.slot(schema.step, schema.stamps)
    }

    /// The stamp as it is stored: 16 bytes, the version first, big endian.
    pub(crate) fn value(self) -> AttributeValue {
        let bytes = u128::from(self.version) << 64 | u128::from(self.unique);
        AttributeValue::B(Blob::new(bytes.to_be_bytes()))
    }

    /// Reads a stored stamp. Anything else in a slot is somebody else's, and no stamp.
    fn read(value: &AttributeValue) -> Option<Self> {
        let AttributeValue::B(bytes) = value else { return None };
        let bytes = u128::from_be_bytes(bytes.as_ref().try_into().ok()?);
        Some(Self {
            version: u64::try_from(bytes >> 64).ok()?,
            unique: u64::try_from(bytes & u128::from(u64::MAX)).ok()?,
        })
    }

    /// What the slots of `item` say about the write that has this stamp.
    pub(crate) fn trace_in(self, item: &Item) -> Trace {
        let mut trace = Trace::None;
        for stamp in STAMP_SLOTS.iter().filter_map(|slot| Self::read(item.get(*slot)?)) {
            if stamp == self {
                return Trace::Own;
            }
            if stamp.version == self.version {
                trace = Trace::Other;
            }
        }
        trace
    }
}

/// What stands in the slots of an item for one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trace {
    /// The stamp itself: its write was applied.
    Own,
    /// Another write's stamp: that one made the version, and this one never can.
    Other,
    /// Nothing: overwritten since, or never written.
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Stamp {
        pub(crate) fn new(version: u64, unique: u64) -> Self {
            Self { version, unique }
        }

        pub(crate) fn version(self) -> u64 {
            self.version
        }
    }

    fn stamp(version: u64, unique: u64) -> Stamp {
        Stamp::new(version, unique)
    }

    #[test]
    fn a_stamp_is_read_as_it_was_written() {
        for stamp in [stamp(0, 0), stamp(1, 2), stamp(u64::MAX, 1), stamp(1 << 53, u64::MAX)] {
            assert_eq!(Stamp::read(&stamp.value()), Some(stamp));
        }
    }

    #[test]
    fn a_stamp_takes_26_bytes_with_its_name() {
        let AttributeValue::B(bytes) = stamp(7, 9).value() else { panic!("a stamp is binary") };
        assert_eq!(bytes.as_ref().len(), 16);
        assert_eq!(bytes.as_ref()[..8], 7_u64.to_be_bytes());
        assert!(STAMP_SLOTS.iter().all(|slot| slot.len() <= 8 && slot.len() + 16 <= 26));
    }

    #[test]
    fn consecutive_versions_take_turns_in_the_slots() {
        let slots: Vec<_> = (1..=5).map(|turn| stamp(10 * turn, 0).slot(10, 4)).collect();
        assert_eq!(slots, ["_stamp1", "_stamp2", "_stamp3", "_stamp0", "_stamp1"]);
        assert_eq!(stamp(u64::MAX, 0).slot(1, 32), "_stamp31");
        assert_eq!(stamp(u64::MAX, 0).slot(1, 1), "_stamp0");
    }

    #[test]
    fn what_is_no_stamp_is_nobodys() {
        let odd = [
            AttributeValue::S("0123456789abcdef".into()),
            AttributeValue::B(Blob::new([0; 15])),
            AttributeValue::B(Blob::new([0; 17])),
            AttributeValue::B(Blob::new([])),
            AttributeValue::Null(true),
        ];
        for value in odd {
            let item = Item::from([("_stamp0".to_owned(), value)]);
            assert_eq!(stamp(0, 0).trace_in(&item), Trace::None);
        }
    }

    #[test]
    fn a_stamp_is_found_in_any_slot_and_outweighs_others() {
        let own = stamp(7, 1);
        let item = |stamps: &[(&str, Stamp)]| -> Item {
            stamps.iter().map(|(slot, stamp)| ((*slot).to_owned(), stamp.value())).collect()
        };
        assert_eq!(own.trace_in(&item(&[("_stamp31", own)])), Trace::Own);
        assert_eq!(own.trace_in(&item(&[("_stamp0", stamp(7, 2))])), Trace::Other);
        assert_eq!(own.trace_in(&item(&[("_stamp0", stamp(7, 2)), ("_stamp3", own)])), Trace::Own);
        assert_eq!(own.trace_in(&item(&[("_stamp3", stamp(7, 2)), ("_stamp0", own)])), Trace::Own);
        assert_eq!(own.trace_in(&item(&[("_stamp0", stamp(6, 1)), ("_stamp1", stamp(8, 1))])), Trace::None);
        assert_eq!(own.trace_in(&item(&[("_stamp32", own), ("stamp0", own)])), Trace::None);
    }

    /// Anything may stand in a slot: only the very bytes of a stamp are taken for it.
    #[test]
    fn whatever_stands_in_the_slots_is_never_taken_for_another_stamp() {
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let own = stamp(rng.u64(0..4), rng.u64(..));
            let item: Item = STAMP_SLOTS
                .iter()
                .map(|slot| {
                    let length = rng.usize(0..20);
                    let mut bytes: Vec<u8> = (0..length).map(|_| rng.u8(..)).collect();
                    if bytes.len() >= 8 && rng.bool() {
                        bytes[..8].copy_from_slice(&own.version.to_be_bytes());
                    }
                    let value = match rng.u8(0..6) {
                        0 => AttributeValue::S("7".into()),
                        1 => AttributeValue::N("7".into()),
                        2 => AttributeValue::Bs(vec![Blob::new(bytes)]),
                        3 => AttributeValue::L(vec![AttributeValue::B(Blob::new(bytes))]),
                        _ => AttributeValue::B(Blob::new(bytes)),
                    };
                    ((*slot).to_owned(), value)
                })
                .collect();
            let same_version = |value: &AttributeValue| match value {
                AttributeValue::B(bytes) => {
                    bytes.as_ref().len() == 16 && bytes.as_ref()[..8] == own.version.to_be_bytes()
                }
                _ => false,
            };
            let other = item.values().any(same_version);
            assert_eq!(own.trace_in(&item), if other { Trace::Other } else { Trace::None });
        }
    }

    #[test]
    fn no_two_stamps_are_the_same() {
        let mut drawn: Vec<_> = (0..1000).map(|_| Stamp::draw(1).expect("random bytes").unique).collect();
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn.len(), 1000);
    }
}
