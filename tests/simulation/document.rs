//! What the programs of a run make of the same items.

use std::fmt::Debug;

use dynalock::Versioned;
use dynalock_tests::history::Call;
use serde::{Deserialize, Serialize};

pub(crate) const TABLE: &str = "simulation";

/// The key of an item that is never deleted.
pub(crate) const LASTING: &str = "lasting";

/// The key of an item that may be deleted.
pub(crate) const MORTAL: &str = "mortal";

/// What each program makes of the same items.
pub(crate) trait Document: Versioned<Key = String> + Clone + Debug + PartialEq {
    const STEP: u64;
    const STAMPS: u64;

    fn new(id: &str) -> Self;
    fn version(&self) -> u64;
    fn log(&mut self) -> &mut Vec<String>;

    /// Makes the call's change.
    fn change(&mut self, by: &Call);

    fn seen(&self) -> (u64, Vec<String>) {
        (self.version(), self.clone().log().clone())
    }
}

macro_rules! document {
    ($name:ident, stamps = $stamps:literal, step = $step:literal) => {
        document!($name, stamps = $stamps, step = $step, start = "clock");
    };
    ($name:ident, stamps = $stamps:literal, step = $step:literal, start = $start:literal) => {
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Versioned)]
        #[dynalock(stamps = $stamps)]
        pub(crate) struct $name {
            #[dynalock(partition_key)]
            id: String,
            log: Vec<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            even: Option<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            odd: Option<String>,
            #[dynalock(version, start = $start, step = $step)]
            version: u64,
        }

        impl Document for $name {
            const STEP: u64 = $step;
            const STAMPS: u64 = $stamps;

            fn new(id: &str) -> Self {
                Self { id: id.into(), log: vec![], even: None, odd: None, version: 0 }
            }

            fn version(&self) -> u64 {
                self.version
            }

            fn log(&mut self) -> &mut Vec<String> {
                &mut self.log
            }

            fn change(&mut self, by: &Call) {
                self.log.push(by.mark());
                if by.id % 2 == 0 {
                    self.even = Some(by.mark());
                } else {
                    (self.even, self.odd) = (None, Some(by.mark()));
                }
            }
        }
    };
}

document!(K0, stamps = 0, step = 1);
document!(K1, stamps = 1, step = 1);
document!(K4, stamps = 4, step = 1);
document!(K16, stamps = 16, step = 1);
document!(K0By3, stamps = 0, step = 3);
document!(K1By3, stamps = 1, step = 3);
document!(K4By3, stamps = 4, step = 3);
document!(K16By3, stamps = 16, step = 3);
document!(K0From1, stamps = 0, step = 1, start = 1);
document!(K1From1, stamps = 1, step = 1, start = 1);
document!(K4From1, stamps = 4, step = 1, start = 1);

pub(crate) fn id<D: Document>(object: &D) -> String {
    match serde_json::to_value(object) {
        Ok(object) => object["id"].as_str().unwrap_or_default().to_owned(),
        Err(error) => panic!("a document is plain data: {error}"),
    }
}
