//! The serialization of a struct into attributes, by means of its `Serialize`.

use std::borrow::Cow;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::ser::{Impossible, Serialize, SerializeMap, SerializeStruct, Serializer};

use crate::item::Attributes;
use crate::item::invalid::{Invalid, Unfit};
use crate::item::schema::is_stamp_slot;

/// One value as an attribute value; `None` if DynamoDB has no type for it.
pub(crate) fn value<T: Serialize + ?Sized>(value: &T) -> Option<AttributeValue> {
    let value = serde_dynamo::to_attribute_value::<&T, serde_dynamo::AttributeValue>(value).ok()?.into();
    Some(value).filter(is_finite)
}

/// Whether a value contains neither NaN nor infinity, which DynamoDB cannot store.
fn is_finite(value: &AttributeValue) -> bool {
    // The text of every finite number ends with a digit, and "NaN" and "inf" do not.
    let is_number = |digits: &String| digits.ends_with(|end: char| end.is_ascii_digit());
    match value {
        AttributeValue::N(digits) => is_number(digits),
        AttributeValue::Ns(numbers) => numbers.iter().all(is_number),
        AttributeValue::L(values) => values.iter().all(is_finite),
        AttributeValue::M(entries) => entries.values().all(is_finite),
        _ => true,
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

/// A serializer that accepts a struct, and a map, since serde makes a map of a struct that flattens a field.
struct ToAttributes;

/// The attributes so far, and the name whose value serde writes next.
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
                "DynamoDB has no type for the value of the field, as for NaN, infinity and integers of 128 bits".into(),
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

    fn end(mut self) -> Result<Attributes, Unfit> {
        // A flattened map may have an entry with the name of a field, or of another map's entry. The item could keep only one of
        // the two.
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

/// Refuses all other types of values: they are not structs, or their parts have no names.
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

/// The state of serializations that `refuse!` ends before they begin.
type Never = Impossible<Attributes, Unfit>;

impl Serializer for ToAttributes {
    type Ok = Attributes;
    type Error = Unfit;
    type SerializeStruct = Fields;
    type SerializeMap = Fields;
    type SerializeSeq = Never;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeStructVariant = Never;

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
    refuse! { Never:
        serialize_seq(Option<usize>) serialize_tuple(usize) serialize_tuple_struct(&'static str, usize)
        serialize_tuple_variant(&'static str, u32, &'static str, usize)
        serialize_struct_variant(&'static str, u32, &'static str, usize)
    }
}
