//! The unknown outcome of a write, and what a later read of the item shows about it.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::error::Error;
use crate::item::Item;
use crate::write::intent::Intent;
use crate::write::verdict::was_applied;

/// A write whose outcome could not be determined in time.
///
/// A later read may still determine it: read the item, strongly consistent, and pass it to [`was_applied`](Self::was_applied).
pub struct UnknownOutcome {
    table: Box<str>,
    key: Item,
    write: Intent,
    cause: Option<Error>,
}

impl UnknownOutcome {
    pub(crate) fn new(table: &str, key: Item, write: Intent, cause: Option<Error>) -> Self {
        Self { table: table.into(), key, write, cause }
    }

    /// The error that kept the outcome unknown, if there is one.
    pub(crate) fn cause(&self) -> Option<&Error> {
        self.cause.as_ref()
    }

    /// The table that was written to.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The key of the item that was written to.
    #[must_use]
    pub fn key(&self) -> &HashMap<String, AttributeValue> {
        &self.key
    }

    /// The version that the write expected; 0 if it expected none.
    #[must_use]
    pub fn expected(&self) -> u64 {
        self.write.expectation.number()
    }

    /// The version that the item has if the write was applied; `None` for a delete.
    #[must_use]
    pub fn intended(&self) -> Option<u64> {
        self.write.next_version
    }

    /// Whether the write was applied, as far as a later read of the item shows.
    ///
    /// `Some(true)` means that it was applied, `Some(false)` that it was not and never will be, and `None` that its outcome is
    /// still unknown. For a create, alone or in a transaction, `Some(false)` means that it has not been applied so far, and
    /// [cannot be applied while that item exists](crate::guide::what_ok_means#a-late-copy-of-a-create).
    ///
    /// `stored` is the item that a strongly consistent read of the [`key`](Self::key) with the SDK returned, with every
    /// attribute. A write that is not applied yet may still be under way for minutes, so an item at the
    /// [`expected`](Self::expected) version proves nothing.
    ///
    /// ```no_run
    /// # async fn example(client: aws_sdk_dynamodb::Client, error: dynalock::Error) -> Result<(), Box<dyn std::error::Error>> {
    /// if let dynalock::Error::OutcomeUnknown(unknown) = error {
    ///     let read = client.get_item().table_name(unknown.table()).set_key(Some(unknown.key().clone()));
    ///     let item = read.consistent_read(true).send().await?.item;
    ///     match unknown.was_applied(item.as_ref()) {
    ///         Some(true) => {}  // done
    ///         Some(false) => {} // do it again
    ///         None => {}        // read again later, or ask a person
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn was_applied(&self, stored: Option<&HashMap<String, AttributeValue>>) -> Option<bool> {
        was_applied(self.write, stored)
    }
}

/// Omits the key, which is part of the item's data.
impl fmt::Debug for UnknownOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnknownOutcome")
            .field("table", &self.table)
            .field("expected", &self.expected())
            .field("intended", &self.intended())
            .field("cause", &self.cause)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for UnknownOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let change = match self.intended() {
            Some(version) => format!("version {version} was written"),
            None => "the item was deleted".to_owned(),
        };
        let cure = if self.write.is_lone_create() {
            "; `create(..).in_transaction()` is sent again after a lost reply, for twice the write units, but not in a table \
             with multi-Region strong consistency, which has no transactions"
        } else {
            ""
        };
        write!(f, "a reply from table \"{}\" was lost, and it is unknown whether {change}{cure}", self.table)
    }
}

impl StdError for UnknownOutcome {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_ref().map(|cause| cause as _)
    }
}
