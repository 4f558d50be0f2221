//! Struct to item and back. The only caller of `serde_dynamo`.

use std::borrow::Cow;
use std::collections::{HashMap, hash_map};
use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde::ser::{self, Impossible, Serialize, SerializeMap, SerializeStruct, Serializer};

use crate::invalid::Invalid;
use crate::schema::{Schema, is_stamp_slot};

/// An item as the SDK holds it.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// The attributes of an item in the order in which serde gave them.
pub(crate) type Attributes = Vec<(Cow<'static, str>, AttributeValue)>;

/// An item may take 400 KB, names included.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-items>
const MAX_ITEM_BYTES: usize = 400 * 1024;

/// The version attribute of a stored item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoredVersion {
    /// The item was written before it had a version.
    Absent,
    /// As `Absent`, by a writer that stores missing values as NULL.
    Null,
    /// The version; 0 means the same as `Absent`.
    Number(u64),
}

impl StoredVersion {
    /// Reads the version of `item`, or says what stands there instead.
    pub(crate) fn of(item: &Item, schema: &Schema) -> Result<Self, Invalid> {
        let problem = match item.get(schema.version) {
            None => return Ok(Self::Absent),
            Some(AttributeValue::Null(_)) => return Ok(Self::Null),
            Some(AttributeValue::N(digits)) => match digits.parse() {
                Ok(number) => return Ok(Self::Number(number)),
                Err(_) => "found a number that is no version",
            },
            Some(other) => &format!("found {}", type_name(other)),
        };
        let expected = "a version is a whole number from 0 to 18446744073709551615";
        Err(Invalid::item(schema.version, format!("{problem}; {expected}")))
    }

    /// The version as a number; 0 where none is stored.
    pub(crate) fn number(self) -> u64 {
        match self {
            Self::Absent | Self::Null => 0,
            Self::Number(number) => number,
        }
    }
}

/// What an attribute value is, in words that hold no data.
pub(crate) fn type_name(value: &AttributeValue) -> &'static str {
    match value {
        AttributeValue::S(_) => "a string",
        AttributeValue::N(_) => "a number",
        AttributeValue::B(_) => "bytes",
        AttributeValue::Bool(_) => "a boolean",
        AttributeValue::Null(_) => "NULL",
        AttributeValue::L(_) => "a list",
        AttributeValue::M(_) => "a map",
        AttributeValue::Ss(_) => "a set of strings",
        AttributeValue::Ns(_) => "a set of numbers",
        AttributeValue::Bs(_) => "a set of bytes",
        _ => "a value of a type that this version of the SDK does not know",
    }
}

/// One value as an attribute; `None` if DynamoDB has no type for it.
pub(crate) fn value<T: Serialize + ?Sized>(value: &T) -> Option<AttributeValue> {
    let value = serde_dynamo::to_attribute_value::<&T, serde_dynamo::AttributeValue>(value).ok()?.into();
    Some(value).filter(is_finite)
}

/// Whether there is neither NaN nor infinity in it, which DynamoDB has no form for.
fn is_finite(value: &AttributeValue) -> bool {
    // Every finite number ends with a digit.
    let is_number = |digits: &String| digits.ends_with(|end: char| end.is_ascii_digit());
    match value {
        AttributeValue::N(digits) => is_number(digits),
        AttributeValue::Ns(numbers) => numbers.iter().all(is_number),
        AttributeValue::L(values) => values.iter().all(is_finite),
        AttributeValue::M(entries) => entries.values().all(is_finite),
        _ => true,
    }
}

/// Refuses attributes that no item can hold: at least as large as they are counted here, they are over 400 KB.
pub(crate) fn check_size<'a>(
    attributes: impl Iterator<Item = (&'a str, &'a AttributeValue)>,
) -> Result<(), Invalid> {
    let bytes = least_bytes(attributes);
    if bytes > MAX_ITEM_BYTES {
        let problem = format!("the item takes {bytes} bytes or more, but an item may take 409600 (400 KB)");
        return Err(Invalid::request(problem));
    }
    Ok(())
}

/// How many bytes these attributes take at least.
pub(crate) fn least_bytes<'a>(attributes: impl Iterator<Item = (&'a str, &'a AttributeValue)>) -> usize {
    attributes.map(|(name, value)| name.len() + least_size(value)).sum()
}

