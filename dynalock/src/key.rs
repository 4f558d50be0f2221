//! What a caller may pass as a key, and the key attributes that come of it.

use std::marker::PhantomData;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;

use crate::invalid::Invalid;
use crate::item::{self, Item};
use crate::schema::Schema;

/// The key type of a struct with a partition key of type `P` and a sort key of type `S`.
///
/// Pass `(partition, sort)` where such a key is asked for.
#[derive(Debug)]
pub struct PartitionAndSort<P, S>(PhantomData<fn() -> (P, S)>);

/// Values that can be passed as a key of type `K`: a `K`, a `&K`, a `&str` for a `String`, and a pair of these for a
/// partition key with a sort key. Generic functions take an `impl IntoKey<T::Key>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be used as a key of type `{K}`",
    label = "expected a key of type `{K}`",
    note = "the key type of a struct is the type of its `partition_key` field; with a `sort_key` field, pass `(partition, sort)`"
)]
pub trait IntoKey<K> {
    #[doc(hidden)]
    fn into_key(self) -> Result<KeyValue, Invalid>;
}

impl<K: Serialize> IntoKey<K> for K {
    fn into_key(self) -> Result<KeyValue, Invalid> {
        KeyValue::of(&self)
    }
}

impl<K: Serialize> IntoKey<K> for &K {
    fn into_key(self) -> Result<KeyValue, Invalid> {
        KeyValue::of(self)
    }
}

impl IntoKey<String> for &str {
    fn into_key(self) -> Result<KeyValue, Invalid> {
        KeyValue::of(self)
    }
}

#[diagnostic::do_not_recommend]
impl IntoKey<String> for &&str {
    fn into_key(self) -> Result<KeyValue, Invalid> {
        KeyValue::of(*self)
    }
}

impl<P, S, A: IntoKey<P>, B: IntoKey<S>> IntoKey<PartitionAndSort<P, S>> for (A, B) {
    fn into_key(self) -> Result<KeyValue, Invalid> {
        Ok(KeyValue { sort: Some(self.1.into_key()?.partition), ..self.0.into_key()? })
    }
}

#[diagnostic::do_not_recommend]
impl<P: Serialize, S: Serialize> IntoKey<PartitionAndSort<P, S>> for &(P, S) {
    fn into_key(self) -> Result<KeyValue, Invalid> {
        Ok(KeyValue { sort: Some(KeyValue::of(&self.1)?.partition), ..KeyValue::of(&self.0)? })
    }
}

/// A key whose attributes have no names yet.
#[doc(hidden)]
pub struct KeyValue {
    partition: AttributeValue,
    sort: Option<AttributeValue>,
}

impl std::fmt::Debug for KeyValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyValue(..)")
    }
}

impl KeyValue {
    fn of<K: Serialize + ?Sized>(key: &K) -> Result<Self, Invalid> {
        let no_form =
            || Invalid::request("the key has no form in DynamoDB; expected a string, an integer or bytes");
        item::value(key).map(|partition| Self { partition, sort: None }).ok_or_else(no_form)
    }

    /// The key attributes of an item that `schema` describes.
    pub(crate) fn into_item(self, schema: &Schema) -> Result<Item, Invalid> {
        let values = std::iter::once(self.partition).chain(self.sort);
        schema
            .key_attributes()
            .zip(values)
            .map(|(attribute, value)| {
                check_key_value(schema, attribute.name, &value)?;
                Ok((attribute.name.to_owned(), value))
            })
            .collect()
    }
}

/// A key as something to compare and to hash.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct KeyId(Vec<(u8, Vec<u8>)>);

impl KeyId {
    /// The key of `item`.
    pub(crate) fn of(schema: &Schema, item: &Item) -> Self {
        let values = schema.key_attributes().filter_map(|key| item.get(key.name));
        let bytes = |value: &AttributeValue| match value {
            AttributeValue::S(text) => (b'S', text.clone().into_bytes()),
            AttributeValue::N(digits) => (b'N', digits.clone().into_bytes()),
            AttributeValue::B(bytes) => (b'B', bytes.clone().into_inner()),
            _ => (b'?', Vec::new()),
        };
        Self(values.map(bytes).collect())
    }
}

/// Refuses what DynamoDB would refuse as a key.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-partition-sort-keys>
pub(crate) fn check_key_value(
    schema: &Schema,
    attribute: &str,
    value: &AttributeValue,
) -> Result<(), Invalid> {
    let bytes = match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::N(_) => return Ok(()),
        other => {
            let found = item::type_name(other);
            let problem = format!("found {found}, but a key is a string, a number or bytes");
            return Err(Invalid::item(attribute, problem));
        }
    };
    let most = if attribute == schema.partition_key.name { 2048 } else { 1024 };
    match bytes {
        0 => Err(Invalid::item(attribute, "a key must not be empty")),
        bytes if bytes > most => {
            let problem = format!("the key takes {bytes} bytes, but at most {most} are allowed");
            Err(Invalid::item(attribute, problem))
        }
        _ => Ok(()),
    }
}
