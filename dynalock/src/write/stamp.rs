//! The write stamp: a mark that a write leaves in the item, which proves later that the write was applied.
//!
//! A stamp consists of the version that the write made and of 64 random bits that no other write has. An item keeps the stamps of
//! its last few writes in slots. Each slot is an attribute of its own, so that an `UpdateItem` can set one without reading the
//! item and without losing the others.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::item::Item;
use crate::item::invalid::Invalid;
use crate::item::schema::{STAMP_SLOTS, Schema};
use crate::support::random;

/// The mark of one logical write. Every copy of its request carries the same stamp.
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

    /// The slot of this stamp among the first `slots` of them, 1 to 32.
    fn slot(self, step: u64, slots: u8) -> &'static str {
        // Consecutive versions differ by `step`, so their stamps take turns in the slots, and the oldest one is overwritten.
        let index = self.version / step.max(1) % u64::from(slots.clamp(1, 32));
        STAMP_SLOTS[usize::try_from(index).unwrap_or_default()]
    }

    /// The attribute that holds this stamp in an item that `schema` describes.
    pub(crate) fn slot_in(self, schema: &Schema) -> &'static str {
        self.slot(schema.step, schema.stamps)
    }

    /// The stamp as it is stored: 16 bytes, the version first, big endian.
    pub(crate) fn value(self) -> AttributeValue {
        let bytes = u128::from(self.version) << 64 | u128::from(self.unique);
        AttributeValue::B(Blob::new(bytes.to_be_bytes()))
    }

    /// Reads a stored stamp; `None` if the slot holds anything else, which another application may have stored.
    fn read(value: &AttributeValue) -> Option<Self> {
        let AttributeValue::B(bytes) = value else { return None };
        let bytes = u128::from_be_bytes(bytes.as_ref().try_into().ok()?);
        Some(Self {
            version: u64::try_from(bytes >> 64).ok()?,
            unique: u64::try_from(bytes & u128::from(u64::MAX)).ok()?,
        })
    }

    /// The stamp that `item` holds for the version of this stamp.
    pub(crate) fn find_in(self, item: &Item) -> FoundStamp {
        let mut found = FoundStamp::None;
        // All 32 slots are searched: another application may use more of them than this one.
        for stamp in STAMP_SLOTS.iter().filter_map(|slot| Self::read(item.get(*slot)?)) {
            if stamp == self {
                return FoundStamp::Own;
            }
            // The search continues: this stamp may be in a later slot.
            if stamp.version == self.version {
                found = FoundStamp::Other;
            }
        }
        found
    }
}

/// The stamp for one version in the slots of an item, as a write with a stamp for that version sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FoundStamp {
    /// The stamp of this write, which was applied.
    Own,
    /// The stamp of another write. That write made the version, so this one was not applied and never will be.
    Other,
    /// No stamp for the version: it was overwritten, or never written.
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
        let slots: Vec<_> = (1..=5).map(|write| stamp(10 * write, 0).slot(10, 4)).collect();
        assert_eq!(slots, ["_stamp1", "_stamp2", "_stamp3", "_stamp0", "_stamp1"]);
        assert_eq!(stamp(u64::MAX, 0).slot(1, 32), "_stamp31");
        assert_eq!(stamp(u64::MAX, 0).slot(1, 1), "_stamp0");
    }

    #[test]
    fn a_value_that_is_no_stamp_is_ignored() {
        let odd = [
            AttributeValue::S("0123456789abcdef".into()),
            AttributeValue::B(Blob::new([0; 15])),
            AttributeValue::B(Blob::new([0; 17])),
            AttributeValue::B(Blob::new([])),
            AttributeValue::Null(true),
        ];
        for value in odd {
            let item = Item::from([("_stamp0".to_owned(), value)]);
            assert_eq!(stamp(0, 0).find_in(&item), FoundStamp::None);
        }
    }

    #[test]
    fn a_stamp_is_found_in_any_slot_and_outweighs_others() {
        let own = stamp(7, 1);
        let item = |stamps: &[(&str, Stamp)]| -> Item {
            stamps.iter().map(|(slot, stamp)| ((*slot).to_owned(), stamp.value())).collect()
        };
        assert_eq!(own.find_in(&item(&[("_stamp31", own)])), FoundStamp::Own);
        assert_eq!(own.find_in(&item(&[("_stamp0", stamp(7, 2))])), FoundStamp::Other);
        assert_eq!(own.find_in(&item(&[("_stamp0", stamp(7, 2)), ("_stamp3", own)])), FoundStamp::Own);
        assert_eq!(own.find_in(&item(&[("_stamp3", stamp(7, 2)), ("_stamp0", own)])), FoundStamp::Own);
        assert_eq!(
            own.find_in(&item(&[("_stamp0", stamp(6, 1)), ("_stamp1", stamp(8, 1))])),
            FoundStamp::None
        );
        assert_eq!(own.find_in(&item(&[("_stamp32", own), ("stamp0", own)])), FoundStamp::None);
    }

    /// A slot may hold any value. Only the exact bytes of a stamp count as that stamp.
    #[test]
    fn no_value_in_the_slots_is_mistaken_for_another_stamp() {
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
            assert_eq!(own.find_in(&item), if other { FoundStamp::Other } else { FoundStamp::None });
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
