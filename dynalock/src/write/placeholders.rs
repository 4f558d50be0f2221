//! The placeholders of an expression: the names and values that `#..` and `:..` stand for, and the limit of its length.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::item::Item;
use crate::item::invalid::Invalid;

/// The first character, after `#` or `:`, of dynalock's own placeholders. A caller's condition may not use such placeholders.
pub(crate) const RESERVED_PREFIX: char = '_';

/// The most bytes of an expression that DynamoDB accepts.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-expression-parameters>
const MAX_EXPRESSION_BYTES: usize = 4096;

/// The names and values that the placeholders of an expression stand for.
#[derive(Clone, Default)]
pub(crate) struct Placeholders {
    pub(crate) names: HashMap<String, String>,
    pub(crate) values: Item,
}

impl Placeholders {
    /// Lets `placeholder` stand for the name `attribute`.
    pub(crate) fn name(&mut self, placeholder: impl Into<String>, attribute: &str) {
        self.names.insert(placeholder.into(), attribute.to_owned());
    }

    /// Lets `placeholder` stand for `value`.
    pub(crate) fn value(&mut self, placeholder: impl Into<String>, value: AttributeValue) {
        self.values.insert(placeholder.into(), value);
    }
}

/// Refuses an expression that DynamoDB would refuse for its length.
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
