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

/// Fails the compilation unless `ok`, for rules that the macro cannot check, such as whether a literal fits into a type.
/// `track_caller` puts the message at the user's code.
#[track_caller]
pub const fn check(ok: bool, message: &str) {
    assert!(ok, "{}", message);
}

/// Compiles only for version types that `start = "clock"` can use.
pub const fn clock_version<V: ClockVersion>() {}

/// Recognizes types that can never be a key, also behind an alias. `KeyProbe::<T>::REFUSED` is the inherent constant if `T` is a
/// [`NeverKey`], and otherwise that of [`Allowed`]: an inherent constant takes precedence over a trait's.
#[derive(Debug)]
pub struct KeyProbe<T>(PhantomData<T>);

/// The answer of [`KeyProbe`] for types that are not [`NeverKey`].
pub trait Allowed {
    /// Whether the probed type can never be a DynamoDB key.
    const REFUSED: bool = false;
}

impl<T> Allowed for KeyProbe<T> {}

impl<T: NeverKey> KeyProbe<T> {
    /// Whether the probed type can never be a DynamoDB key.
    pub const REFUSED: bool = true;
}

/// A type that serde never stores as a string, an integer or bytes.
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

/// The schema of a struct that the macro refuses. It is never used, since such a struct never compiles.
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

/// The bound of the dummy impl of a refused struct. With it, missing serde derives cause no errors of their own.
pub trait Stored<'a>: Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Stored<'_> for T {}
