//! The problem of a call or of its data, found before anything is sent. It does not name the table yet.

use std::borrow::Cow;
use std::fmt;

use serde::{de, ser};

/// Why a call is refused before it is sent. It becomes an [`Error`](crate::Error) once its table is known.
#[derive(Debug)]
pub enum Invalid {
    /// An item does not fit its struct, or a struct does not fit DynamoDB. `attribute` is empty if it is not known.
    Item { attribute: Box<str>, problem: Box<str> },
    /// The call cannot be carried out as asked.
    Request { problem: Box<str> },
    /// The version cannot be raised within its type.
    Overflow { attribute: &'static str, max: u64 },
}

impl Invalid {
    pub(crate) fn item(attribute: &str, problem: impl Into<Box<str>>) -> Self {
        Self::Item { attribute: attribute.into(), problem: problem.into() }
    }

    pub(crate) fn request(problem: impl Into<Box<str>>) -> Self {
        Self::Request { problem: problem.into() }
    }
}

impl From<getrandom::Error> for Invalid {
    fn from(_: getrandom::Error) -> Self {
        Self::request("the operating system returned no random bytes")
    }
}

/// An attribute and the reason why it does not fit its field. serde's own messages are dropped, since they may quote values.
#[derive(Debug)]
pub(crate) struct Unfit(pub(crate) Cow<'static, str>, pub(crate) Cow<'static, str>);

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.1)
    }
}

impl std::error::Error for Unfit {}

impl From<Unfit> for Invalid {
    fn from(Unfit(attribute, problem): Unfit) -> Self {
        Self::item(&attribute, problem)
    }
}

// Each of these methods drops the message or the value that serde passes.
impl ser::Error for Unfit {
    fn custom<M: fmt::Display>(_: M) -> Self {
        Self("".into(), "the struct's serialization failed".into())
    }
}

impl de::Error for Unfit {
    fn custom<M: fmt::Display>(_: M) -> Self {
        Self("".into(), "the item does not fit the struct".into())
    }

    fn missing_field(field: &'static str) -> Self {
        Self(field.into(), "the attribute is missing, and its field has no default".into())
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self(field.into(), "the attribute is stored twice, under its name and under an alias".into())
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self(field.to_owned().into(), "the struct has no such field, and denies unknown fields".into())
    }
}