/// A lower bound: how many bytes a number takes depends on its digits, but at least one.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
fn least_size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::L(values) => 3 + values.iter().map(|value| 1 + least_size(value)).sum::<usize>(),
        AttributeValue::M(entries) => {
            3 + entries.iter().map(|(name, value)| 1 + name.len() + least_size(value)).sum::<usize>()
        }
        AttributeValue::Ss(texts) => texts.iter().map(String::len).sum(),
        AttributeValue::Ns(numbers) => numbers.len(),
        AttributeValue::Bs(blobs) => blobs.iter().map(|bytes| bytes.as_ref().len()).sum(),
        _ => 1,
    }
}

/// Serializes a struct, attribute by attribute.
pub(crate) fn to_attributes<T: Serialize>(object: &T) -> Result<Attributes, Invalid> {
    let attributes = object.serialize(ToAttributes)?;
    match attributes.iter().find(|(name, _)| is_stamp_slot(name)) {
        Some((name, _)) => Err(Invalid::item(name, "the name is reserved for write stamps")),
        None => Ok(attributes),
    }
}

/// The item of a key and the other attributes, with room for a version and a stamp.
pub(crate) fn joined(key: Item, attributes: Attributes) -> Item {
    let mut item = key;
    item.reserve(attributes.len() + 2);
    item.extend(attributes.into_iter().map(|(name, value)| (name.into_owned(), value)));
    item
}

/// Deserializes an item. Write stamps are left out, and a version that is absent or NULL reads as 0.
pub(crate) fn from_item<T: DeserializeOwned>(item: Item, schema: &Schema) -> Result<T, Invalid> {
    let version = StoredVersion::of(&item, schema)?.number();
    let entries = item.into_iter();
    let reader = ItemReader { entries, schema, version: Some(version), next: None };
    Ok(T::deserialize(reader)?)
}

/// An attribute and its field that do not fit each other, and why. serde's own messages are dropped: they may quote values.
#[derive(Debug)]
struct Unfit(Cow<'static, str>, Cow<'static, str>);

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.1)
    }
}

impl std::error::Error for Unfit {}

impl From<Unfit> for Invalid {
    fn from(Unfit(attribute, problem): Unfit) -> Self {
        Self::item(&attribute, problem)
    }
}

impl ser::Error for Unfit {
    fn custom<M: fmt::Display>(_: M) -> Self {
        Self("".into(), "the struct's serialization failed".into())
    }
}

impl de::Error for Unfit {
    fn custom<M: fmt::Display>(_: M) -> Self {
        Self("".into(), "the item does not fit the struct".into())
    }

    fn missing_field(field: &'static str) -> Self {
        Self(field.into(), "the attribute is missing, and its field has no default".into())
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self(field.into(), "the attribute is there twice, under its name and an alias".into())
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self(field.to_owned().into(), "the struct has no such field and denies unknown ones".into())
    }
}

/// Takes a struct or a map, which is what serde makes of a struct that flattens a field.
struct ToAttributes;

/// The attributes so far, and the name that waits for its value.
struct Fields {
    attributes: Attributes,
    name: Option<Cow<'static, str>>,
}

impl Fields {
    fn with_capacity(fields: usize) -> Self {
        Self { attributes: Vec::with_capacity(fields), name: None }
    }

    fn push<T: Serialize + ?Sized>(&mut self, name: Cow<'static, str>, field: &T) -> Result<(), Unfit> {
        match value(field) {
            Some(value) => {
                self.attributes.push((name, value));
                Ok(())
            }
            None => Err(Unfit(
                name,
                "the field holds what has no form in DynamoDB, such as NaN, infinity or an integer of 128 bits".into(),
            )),
        }
    }
}

impl SerializeStruct for Fields {
    type Ok = Attributes;
    type Error = Unfit;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, field: &T) -> Result<(), Unfit> {
        self.push(name.into(), field)
    }

    fn end(self) -> Result<Attributes, Unfit> {
        Ok(self.attributes)
    }
}

