//! Items drawn from bytes: every type of DynamoDB, nested, and often near to what the structs of the targets hold.

use std::collections::HashMap;

use arbitrary::{Result, Unstructured};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use crate::MARK;

/// An item, as the SDK has it.
pub type Item = HashMap<String, AttributeValue>;

/// DynamoDB nests up to 32 levels deep; fewer are enough here.
const DEPTH: u32 = 6;
const LENGTH: usize = 4;

/// Any text, with the mark in it.
///
/// # Errors
///
/// If the bytes end.
pub fn text(bytes: &mut Unstructured<'_>) -> Result<String> {
    Ok(format!("{MARK}{}", <&str>::arbitrary_short(bytes)?))
}

trait Short<'a>: Sized {
    fn arbitrary_short(bytes: &mut Unstructured<'a>) -> Result<Self>;
}

impl<'a> Short<'a> for &'a str {
    fn arbitrary_short(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let length = bytes.int_in_range(0..=12)?.min(bytes.len());
        let drawn = bytes.bytes(length)?;
        Ok(match std::str::from_utf8(drawn) {
            Ok(text) => text,
            Err(end) => std::str::from_utf8(&drawn[..end.valid_up_to()]).unwrap_or_default(),
        })
    }
}

/// A number as DynamoDB may store it, and some that it never would.
///
/// # Errors
///
/// If the bytes end.
pub fn number(bytes: &mut Unstructured<'_>) -> Result<String> {
    Ok(match bytes.int_in_range(0..=8)? {
        0 => "0".into(),
        1 => bytes.arbitrary::<u64>()?.to_string(),
        2 => bytes.arbitrary::<i64>()?.to_string(),
        3 => bytes.arbitrary::<u8>()?.to_string(),
        4 => format!("{}", bytes.arbitrary::<f64>()?),
        5 => format!("{}e{}", bytes.arbitrary::<i8>()?, bytes.arbitrary::<i16>()?),
        6 => "99999999999999999999999999999999999999".into(),
        7 => format!("-{}.{}", bytes.arbitrary::<u32>()?, bytes.arbitrary::<u32>()?),
        _ => <&str>::arbitrary_short(bytes)?.to_owned(),
    })
}

fn blob(bytes: &mut Unstructured<'_>) -> Result<Blob> {
    let length = bytes.int_in_range(0..=20)?.min(bytes.len());
    Ok(Blob::new([MARK.as_bytes(), bytes.bytes(length)?].concat()))
}

fn several<T>(
    bytes: &mut Unstructured<'_>,
    mut one: impl FnMut(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    (0..bytes.int_in_range(0..=LENGTH)?).map(|_| one(bytes)).collect()
}

/// Any value of any type.
///
/// # Errors
///
/// If the bytes end.
pub fn value(bytes: &mut Unstructured<'_>) -> Result<AttributeValue> {
    nested(bytes, DEPTH)
}

fn nested(bytes: &mut Unstructured<'_>, depth: u32) -> Result<AttributeValue> {
    let last = if depth == 0 { 7 } else { 9 };
    Ok(match bytes.int_in_range(0..=last)? {
        0 => AttributeValue::S(text(bytes)?),
        1 => AttributeValue::N(number(bytes)?),
        2 => AttributeValue::B(blob(bytes)?),
        3 => AttributeValue::Bool(bytes.arbitrary()?),
        4 => AttributeValue::Null(true),
        5 => AttributeValue::Ss(several(bytes, text)?),
        6 => AttributeValue::Ns(several(bytes, number)?),
        7 => AttributeValue::Bs(several(bytes, blob)?),
        8 => AttributeValue::L(several(bytes, |bytes| nested(bytes, depth - 1))?),
        _ => {
            let entries = several(bytes, |bytes| Ok((text(bytes)?, nested(bytes, depth - 1)?)))?;
            AttributeValue::M(entries.into_iter().collect())
        }
    })
}

/// An item as JSON, the way DynamoDB sends it.
#[must_use]
pub fn json(item: &Item) -> Value {
    item.iter().map(|(name, value)| (name.clone(), tagged(value))).collect()
}

fn tagged(value: &AttributeValue) -> Value {
    let encoded = |blob: &Blob| aws_smithy_types::base64::encode(blob.as_ref());
    match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(digits) => json!({ "N": digits }),
        AttributeValue::B(blob) => json!({ "B": encoded(blob) }),
        AttributeValue::Bool(is) => json!({ "BOOL": is }),
        AttributeValue::Ss(texts) => json!({ "SS": texts }),
        AttributeValue::Ns(numbers) => json!({ "NS": numbers }),
        AttributeValue::Bs(blobs) => json!({ "BS": blobs.iter().map(encoded).collect::<Vec<_>>() }),
        AttributeValue::L(values) => json!({ "L": values.iter().map(tagged).collect::<Vec<_>>() }),
        AttributeValue::M(entries) => json!({ "M": json(entries) }),
        _ => json!({ "NULL": true }),
    }
}
