//! The DynamoDB key type of a Rust type, found by a deserializer that returns no value and records what the type asks for.

use std::fmt;

use aws_sdk_dynamodb::types::ScalarAttributeType;
use serde::de::{self, DeserializeOwned, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

/// The DynamoDB type of the keys that serde makes of a Rust type's values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyType {
    /// All keys have this type.
    Scalar(ScalarAttributeType),
    /// The keys are floating-point numbers, which dynalock refuses: numbers that are equal in the program may differ in DynamoDB.
    Float,
    /// The type cannot be found without a value, for example because it asks the format what it holds.
    Unknown,
}

/// The key type that values of `K` have in DynamoDB.
pub(crate) fn key_type_of<K: DeserializeOwned>() -> KeyType {
    match K::deserialize(KeyTypeProbe) {
        Err(Recorded(key_type)) => key_type,
        Ok(_) => KeyType::Unknown,
    }
}

/// The deserializer that records the type.
struct KeyTypeProbe;

const STRING: KeyType = KeyType::Scalar(ScalarAttributeType::S);
const NUMBER: KeyType = KeyType::Scalar(ScalarAttributeType::N);
const BYTES: KeyType = KeyType::Scalar(ScalarAttributeType::B);

/// The error that every method of the probe returns: it ends the deserialization, and holds the type that was asked for.
#[derive(Debug)]
struct Recorded(KeyType);

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no value, only its type")
    }
}

impl std::error::Error for Recorded {}

impl de::Error for Recorded {
    fn custom<M: fmt::Display>(_: M) -> Self {
        Self(KeyType::Unknown)
    }
}

macro_rules! record {
    ($key_type:expr => $($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Recorded> {
            Err(Recorded($key_type))
        }
    )*};
}

impl<'de> Deserializer<'de> for KeyTypeProbe {
    type Error = Recorded;

    record!(STRING => deserialize_char deserialize_str deserialize_string deserialize_identifier);
    record!(NUMBER => deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64);
    record!(NUMBER => deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64);
    record!(KeyType::Float => deserialize_f32 deserialize_f64);
    record!(BYTES => deserialize_bytes deserialize_byte_buf);

    /// A unit variant is stored as its name.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Recorded> {
        Err(Recorded(STRING))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Recorded> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Recorded> {
        Err(Recorded(KeyType::Unknown))
    }

    forward_to_deserialize_any! {
        bool i128 u128 option unit unit_struct seq tuple tuple_struct map struct ignored_any
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::marker::PhantomData;

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Newtype<T>(#[allow(dead_code)] T);

    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Transparent {
        #[allow(dead_code)]
        inner: Newtype<u8>,
    }

    #[derive(Deserialize)]
    #[allow(dead_code)]
    enum Unit {
        One,
        Two,
    }

    #[derive(Deserialize)]
    #[serde(try_from = "i64")]
    struct Positive(#[allow(dead_code)] i64);

    impl TryFrom<i64> for Positive {
        type Error = &'static str;

        fn try_from(number: i64) -> Result<Self, Self::Error> {
            if number > 0 { Ok(Self(number)) } else { Err("not positive") }
        }
    }

    struct Bytes;

    impl<'de> Deserialize<'de> for Bytes {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Any;
            impl Visitor<'_> for Any {
                type Value = Bytes;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("bytes")
                }
            }
            deserializer.deserialize_byte_buf(Any)
        }
    }

    #[derive(Deserialize)]
    #[serde(untagged)]
    #[allow(dead_code)]
    enum Untagged {
        Text(String),
        Number(i64),
    }

    #[derive(Deserialize)]
    struct Fields {
        #[allow(dead_code)]
        one: String,
    }

    fn recorded<K: DeserializeOwned>(_: PhantomData<K>) -> KeyType {
        key_type_of::<K>()
    }

    macro_rules! assert_recorded {
        ($expected:expr => $($type:ty),+) => {$(
            assert_eq!(recorded(PhantomData::<$type>), $expected, stringify!($type));
        )+};
    }

    /// Asks for nothing.
    struct Nothing;

    impl<'de> Deserialize<'de> for Nothing {
        fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Ok(Self)
        }
    }

    #[test]
    fn a_type_has_the_key_type_that_serde_gives_its_values() {
        assert_recorded!(STRING => String, char, Box<str>, Newtype<String>, Unit, Newtype<Unit>);
        assert_recorded!(NUMBER => u8, u16, u32, u64, i8, i16, i32, i64);
        assert_recorded!(NUMBER => Newtype<u64>, Newtype<Newtype<i8>>, Transparent, Positive);
        assert_recorded!(NUMBER => std::num::NonZeroU64);
        assert_recorded!(BYTES => Bytes, Newtype<Bytes>);
    }

    #[test]
    fn a_float_is_recognized_in_any_newtype() {
        assert_recorded!(KeyType::Float => f32, f64, Newtype<f64>, Newtype<Newtype<f32>>);
    }

    #[test]
    fn a_type_that_is_no_key_or_asks_the_format_is_unknown() {
        assert_recorded!(KeyType::Unknown => Nothing, Untagged, bool, u128, i128, (), Option<String>, Vec<u8>, (u8, u8));
        assert_recorded!(KeyType::Unknown => Fields, HashMap<String, String>, Newtype<bool>, [u8; 4]);
    }
}
