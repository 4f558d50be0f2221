//! The key of an item: what a caller may pass as one, and the key attributes that it becomes.

use std::marker::PhantomData;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;

use crate::item::invalid::Invalid;
use crate::item::key_type::KeyType;
use crate::item::schema::{KeyAttribute, Schema};
use crate::item::{self, Item, serialize};

/// The key type of a struct with a partition key of type `P` and a sort key of type `S`.
///
/// Pass `(partition, sort)` to a call that takes such a key.
#[derive(Debug)]
pub struct PartitionAndSort<P, S>(PhantomData<fn() -> (P, S)>);

/// A value that can be passed as a key of type `K`: a `K`, a `&K`, a `&str` for a `String`, and a pair of these for a partition
/// key with a sort key. A generic function takes an `impl IntoKey<T::Key>`.
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
        KeyValue::new(&self)
    }
}

impl<K: Serialize> IntoKey<K> for &K {
    fn into_key(self) -> Result<KeyValue, Invalid> {
        KeyValue::new(self)
    }
}

impl IntoKey<String> for &str {
    fn into_key(self) -> Result<KeyValue, Invalid> {
        KeyValue::new(self)
    }
}

#[diagnostic::do_not_recommend]
impl IntoKey<String> for &&str {
    fn into_key(self) -> Result<KeyValue, Invalid> {
        KeyValue::new(*self)
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
        Ok(KeyValue { sort: Some(KeyValue::new(&self.1)?.partition), ..KeyValue::new(&self.0)? })
    }
}

/// A key whose attributes have no names yet.
#[doc(hidden)]
pub struct KeyValue {
    partition: AttributeValue,
    sort: Option<AttributeValue>,
}

/// Shows nothing of the key, which is part of the item's data.
impl std::fmt::Debug for KeyValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyValue(..)")
    }
}

impl KeyValue {
    fn new<K: Serialize + ?Sized>(key: &K) -> Result<Self, Invalid> {
        let no_type =
            || Invalid::request("DynamoDB has no type for the key; expected a string, an integer or bytes");
        serialize::value(key).map(|partition| Self { partition, sort: None }).ok_or_else(no_type)
    }

    /// The key attributes of an item that `schema` describes.
    pub(crate) fn into_item(self, schema: &Schema) -> Result<Item, Invalid> {
        let values = std::iter::once(self.partition).chain(self.sort);
        schema
            .key_attributes()
            .zip(values)
            .map(|(attribute, value)| {
                check_key_value(schema, attribute, &value)?;
                Ok((attribute.name.to_owned(), value))
            })
            .collect()
    }
}

/// A key that can be compared and hashed. Two notations of one number are equal: DynamoDB stores the number, not its notation.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct KeyId(Vec<(u8, Vec<u8>)>);

impl KeyId {
    /// The key of `item`.
    pub(crate) fn new(schema: &Schema, item: &Item) -> Self {
        let values = schema.key_attributes().filter_map(|key| item.get(key.name));
        let bytes = |value: &AttributeValue| match value {
            AttributeValue::S(text) => (b'S', text.clone().into_bytes()),
            AttributeValue::N(number) => match canonical_number(number) {
                Some(canonical) => (b'N', canonical),
                // Not a number. DynamoDB refuses it later; until then it equals only itself.
                None => (b'?', number.clone().into_bytes()),
            },
            AttributeValue::B(bytes) => (b'B', bytes.clone().into_inner()),
            _ => (b'?', Vec::new()),
        };
        Self(values.map(bytes).collect())
    }
}

