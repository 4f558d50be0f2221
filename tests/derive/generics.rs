//! Generic structs can be versioned, with bounds, defaults and constant parameters.

use dynalock::__private::Start;
use dynalock::{PartitionAndSort, Versioned};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Versioned)]
struct Document<B> {
    #[dynalock(partition_key)]
    id: String,
    body: B,
    #[dynalock(version)]
    version: u64,
}

#[derive(Serialize, Deserialize, Versioned)]
struct Tagged<K, V = u64, const N: usize = 2>
where
    K: Clone,
{
    #[dynalock(partition_key)]
    id: Id<K>,
    #[dynalock(sort_key)]
    tag: Tag,
    #[dynalock(version, start = 7)]
    version: V,
}

type Id<K> = K;

#[derive(Serialize, Deserialize, Versioned)]
#[serde(bound = "")]
struct Clocked<T: Mark, V: Serialize + DeserializeOwned> {
    #[dynalock(partition_key)]
    id: T::Id,
    #[dynalock(version, start = "clock")]
    version: V,
}

#[derive(Serialize, Deserialize, Versioned)]
struct Marked {
    #[dynalock(partition_key)]
    id: <Self as Mark>::Id,
    #[dynalock(version, start = 2)]
    version: <Self as Mark>::Id,
}

impl Mark for Marked {
    type Id = u32;
}

trait Mark {
    type Id: Serialize + DeserializeOwned;
}

#[derive(Serialize, Deserialize)]
struct Unit;

impl Mark for Unit {
    type Id = u32;
}

/// What holds for every body, not only for one that is known.
fn version_of<B: Serialize + DeserializeOwned + Send + Sync + 'static>(document: &Document<B>) -> u64 {
    document.__version()
}

#[test]
fn a_struct_is_versioned_for_every_type_that_serde_can_store() {
    let mut document = Document { id: "a".into(), body: vec![1_u8], version: 3 };
    document.__set_version(version_of(&document) + 1);
    assert_eq!((document.id.as_str(), document.body, document.version), ("a", vec![1], 4));
    assert_eq!(Document::<String>::SCHEMA.attributes, ["id", "body", "version"]);
}

#[test]
fn keys_and_versions_may_be_generic_themselves() {
    fn key_is<T: Versioned<Key = K>, K>() {}

    key_is::<Tagged<String>, PartitionAndSort<String, Tag>>();
    key_is::<Tagged<u8, u16, 5>, PartitionAndSort<u8, Tag>>();
    key_is::<Clocked<Unit, i64>, u32>();
    assert_eq!(Tagged::<String, i32>::SCHEMA.start, Start::At(7));
    assert_eq!(Clocked::<Unit, u64>::SCHEMA.start, Start::Clock);
    key_is::<Marked, u32>();
    assert_eq!(Marked { id: 6, version: 7 }.__version(), 7);
    let tagged = Tagged::<_, u8, 1> { id: 1_u8, tag: Tag(2), version: 9_u8 };
    assert_eq!((tagged.__version(), tagged.id, tagged.tag.0), (9, 1, 2));
    assert_eq!(Clocked::<Unit, u64> { id: 4, version: 5 }.__version(), 5);
}

#[derive(Serialize, Deserialize)]
struct Tag(u8);
