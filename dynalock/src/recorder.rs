//! A deserializer that answers nothing and remembers what a type asked for: its DynamoDB key type.

use std::fmt;

use aws_sdk_dynamodb::types::ScalarAttributeType;
use serde::de::{self, DeserializeOwned, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

/// The key type that values of `K` have in DynamoDB, or `None` if `K` doesn't say.
pub(crate) fn recorded_type<K: DeserializeOwned>() -> Option<ScalarAttributeType> {
    match K::deserialize(Recorder) {
        Err(Recorded(scalar)) => scalar,
        Ok(_) => None,
    }
}

struct Recorder;

/// Every answer is this error: what was asked for ends the deserialization and is all that counts.
#[derive(Debug)]
struct Recorded(Option<ScalarAttributeType>);

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no value, only its type")
    }
}

impl std::error::Error for Recorded {}

impl de::Error for Recorded {
    fn custom<M: fmt::Display>(_: M) -> Self {
        Self(None)
    }
}

macro_rules! record {
    ($scalar:ident: $($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Recorded> {
            Err(Recorded(Some(ScalarAttributeType::$scalar)))
        }
    )*};
}

impl<'de> Deserializer<'de> for Recorder {
    type Error = Recorded;

    record!(S: deserialize_char deserialize_str deserialize_string deserialize_identifier);
    record!(N: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64);
    record!(N: deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64);
    record!(B: deserialize_bytes deserialize_byte_buf);

    /// A unit variant is stored as its name.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Recorded> {
        Err(Recorded(Some(ScalarAttributeType::S)))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Recorded> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Recorded> {
        Err(Recorded(None))
    }

    forward_to_deserialize_any! {
        bool i128 u128 f32 f64 option unit unit_struct seq tuple tuple_struct map struct ignored_any
    }
}
