//! The size of an item: a lower bound for it, and DynamoDB's limit.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::item::invalid::Invalid;

/// The most bytes of an item, including its attribute names: 400 KB.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-items>
const MAX_ITEM_BYTES: usize = 400 * 1024;

/// Refuses attributes that take more than 400 KB even by the lower bound. DynamoDB refuses an item that only its exact size makes
/// too large.
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

/// A lower bound for the bytes that these attributes take.
pub(crate) fn least_bytes<'a>(attributes: impl Iterator<Item = (&'a str, &'a AttributeValue)>) -> usize {
    attributes.map(|(name, value)| name.len() + least_size(value)).sum()
}

/// A lower bound for the bytes of one value. A number counts as one byte, although its exact size depends on its digits.
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
