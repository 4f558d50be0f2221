//! Update expressions: what to set, what to remove, and the placeholders that stand for names and values.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::error::{Error, Result};
use crate::item::{Attributes, Item};
use crate::snapshot::Snapshot;

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

/// The attributes that an `UpdateItem` sets and removes, apart from the version.
#[derive(Default)]
pub(crate) struct Changes {
    set: Attributes,
    remove: Vec<Cow<'static, str>>,
}

impl Changes {
    /// Everything that the struct knows: what serde wrote is set, what it left out is removed.
    pub(crate) fn all(snapshot: Snapshot) -> Self {
        Self { remove: snapshot.left_out().collect(), set: snapshot.attributes }
    }

    /// What differs between two states of one object.
    pub(crate) fn between(before: &Snapshot, after: Snapshot) -> Self {
        let remove = before
            .attributes
            .iter()
            .filter(|(name, _)| !after.attributes.iter().any(|(kept, _)| kept == name))
            .map(|(name, _)| name.clone())
            .collect();
        let before = &before.attributes;
        // Both lists mostly have the same names in the same order, so the search starts where the last one ended.
        let mut cursor = 0;
        let mut set = after.attributes;
        set.retain(|(name, value)| {
            let at = |range: Range<usize>| {
                let start = range.start;
                before[range].iter().position(|(old, _)| old == name).map(|index| start + index)
            };
            match at(cursor..before.len()).or_else(|| at(0..cursor)) {
                Some(index) => {
                    cursor = index + 1;
                    !same(&before[index].1, value)
                }
                None => true,
            }
        });
        Self { set, remove }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty()
    }

    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&str, &AttributeValue)> {
        self.set.iter().map(|(name, value)| (&**name, value))
    }

    /// The update expression that makes the changes and sets `version` to `number`.
    pub(crate) fn render(
        self,
        version: &str,
        number: u64,
        placeholders: &mut Placeholders,
    ) -> Result<String> {
        let mut expression = String::with_capacity(20 + 10 * self.set.len() + 5 * self.remove.len());
        expression.push_str("SET #_v=:_w");
        placeholders.name("#_v", version);
        placeholders.value(":_w", AttributeValue::N(number.to_string()));
        let removed_from = self.set.len();
        for (index, (name, value)) in self.set.into_iter().enumerate() {
            let _ = write!(expression, ",#_{index}=:_{index}");
            placeholders.name(format!("#_{index}"), &name);
            placeholders.value(format!(":_{index}"), value);
        }
        for (index, name) in (removed_from..).zip(self.remove) {
            expression.push_str(if index == removed_from { " REMOVE " } else { "," });
            let _ = write!(expression, "#_{index}");
            placeholders.name(format!("#_{index}"), &name);
        }
        check_length("update", &expression)?;
        Ok(expression)
    }
}

/// Refuses expressions that DynamoDB would refuse for their length.
pub(crate) fn check_length(kind: &str, expression: &str) -> Result<()> {
    let bytes = expression.len();
    if bytes > MAX_EXPRESSION_BYTES {
        let problem = format!(
            "the {kind} expression takes {bytes} bytes, but DynamoDB allows {MAX_EXPRESSION_BYTES}; write fewer \
             attributes at once, keep some of them in a map, or use `replace`"
        );
        return Err(Error::request(problem));
    }
    Ok(())
}

/// Whether two values are the same to DynamoDB, which keeps no order in sets.
fn same(one: &AttributeValue, other: &AttributeValue) -> bool {
    fn same_set<T: Clone + Ord>(one: &[T], other: &[T]) -> bool {
        let sorted = |set: &[T]| {
            let mut set = set.to_vec();
            set.sort_unstable();
            set
        };
        one == other || one.len() == other.len() && sorted(one) == sorted(other)
    }
    use AttributeValue::{Bs, L, M, Ns, Ss};
    match (one, other) {
        (Ss(one), Ss(other)) | (Ns(one), Ns(other)) => same_set(one, other),
        (Bs(one), Bs(other)) => {
            let bytes = |set: &[aws_sdk_dynamodb::primitives::Blob]| {
                set.iter().map(|blob| blob.as_ref().to_vec()).collect::<Vec<_>>()
            };
            same_set(&bytes(one), &bytes(other))
        }
        (L(one), L(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (M(one), M(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, one)| other.get(name).is_some_and(|other| same(one, other)))
        }
        _ => one == other,
    }
}
