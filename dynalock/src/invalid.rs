//! What is wrong with a call or with its data, before anybody asks for which table. Nothing was sent.

/// Becomes an [`Error`](crate::Error) when the table is named.
#[derive(Debug)]
pub enum Invalid {
    /// An item does not fit its struct, or a struct does not fit DynamoDB. Without an attribute where none is known.
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
