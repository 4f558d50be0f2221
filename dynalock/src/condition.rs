//! What a write expects of the stored item: its version, and what the caller adds to that.

use std::collections::HashSet;
use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::expression::{Placeholders, RESERVED_PREFIX, check_length};
use crate::item::{self, StoredVersion};
use crate::schema::Schema;

/// A condition expression that must hold beside the version check.
///
/// ```
/// use dynalock::Condition;
///
/// let enough = Condition::new("#b >= :least").name("#b", "balance").value(":least", 10);
/// ```
///
/// The expression is DynamoDB's own, see
/// [condition expressions](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ConditionExpressions.html).
/// Placeholders that begin with `#_` or `:_` are reserved. A condition with a reserved, missing, unused or contradicting
/// placeholder, or with unbalanced parentheses, is refused with [`Error::InvalidRequest`] before anything is sent.
#[derive(Clone)]
#[must_use = "a condition does nothing until a call takes it"]
pub struct Condition {
    /// What was joined with AND, each part without parentheses around it.
    parts: Vec<String>,
    placeholders: Placeholders,
    contradiction: Option<String>,
}

impl Condition {
    /// A condition from a condition expression.
    pub fn new(expression: impl Into<String>) -> Self {
        let expression = without_outer_parentheses(&expression.into()).to_owned();
        Self { parts: vec![expression], placeholders: Placeholders::default(), contradiction: None }
    }

    /// Lets `placeholder`, such as `#s`, stand for the attribute `name`.
    pub fn name(mut self, placeholder: impl Into<String>, name: impl Into<String>) -> Self {
        self.add_name(placeholder.into(), &name.into());
        self
    }

    /// Lets `placeholder`, such as `:min`, stand for `value`, in the form that serde gives it.
    pub fn value(mut self, placeholder: impl Into<String>, value: impl Serialize) -> Self {
        let placeholder = placeholder.into();
        match item::value(&value) {
            Some(value) => self.add_value(placeholder, value),
            None => {
                let problem = format!("the value for {placeholder} has no form in DynamoDB");
                self.contradiction.get_or_insert(problem);
            }
        }
        self
    }

    /// Both conditions must hold. They may share placeholders that stand for the same.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.parts.extend(other.parts);
        for (placeholder, name) in other.placeholders.names {
            self.add_name(placeholder, &name);
        }
        for (placeholder, value) in other.placeholders.values {
            self.add_value(placeholder, value);
        }
        self.contradiction = self.contradiction.or(other.contradiction);
        self
    }

    fn add_name(&mut self, placeholder: String, name: &str) {
        match self.placeholders.names.get(&placeholder) {
            Some(other) if other != name => self.contradict(&placeholder),
            _ => self.placeholders.name(placeholder, name),
        }
    }

    fn add_value(&mut self, placeholder: String, value: AttributeValue) {
        match self.placeholders.values.get(&placeholder) {
            Some(other) if *other != value => self.contradict(&placeholder),
            _ => self.placeholders.value(placeholder, value),
        }
    }

    fn contradict(&mut self, placeholder: &str) {
        self.contradiction.get_or_insert(format!("{placeholder} stands for two different things"));
    }

    /// Says what DynamoDB would refuse, and what could undo the version check.
    fn check(&self) -> Result<(), String> {
        if let Some(contradiction) = &self.contradiction {
            return Err(contradiction.clone());
        }
        let mut unused: HashSet<&str> = HashSet::new();
        unused.extend(self.placeholders.names.keys().map(String::as_str));
        unused.extend(self.placeholders.values.keys().map(String::as_str));
        let given = unused.clone();
        if let Some(placeholder) = given.iter().find(|placeholder| is_reserved(placeholder)) {
            return Err(format!("{placeholder} is reserved: placeholders must not begin with #_ or :_"));
        }
        for part in &self.parts {
            if part.is_empty() {
                return Err("the expression is empty".into());
            }
            check_parentheses(part)?;
            for placeholder in placeholders_in(part) {
                unused.remove(placeholder);
                if is_reserved(placeholder) {
                    return Err(format!(
                        "{placeholder} is reserved: placeholders must not begin with #_ or :_"
                    ));
                }
                if !given.contains(placeholder) {
                    let method = if placeholder.starts_with('#') { "name" } else { "value" };
                    return Err(format!(
                        "{placeholder} stands for nothing; add `.{method}(\"{placeholder}\", ..)`"
                    ));
                }
            }
        }
        match unused.iter().min() {
            Some(placeholder) => Err(format!("{placeholder} is not used in the expression")),
            None => Ok(()),
        }
    }
}

