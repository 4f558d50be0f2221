//! One conditional write as plain data, and what its refusal means

pub(crate) mod changes;
pub(crate) mod condition;
pub(crate) mod draft;
pub(crate) mod expectation;
pub(crate) mod intent;
pub(crate) mod placeholders;
pub(crate) mod stamp;
pub(crate) mod verdict;

use std::collections::HashMap;
use std::fmt;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::delete_item::builders::DeleteItemFluentBuilder;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
    Update,
};

use crate::item::{Item, size};
use crate::write::intent::{Intent, Operation};
use crate::write::placeholders::Placeholders;

/// A write that DynamoDB applies only if the stored item is still as expected.
///
/// The `.._write()` methods of [`Versioned`](crate::Versioned) build it. It holds no client, and is exactly what
/// [`Table`](crate::Table) sends for the call of the same name. Use it to send requests yourself: alone, through the SDK's
/// fluent builders, or as one action of a transaction.
///
/// **dynalock neither retries a write that you send yourself nor judges its refusal.** If a reply is lost, the SDK sends the
/// request again, and the second copy fails its check although the first was applied. Only [`Table`](crate::Table)
/// distinguishes this from a conflict. The version field of the object is not raised either. Once the write is applied, the
/// item has the version [`next_version`](Self::next_version).
#[derive(Clone)]
#[must_use = "a write does nothing until it is sent"]
pub struct ConditionalWrite {
    intent: Intent,
    action: Action,
    condition: String,
    placeholders: Placeholders,
}

/// The operation of a write, with the data that it sends apart from its condition.
#[derive(Clone)]
enum Action {
    Put { item: Item },
    Update { key: Item, expression: String },
    Delete { key: Item },
    Check { key: Item },
}

impl Action {
    fn operation(&self) -> Operation {
        match self {
            Self::Put { .. } => Operation::PutItem,
            Self::Update { .. } => Operation::UpdateItem,
            Self::Delete { .. } => Operation::DeleteItem,
            Self::Check { .. } => Operation::ConditionCheck,
        }
    }
}

/// What DynamoDB returns with a failed check.
type OnFailure = Option<ReturnValuesOnConditionCheckFailure>;

/// Asks for the stored item with a failed check, since a verdict on the check needs it.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_PutItem.html>
const RETURN_ITEM: OnFailure = Some(ReturnValuesOnConditionCheckFailure::AllOld);

/// Sets on one of the SDK's builders the condition of a write, and what DynamoDB returns if the condition fails.
macro_rules! conditional {
    ($write:ident, $on_failure:ident, $builder:expr) => {{
        let Placeholders { names, values } = $write.placeholders;
        $builder
            .condition_expression($write.condition)
            .set_expression_attribute_names(Some(names))
            // DynamoDB refuses a request with an empty map of values.
            .set_expression_attribute_values(Some(values).filter(|values| !values.is_empty()))
            .set_return_values_on_condition_check_failure($on_failure)
    }};
}

impl ConditionalWrite {
    /// The version that the item has once this write is applied; `None` for a delete or a check.
    #[must_use]
    pub fn next_version(&self) -> Option<u64> {
        self.intent.next_version
    }

    /// The condition expression.
    #[must_use]
    pub fn condition_expression(&self) -> &str {
        &self.condition
    }

    /// The update expression; `None` unless the write is an `UpdateItem`.
    #[must_use]
    pub fn update_expression(&self) -> Option<&str> {
        match &self.action {
            Action::Update { expression, .. } => Some(expression),
            _ => None,
        }
    }

    /// The attribute names that the `#` placeholders of both expressions stand for.
    #[must_use]
    pub fn names(&self) -> &HashMap<String, String> {
        &self.placeholders.names
    }

    /// The values that the `:` placeholders of both expressions stand for.
    #[must_use]
    pub fn values(&self) -> &HashMap<String, AttributeValue> {
        &self.placeholders.values
    }

    pub(crate) fn intent(&self) -> Intent {
        self.intent
    }

