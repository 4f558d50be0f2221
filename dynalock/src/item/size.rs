//! How large an item is at least, and the limit for one.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::item::invalid::Invalid;

/// An item may take 400 KB, names included.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-items>
const MAX_ITEM_BYTES: usize = 400 * 1024;

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
