//! serde's `rename_all`: how the name of a field becomes the name of an attribute.

/// A rule of `rename_all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Lower,
    Upper,
    Pascal,
    Camel,
    Snake,
    ScreamingSnake,
    Kebab,
    ScreamingKebab,
}

impl Case {
    /// The rule that serde knows under this name.
    pub(crate) fn named(rule: &str) -> Option<Self> {
        Some(match rule {
            "lowercase" => Self::Lower,
            "UPPERCASE" => Self::Upper,
            "PascalCase" => Self::Pascal,
            "camelCase" => Self::Camel,
            "snake_case" => Self::Snake,
            "SCREAMING_SNAKE_CASE" => Self::ScreamingSnake,
            "kebab-case" => Self::Kebab,
            "SCREAMING-KEBAB-CASE" => Self::ScreamingKebab,
            _ => return None,
        })
    }

    /// The attribute name of a field. Like serde, this assumes that fields are written in snake case.
    pub(crate) fn apply(self, field: &str) -> String {
        match self {
            Self::Lower | Self::Snake => field.to_owned(),
            Self::Upper | Self::ScreamingSnake => field.to_ascii_uppercase(),
            Self::Pascal => pascal(field),
            Self::Camel => {
                let mut name = pascal(field);
                if let Some(first) = name.get_mut(..1) {
                    first.make_ascii_lowercase();
                }
                name
            }
            Self::Kebab => field.replace('_', "-"),
            Self::ScreamingKebab => field.to_ascii_uppercase().replace('_', "-"),
        }
    }
}

fn pascal(field: &str) -> String {
    let mut name = String::with_capacity(field.len());
    for word in field.split('_') {
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields that serde's own tests use, in the order of `RULES`.
    const FIELDS: &[(&str, [&str; 8])] = &[
        ("outcome", ["outcome", "OUTCOME", "Outcome", "outcome", "outcome", "OUTCOME", "outcome", "OUTCOME"]),
        (
            "very_tasty",
            [
                "very_tasty",
                "VERY_TASTY",
                "VeryTasty",
                "veryTasty",
                "very_tasty",
                "VERY_TASTY",
                "very-tasty",
                "VERY-TASTY",
            ],
        ),
        ("a", ["a", "A", "A", "a", "a", "A", "a", "A"]),
        ("z42", ["z42", "Z42", "Z42", "z42", "z42", "Z42", "z42", "Z42"]),
        (
            "_stale__at_",
            [
                "_stale__at_",
                "_STALE__AT_",
                "StaleAt",
                "staleAt",
                "_stale__at_",
                "_STALE__AT_",
                "-stale--at-",
                "-STALE--AT-",
            ],
        ),
        ("ownerID", ["ownerID", "OWNERID", "OwnerID", "ownerID", "ownerID", "OWNERID", "ownerID", "OWNERID"]),
    ];

    const RULES: [&str; 8] = [
        "lowercase",
        "UPPERCASE",
        "PascalCase",
        "camelCase",
        "snake_case",
        "SCREAMING_SNAKE_CASE",
        "kebab-case",
        "SCREAMING-KEBAB-CASE",
    ];

    #[test]
    fn every_rule_renames_a_field_as_serde_does() {
        for (field, names) in FIELDS {
            for (rule, name) in RULES.iter().zip(names) {
                let case = Case::named(rule).unwrap_or_else(|| panic!("{rule} is a rule"));
                assert_eq!(case.apply(field), *name, "{rule} of {field}");
            }
        }
    }

    #[test]
    fn a_name_without_letters_of_ascii_survives_every_rule() {
        for rule in RULES {
            let case = Case::named(rule).unwrap_or_else(|| panic!("{rule} is a rule"));
            for field in ["ä", "_", "日本"] {
                let _ = case.apply(field);
            }
        }
    }

    #[test]
    fn a_rule_that_serde_does_not_know_is_none() {
        for rule in ["", "camel_case", "CamelCase", "Title Case", "SNAKE_CASE"] {
            assert_eq!(Case::named(rule), None, "{rule}");
        }
    }
}