/// A number in a form that is the same for each of its notations: sign, exponent, and the digits between leading and trailing
/// zeros. Empty for 0, and `None` for a text that is not a decimal number.
fn canonical_number(number: &str) -> Option<Vec<u8>> {
    let (is_negative, unsigned) = match number.strip_prefix('-') {
        Some(unsigned) => (true, unsigned),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let Some(first) = digits.iter().position(|&digit| digit != b'0') else { return Some(Vec::new()) };
    let end = digits.iter().rposition(|&digit| digit != b'0')? + 1;
    // The remaining digits are a whole number, in units of this power of ten.
    let power =
        i64::from(exponent) - i64::try_from(fraction.len()).ok()? + i64::try_from(digits.len() - end).ok()?;
    let sign_and_power = std::iter::once(u8::from(is_negative)).chain(power.to_be_bytes());
    Some(sign_and_power.chain(digits[first..end].iter().copied()).collect())
}

/// The problem of a key that is a floating-point number.
pub(crate) const FLOAT: &str =
    "the type of this key is a floating-point number, but a key is a string, an integer or bytes";

/// Refuses a key value that DynamoDB would refuse, and floating-point numbers, which are not exact.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-partition-sort-keys>
pub(crate) fn check_key_value(
    schema: &Schema,
    attribute: &KeyAttribute,
    value: &AttributeValue,
) -> Result<(), Invalid> {
    let name = attribute.name;
    let bytes = match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::N(_) => {
            let is_float = (attribute.scalar_type)() == KeyType::Float;
            return if is_float { Err(Invalid::item(name, FLOAT)) } else { Ok(()) };
        }
        other => {
            let found = item::type_name(other);
            let problem = format!("found {found}, but a key is a string, a number or bytes");
            return Err(Invalid::item(name, problem));
        }
    };
    let max_bytes = if name == schema.partition_key.name { 2048 } else { 1024 };
    match bytes {
        0 => Err(Invalid::item(name, "a key must not be empty")),
        bytes if bytes > max_bytes => {
            let problem = format!("the key takes {bytes} bytes, but at most {max_bytes} are allowed");
            Err(Invalid::item(name, problem))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: &str) -> KeyId {
        let key = Item::from([("id".to_owned(), AttributeValue::N(number.into()))]);
        KeyId::new(Schema::EXAMPLE, &key)
    }

    #[test]
    fn equal_numbers_are_one_key_and_others_are_several() {
        let largest = "99999999999999999999999999999999999999";
        let neighbour = "99999999999999999999999999999999999998";
        let tenfold = format!("{largest}0");
        let with_fraction = format!("{largest}.0");
        let scientific = format!("9.{}E37", &largest[1..]);
        let groups: [&[&str]; 12] = [
            &["0", "-0", "+0", "00", "0.0", "-0.00", "0E5", "0e-5", ".0", "0."],
            &["1", "+1", "01", "1.0", "1.", "10e-1", "0.1E1", "0.01e+2"],
            &["-1", "-01", "-1.0", "-10e-1"],
            &["100", "1e2", "1E+2", "100.0", "0.1e3", "1000E-1"],
            &["10"],
            &["0.5", ".5", "5e-1", "0.50", "05E-1"],
            &["0.05", "5e-2"],
            &["0.0000001", "1E-7", "1e-07"],
            &[largest, &with_fraction, &scientific],
            &[neighbour],
            &[&tenfold],
            &["1E-130"],
        ];
        let numbers =
            || groups.iter().enumerate().flat_map(|(group, all)| all.iter().map(move |one| (group, *one)));
        for (group, one) in numbers() {
            for (other_group, other) in numbers() {
                assert_eq!(id(one) == id(other), group == other_group, "{one} {other}");
            }
        }
    }

    /// DynamoDB refuses such values later. Until then, no two of them are one key.
    #[test]
    fn a_text_that_is_no_number_is_a_key_of_its_own() {
        let texts = [
            "",
            "-",
            "+",
            ".",
            "e5",
            "1e",
            "1e99999999999",
            "1.2.3",
            "NaN",
            "inf",
            "--1",
            "+-1",
            "1 ",
            "\u{661}",
        ];
        for (index, one) in texts.iter().enumerate() {
            for (other_index, other) in texts.iter().enumerate() {
                assert_eq!(id(one) == id(other), index == other_index, "{one} {other}");
            }
            assert!(id(one) != id("0") && id(one) != id("1"), "{one}");
        }
    }

    #[test]
    fn a_number_is_another_key_than_its_text() {
        let text = Item::from([("id".to_owned(), AttributeValue::S("1".into()))]);
        assert!(KeyId::new(Schema::EXAMPLE, &text) != id("1"));
    }
}