    /// The key of the item.
    pub(crate) fn key(&self) -> Item {
        match &self.action {
            Action::Update { key, .. } | Action::Delete { key } | Action::Check { key } => key.clone(),
            Action::Put { item } => {
                let keys = self.intent.schema.key_attributes();
                let entry = |name: &str| item.get(name).map(|value| (name.to_owned(), value.clone()));
                keys.filter_map(|key| entry(key.name)).collect()
            }
        }
    }

    /// A lower bound for the bytes that this write adds to a transaction.
    pub(crate) fn least_bytes(&self) -> usize {
        let item = match &self.action {
            Action::Put { item } => item,
            Action::Update { .. } => &self.placeholders.values,
            Action::Delete { key } | Action::Check { key } => key,
        };
        size::least_bytes(item.values().map(|value| ("", value)))
    }

    /// This write as a `PutItem`; `None` unless it is a create or a replace.
    pub fn put_item(&self, client: &Client, table: impl Into<String>) -> Option<PutItemFluentBuilder> {
        self.clone().into_put_item(client, table.into(), RETURN_ITEM)
    }

    pub(crate) fn into_put_item(
        self,
        client: &Client,
        table: String,
        on_failure: OnFailure,
    ) -> Option<PutItemFluentBuilder> {
        let Action::Put { item } = self.action else { return None };
        Some(conditional!(self, on_failure, client.put_item().table_name(table).set_item(Some(item))))
    }

    /// This write as an `UpdateItem`; `None` unless it is a save or a touch.
    pub fn update_item(&self, client: &Client, table: impl Into<String>) -> Option<UpdateItemFluentBuilder> {
        self.clone().into_update_item(client, table.into(), RETURN_ITEM)
    }

    pub(crate) fn into_update_item(
        self,
        client: &Client,
        table: String,
        on_failure: OnFailure,
    ) -> Option<UpdateItemFluentBuilder> {
        let Action::Update { key, expression } = self.action else { return None };
        Some(conditional!(
            self,
            on_failure,
            client.update_item().table_name(table).set_key(Some(key)).update_expression(expression)
        ))
    }

    /// This write as a `DeleteItem`; `None` unless it is a delete.
    pub fn delete_item(&self, client: &Client, table: impl Into<String>) -> Option<DeleteItemFluentBuilder> {
        self.clone().into_delete_item(client, table.into(), RETURN_ITEM)
    }

    pub(crate) fn into_delete_item(
        self,
        client: &Client,
        table: String,
        on_failure: OnFailure,
    ) -> Option<DeleteItemFluentBuilder> {
        let Action::Delete { key } = self.action else { return None };
        Some(conditional!(self, on_failure, client.delete_item().table_name(table).set_key(Some(key))))
    }

    /// This write as one action of a `TransactWriteItems`.
    #[must_use]
    pub fn transact_write_item(&self, table: impl Into<String>) -> TransactWriteItem {
        self.clone().into_transact_write_item(table.into(), RETURN_ITEM)
    }

    pub(crate) fn into_transact_write_item(self, table: String, on_failure: OnFailure) -> TransactWriteItem {
        let action = TransactWriteItem::builder();
        // `build` fails only if a required member is missing. Every one is set, so `ok` discards no error.
        match self.action {
            Action::Put { item } => {
                let put = Put::builder().table_name(table).set_item(Some(item));
                action.set_put(conditional!(self, on_failure, put).build().ok())
            }
            Action::Update { key, expression } => {
                let update =
                    Update::builder().table_name(table).set_key(Some(key)).update_expression(expression);
                action.set_update(conditional!(self, on_failure, update).build().ok())
            }
            Action::Delete { key } => {
                let delete = Delete::builder().table_name(table).set_key(Some(key));
                action.set_delete(conditional!(self, on_failure, delete).build().ok())
            }
            Action::Check { key } => {
                let check = ConditionCheck::builder().table_name(table).set_key(Some(key));
                action.set_condition_check(conditional!(self, on_failure, check).build().ok())
            }
        }
        .build()
    }
}

/// Shows the expressions and the attribute names, but no values.
impl fmt::Debug for ConditionalWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConditionalWrite")
            .field("operation", &self.intent.operation)
            .field("condition", &self.condition)
            .field("update", &self.update_expression())
            .field("names", &self.placeholders.names)
            .field("next_version", &self.intent.next_version)
            .finish_non_exhaustive()
    }
}