impl SerializeMap for Fields {
    type Ok = Attributes;
    type Error = Unfit;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unfit> {
        match value(key) {
            Some(AttributeValue::S(name)) => self.name = Some(name.into()),
            _ => return Err(Unfit("".into(), "the name of a flattened entry is not a string".into())),
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, field: &T) -> Result<(), Unfit> {
        let name = self.name.take().unwrap_or_default();
        self.push(name, field)
    }

    /// Only a flattened map can hold a name twice, beside a field or another map.
    fn end(mut self) -> Result<Attributes, Unfit> {
        let mut names: Vec<&str> = self.attributes.iter().map(|(name, _)| &**name).collect();
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].to_owned());
        match twice {
            Some(name) => {
                Err(Unfit(name.into(), "a flattened entry has the name of another attribute".into()))
            }
            None => Ok(std::mem::take(&mut self.attributes)),
        }
    }
}

/// Everything else that serde may be given: what is no struct, or has no names for its parts.
macro_rules! refuse {
    ($answer:ident: $($method:ident($($argument:ty),*))*) => {$(
        fn $method(self, $(_: $argument),*) -> Result<$answer, Unfit> {
            Err(not_an_item())
        }
    )*};
}

fn not_an_item() -> Unfit {
    Unfit("".into(), "the struct serializes to something that has no attributes".into())
}

type No = Impossible<Attributes, Unfit>;

impl Serializer for ToAttributes {
    type Ok = Attributes;
    type Error = Unfit;
    type SerializeStruct = Fields;
    type SerializeMap = Fields;
    type SerializeSeq = No;
    type SerializeTuple = No;
    type SerializeTupleStruct = No;
    type SerializeTupleVariant = No;
    type SerializeStructVariant = No;

    fn serialize_struct(self, _: &'static str, fields: usize) -> Result<Fields, Unfit> {
        Ok(Fields::with_capacity(fields))
    }

    fn serialize_map(self, entries: Option<usize>) -> Result<Fields, Unfit> {
        Ok(Fields::with_capacity(entries.unwrap_or_default()))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, object: &T) -> Result<Attributes, Unfit> {
        object.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        object: &T,
    ) -> Result<Attributes, Unfit> {
        object.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Attributes, Unfit> {
        Err(not_an_item())
    }

    refuse! { Attributes:
        serialize_bool(bool) serialize_char(char) serialize_str(&str) serialize_bytes(&[u8])
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64)
        serialize_f32(f32) serialize_f64(f64)
        serialize_none() serialize_unit() serialize_unit_struct(&'static str)
        serialize_unit_variant(&'static str, u32, &'static str)
    }
    refuse! { No:
        serialize_seq(Option<usize>) serialize_tuple(usize) serialize_tuple_struct(&'static str, usize)
        serialize_tuple_variant(&'static str, u32, &'static str, usize)
        serialize_struct_variant(&'static str, u32, &'static str, usize)
    }
}

/// Hands an item to serde, attribute by attribute, so that an error knows which one it was.
struct ItemReader<'a> {
    entries: hash_map::IntoIter<String, AttributeValue>,
    schema: &'a Schema,
    /// The version, until it has been handed over.
    version: Option<u64>,
    next: Option<(Cow<'a, str>, AttributeValue)>,
}

impl<'de> Deserializer<'de> for ItemReader<'_> {
    type Error = Unfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        visitor.visit_map(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq
        tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> de::MapAccess<'de> for ItemReader<'_> {
    type Error = Unfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Unfit> {
        let version = self.schema.version;
        let stored = self.entries.by_ref().find(|(name, _)| name != version && !is_stamp_slot(name));
        self.next = match stored {
            Some((name, value)) => Some((name.into(), value)),
            None => self.version.take().map(|number| (version.into(), AttributeValue::N(number.to_string()))),
        };
        match &self.next {
            Some((name, _)) => seed.deserialize(StrDeserializer::new(name)).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Unfit> {
        let Some((name, value)) = self.next.take() else {
            return Err(de::Error::custom("a value was asked for before its name"));
        };
        let found = type_name(&value);
        let value = serde_dynamo::Deserializer::from_attribute_value(value.into());
        seed.deserialize(value).map_err(|_| {
            let problem = format!("found {found} that does not fit the field of `{}`", self.schema.name);
            Unfit(name.into_owned().into(), problem.into())
        })
    }
}

#[cfg(test)]
mod tests;
