//! What generated code names. Not part of the public interface.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

pub use serde::Serialize;
pub use serde::de::DeserializeOwned;

pub use crate::item::key::PartitionAndSort;
pub use crate::item::key_type::KeyType;
pub use crate::item::schema::{KeyAttribute, Schema, Start, scalar_type};
pub use crate::item::version::{ClockVersion, VersionNumber};
#[cfg(feature = "embedded")]
pub use crate::support::random::seed;

/// Refuses at compile time what the macro cannot see, such as a literal beyond a type's range; `track_caller` puts the
/// message at the user's code.
#[track_caller]
pub const fn check(ok: bool, message: &str) {
    assert!(ok, "{}", message);
}

/// Holds for version types that `start = "clock"` can use.
pub const fn clock_version<V: ClockVersion>() {}

/// Tells key types from others through aliases: an inherent constant wins over the trait's.
#[derive(Debug)]
pub struct KeyProbe<T>(PhantomData<T>);

/// What holds where no [`NeverKey`] says otherwise.
pub trait Allowed {
    /// Whether the probed type can never be a DynamoDB key.
    const REFUSED: bool = false;
}

impl<T> Allowed for KeyProbe<T> {}

impl<T: NeverKey> KeyProbe<T> {
    /// Whether the probed type can never be a DynamoDB key.
    pub const REFUSED: bool = true;
}

/// Types that serde never stores as a string, an integer or bytes.
pub trait NeverKey {}

macro_rules! never_keys {
    ($([$($generics:tt)*] $type:ty;)*) => {$(impl<$($generics)*> NeverKey for $type {})*};
}

never_keys! {
    [] bool;
    [] ();
    [] f32;
    [] f64;
    [] u128;
    [] i128;
    [T] Option<T>;
    [T] Vec<T>;
    [T] VecDeque<T>;
    [T] LinkedList<T>;
    [T] BinaryHeap<T>;
    [T, const N: usize] [T; N];
    [T] [T];
    [T: NeverKey + ?Sized] Box<T>;
    [T: NeverKey + ?Sized] Rc<T>;
    [T: NeverKey + ?Sized] Arc<T>;
    [T: NeverKey + ToOwned + ?Sized] Cow<'_, T>;
    [T, S] HashSet<T, S>;
    [T] BTreeSet<T>;
    [K, V, S] HashMap<K, V, S>;
    [K, V] BTreeMap<K, V>;
    [A] (A,);
    [A, B] (A, B);
    [A, B, C] (A, B, C);
    [A, B, C, D] (A, B, C, D);
}

/// The schema of a refused struct, which never compiles.
pub const REFUSED: Schema = Schema {
    name: "",
    partition_key: KeyAttribute { name: "", scalar_type: scalar_type::<String> },
    sort_key: None,
    version: "",
    attributes: &[],
    aliases: &[],
    start: Start::At(1),
    step: 1,
    stamps: 0,
};

/// What the dummy impl of a refused struct asks for, so that missing serde derives add no errors of their own.
pub trait Stored<'a>: Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Stored<'_> for T {}