/// Shows the expression and what its names stand for, but no values.
impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition")
            .field("expression", &self.parts.join(" AND "))
            .field("names", &self.placeholders.names)
            .finish_non_exhaustive()
    }
}

fn is_reserved(placeholder: &str) -> bool {
    placeholder.chars().nth(1) == Some(RESERVED_PREFIX)
}

/// The `#names` and `:values` in an expression. The language has no string literals that could hide one.
fn placeholders_in(expression: &str) -> impl Iterator<Item = &str> {
    expression.match_indices(['#', ':']).map(|(start, _)| {
        let rest = &expression[start + 1..];
        let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        &expression[start..=start + length]
    })
}

/// A part that closes a parenthesis it did not open could end the version check early.
fn check_parentheses(expression: &str) -> Result<(), String> {
    let mut open = 0_usize;
    for c in expression.chars() {
        match c {
            '(' => open += 1,
            ')' if open == 0 => return Err("a closing parenthesis has no opening one".into()),
            ')' => open -= 1,
            _ => {}
        }
    }
    match open {
        0 => Ok(()),
        _ => Err("an opening parenthesis is never closed".into()),
    }
}

/// Takes off parentheses that enclose the whole expression: DynamoDB refuses redundant ones, and every part gets its own.
fn without_outer_parentheses(expression: &str) -> &str {
    let expression = expression.trim();
    let Some(inner) = expression.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) else {
        return expression;
    };
    match check_parentheses(inner) {
        Ok(()) => without_outer_parentheses(inner),
        Err(_) => expression,
    }
}

/// The state of the stored item that lets a write go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// No item.
    Absent,
    /// An item at this version, 1 or more.
    Version(u64),
    /// An item from before there was a version: none, NULL or 0.
    Unversioned,
    /// As `Unversioned`, but just as it was read.
    AsRead(StoredVersion),
}

impl Expect {
    /// What a write of an object at `version` expects.
    pub(crate) fn version(version: u64) -> Self {
        match version {
            0 => Self::Unversioned,
            version => Self::Version(version),
        }
    }

    /// The version as a number; 0 where none is expected.
    pub(crate) fn number(self) -> u64 {
        match self {
            Self::Version(version) => version,
            _ => 0,
        }
    }

    /// Whether a stored item with this version is what was expected.
    pub(crate) fn meets(self, stored: StoredVersion) -> bool {
        match self {
            Self::Absent => false,
            Self::Version(version) => stored == StoredVersion::Number(version),
            Self::Unversioned => stored.number() == 0,
            Self::AsRead(read) => stored == read,
        }
    }

    fn render(self, schema: &Schema, placeholders: &mut Placeholders) -> String {
        let mut key = || placeholders.name("#_k", schema.partition_key.name);
        match self {
            Self::Absent => {
                key();
                return "attribute_not_exists(#_k)".into();
            }
            Self::Unversioned | Self::AsRead(StoredVersion::Absent) => key(),
            Self::Version(_) | Self::AsRead(_) => {}
        }
        placeholders.name("#_v", schema.version);
        let null = AttributeValue::S("NULL".into());
        let number = |number: u64| AttributeValue::N(number.to_string());
        match self {
            Self::Version(version) | Self::AsRead(StoredVersion::Number(version)) => {
                placeholders.value(":_v", number(version));
                "#_v=:_v".into()
            }
            Self::AsRead(StoredVersion::Null) => {
                placeholders.value(":_n", null);
                "attribute_type(#_v,:_n)".into()
            }
            Self::AsRead(StoredVersion::Absent) => {
                "attribute_exists(#_k) AND attribute_not_exists(#_v)".into()
            }
            Self::Absent | Self::Unversioned => {
                placeholders.value(":_v", number(0));
                placeholders.value(":_n", null);
                "attribute_exists(#_k) AND (attribute_not_exists(#_v) OR #_v=:_v OR attribute_type(#_v,:_n))"
                    .into()
            }
        }
    }
}

/// The condition expression of a write.
pub(crate) fn render(
    expect: Expect,
    extra: Option<&Condition>,
    schema: &Schema,
    placeholders: &mut Placeholders,
) -> Result<String> {
    let mut expression = expect.render(schema, placeholders);
    if let Some(extra) = extra {
        extra.check().map_err(|problem| Error::request(format!("condition: {problem}")))?;
        for part in &extra.parts {
            expression.push_str(" AND (");
            expression.push_str(part);
            expression.push(')');
        }
        let Placeholders { names, values } = extra.placeholders.clone();
        placeholders.names.extend(names);
        placeholders.values.extend(values);
        check_length("condition", &expression)?;
    }
    Ok(expression)
}
