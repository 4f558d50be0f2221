//! What the `#` and `:` placeholders of an expression stand for, and how long an expression may be.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::item::Item;
use crate::item::invalid::Invalid;

/// Placeholders that begin with this, after their `#` or `:`, are ours. A caller's condition may not use them.
pub(crate) const RESERVED_PREFIX: char = '_';

/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-expression-parameters>
const MAX_EXPRESSION_BYTES: usize = 4096;

/// The names and values that the placeholders of an expression stand for.
#[derive(Clone, Default)]
pub(crate) struct Placeholders {
    pub(crate) names: HashMap<String, String>,
    pub(crate) values: Item,
}

impl Placeholders {
    pub(crate) fn name(&mut self, placeholder: impl Into<String>, attribute: &str) {
        self.names.insert(placeholder.into(), attribute.to_owned());
    }

    pub(crate) fn value(&mut self, placeholder: impl Into<String>, value: AttributeValue) {
        self.values.insert(placeholder.into(), value);
    }
}

/// Refuses expressions that DynamoDB would refuse for their length.
pub(crate) fn check_length(kind: &str, expression: &str) -> Result<(), Invalid> {
    let bytes = expression.len();
    if bytes > MAX_EXPRESSION_BYTES {
        let problem = format!(
            "the {kind} expression takes {bytes} bytes, but DynamoDB allows {MAX_EXPRESSION_BYTES}; write fewer \
             attributes at once, keep some of them in a map, or use `replace`"
        );
        return Err(Invalid::request(problem));
    }
    Ok(())
}
