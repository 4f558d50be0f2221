//! The expectation of a write: the version that the stored item must have, or that no item is stored.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::item::invalid::Invalid;
use crate::item::schema::Schema;
use crate::item::{Item, StoredVersion};
use crate::write::placeholders::Placeholders;

/// The state of the stored item under which DynamoDB applies a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expectation {
    /// No item is stored.
    Absent,
    /// An item at this version, 1 or more.
    Version(u64),
    /// An item without a version: the attribute is absent, NULL or 0.
    Unversioned,
    /// As `Unversioned`, but only in the form that was read.
    AsRead(StoredVersion),
}

impl Expectation {
    /// The expectation of a write of an object at `version`.
    pub(crate) fn version(version: u64) -> Self {
        match version {
            0 => Self::Unversioned,
            version => Self::Version(version),
        }
    }

    /// The expectation of a write that follows a read. `found` is the item that was read, or `None` if there was none.
    pub(crate) fn from_read(found: Option<&Item>, schema: &Schema) -> Result<Self, Invalid> {
        let Some(item) = found else { return Ok(Self::Absent) };
        let version = StoredVersion::read(item, schema)?;
        Ok(match version.number() {
            0 => Self::AsRead(version),
            version => Self::Version(version),
        })
    }

    /// The expected version; 0 if no item or no version is expected.
    pub(crate) fn number(self) -> u64 {
        match self {
            Self::Version(version) => version,
            _ => 0,
        }
    }

    /// Whether a stored item with this version is as expected.
    pub(crate) fn is_met_by(self, stored: StoredVersion) -> bool {
        match self {
            Self::Absent => false,
            Self::Version(version) => stored == StoredVersion::Number(version),
            Self::Unversioned => stored.number() == 0,
            Self::AsRead(read) => stored == read,
        }
    }

    /// The expectation as a condition expression.
    pub(crate) fn render(self, schema: &Schema, placeholders: &mut Placeholders) -> String {
        // The partition key is in every item, so `attribute_exists` of it asks whether an item is stored.
        // https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ConditionExpressions.html
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
            // `Absent` has returned above.
            Self::Absent | Self::Unversioned => {
                placeholders.value(":_v", number(0));
                placeholders.value(":_n", null);
                "attribute_exists(#_k) AND (attribute_not_exists(#_v) OR #_v=:_v OR attribute_type(#_v,:_n))"
                    .into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> AttributeValue {
        AttributeValue::S(value.into())
    }

    fn number(value: &str) -> AttributeValue {
        AttributeValue::N(value.into())
    }

    #[test]
    fn an_expectation_has_the_number_of_its_version_or_0() {
        assert_eq!(Expectation::version(7).number(), 7);
        for without in
            [Expectation::version(0), Expectation::Absent, Expectation::AsRead(StoredVersion::Null)]
        {
            assert_eq!(without.number(), 0, "{without:?}");
        }
    }

    /// An expectation, its expression, and the names and values of its placeholders.
    type Case<'a> = (Expectation, &'a str, &'a [(&'a str, &'a str)], Vec<(&'a str, AttributeValue)>);

    #[test]
    fn each_expectation_has_its_expression() {
        use StoredVersion::{Absent, Null, Number};
        let legacy =
            "attribute_exists(#_k) AND (attribute_not_exists(#_v) OR #_v=:_v OR attribute_type(#_v,:_n))";
        let key = ("#_k", "id");
        let version = ("#_v", "version");
        let null = (":_n", text("NULL"));
        let cases: [Case<'_>; 6] = [
            (Expectation::Absent, "attribute_not_exists(#_k)", &[key], vec![]),
            (Expectation::Version(7), "#_v=:_v", &[version], vec![(":_v", number("7"))]),
            (Expectation::Unversioned, legacy, &[key, version], vec![(":_v", number("0")), null.clone()]),
            (
                Expectation::AsRead(Absent),
                "attribute_exists(#_k) AND attribute_not_exists(#_v)",
                &[key, version],
                vec![],
            ),
            (Expectation::AsRead(Null), "attribute_type(#_v,:_n)", &[version], vec![null]),
            (Expectation::AsRead(Number(0)), "#_v=:_v", &[version], vec![(":_v", number("0"))]),
        ];
        for (expect, expected, names, values) in cases {
            let mut placeholders = Placeholders::default();
            assert_eq!(expect.render(Schema::EXAMPLE, &mut placeholders), expected);
            let owned = |(placeholder, name): &(&str, &str)| (placeholder.to_string(), name.to_string());
            assert_eq!(placeholders.names, names.iter().map(owned).collect(), "{expect:?}");
            let values = values.into_iter().map(|(placeholder, value)| (placeholder.to_owned(), value));
            assert_eq!(placeholders.values, values.collect(), "{expect:?}");
        }
    }

    #[test]
    fn an_expectation_is_met_by_exactly_the_versions_that_its_expression_lets_through() {
        use StoredVersion::{Absent, Null, Number};
        let stored = [Absent, Null, Number(0), Number(1), Number(7)];
        let met = |expectation: Expectation| stored.map(|version| expectation.is_met_by(version));
        assert_eq!(met(Expectation::Absent), [false; 5]);
        assert_eq!(met(Expectation::Unversioned), [true, true, true, false, false]);
        assert_eq!(met(Expectation::Version(7)), [false, false, false, false, true]);
        assert_eq!(met(Expectation::AsRead(Absent)), [true, false, false, false, false]);
        assert_eq!(met(Expectation::AsRead(Null)), [false, true, false, false, false]);
        assert_eq!(met(Expectation::AsRead(Number(0))), [false, false, true, false, false]);
        assert_eq!(
            (Expectation::version(0), Expectation::version(7)),
            (Expectation::Unversioned, Expectation::Version(7))
        );
    }
}
