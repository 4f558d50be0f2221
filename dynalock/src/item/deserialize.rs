//! The deserialization of an item into a struct, by means of its `Deserialize`.

use std::borrow::Cow;
use std::collections::hash_map;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

use crate::item::invalid::{Invalid, Unfit};
use crate::item::schema::{Schema, is_stamp_slot};
use crate::item::{Item, StoredVersion, type_name};

/// Deserializes an item. Write stamps are omitted, and a version that is absent or NULL reads as 0.
pub(crate) fn from_item<T: DeserializeOwned>(item: Item, schema: &Schema) -> Result<T, Invalid> {
    let version = StoredVersion::read(&item, schema)?.number();
    let reader = ItemReader { entries: item.into_iter(), schema, version: Some(version), next: None };
    Ok(T::deserialize(reader)?)
}

/// A deserializer that passes an item to serde attribute by attribute, so that an error can name the attribute.
struct ItemReader<'a> {
    entries: hash_map::IntoIter<String, AttributeValue>,
    schema: &'a Schema,
    /// The version, until it has been passed to serde.
    version: Option<u64>,
    /// The attribute whose name has been passed to serde, and whose value is next.
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
        // The version comes last, and as a number even where it is absent or NULL: no struct needs a default for it.
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
