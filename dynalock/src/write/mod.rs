//! One conditional write as plain data, and what its refusal means

pub(crate) mod changes;
pub(crate) mod condition;
pub(crate) mod draft;
pub(crate) mod expectation;
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

use crate::item::Item;
use crate::item::invalid::Invalid;
use crate::item::schema::Schema;
use crate::item::size;
use crate::item::snapshot::Snapshot;
use crate::write::changes::Changes;
use crate::write::condition::{Condition, Terms};
use crate::write::expectation::Expect;
use crate::write::placeholders::Placeholders;
use crate::write::stamp::Stamp;

/// A write that goes through only if the stored item is still as expected.
///
/// It comes from the `.._write()` methods of [`Versioned`](crate::Versioned), holds no client, and is exactly what
/// [`Table`](crate::Table) sends for the call of the same name. Use it where you send requests yourself: alone, through
/// the SDK's fluent builders, or as part of a transaction.
///
/// **Sent by hand it has no retry and no verdict.** If a reply is lost, the SDK sends the request again and the second one
/// fails its check although the first was applied; only [`Table`](crate::Table) tells these apart. The object's version
/// field is not raised either: it has the version [`next_version`](Self::next_version) once the write went through.
#[derive(Clone)]
#[must_use = "a write does nothing until it is sent"]
pub struct ConditionalWrite {
    intent: Intent,
    action: Action,
    condition: String,
    placeholders: Placeholders,
}

/// What a write is about: all that is needed to judge what became of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Intent {
    pub(crate) schema: &'static Schema,
    pub(crate) operation: Operation,
    pub(crate) expect: Expect,
    /// The version that the item has once the write went through.
    pub(crate) next_version: Option<u64>,
    /// What the item then keeps of this write.
    pub(crate) stamp: Option<Stamp>,
    /// Whether the caller added a condition.
    pub(crate) is_conditional: bool,
    /// Whether it is part of a transaction, which DynamoDB recognizes by a token.
    pub(crate) has_token: bool,
}

impl Intent {
    /// Whether it is a create that is sent for itself. No version fences it: a copy is applied again once others have deleted
    /// the item.
    pub(crate) fn is_lone_create(&self) -> bool {
        self.expect == Expect::Absent && self.operation == Operation::PutItem && !self.has_token
    }
}

#[derive(Clone)]
enum Action {
    Put { item: Item },
    Update { key: Item, expression: String },
    Delete { key: Item },
    Check { key: Item },
}

/// Which DynamoDB operation carries a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    PutItem,
    UpdateItem,
    DeleteItem,
    ConditionCheck,
}

impl Operation {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PutItem => "PutItem",
            Self::UpdateItem => "UpdateItem",
            Self::DeleteItem => "DeleteItem",
            Self::ConditionCheck => "ConditionCheck",
        }
    }
}

/// What a failed check returns.
type Told = Option<ReturnValuesOnConditionCheckFailure>;

const TOLD: Told = Some(ReturnValuesOnConditionCheckFailure::AllOld);

/// Microseconds since 1970, asked for only where a schema starts with the clock.
pub(crate) trait Now: Fn() -> u64 {}
impl<F: Fn() -> u64> Now for F {}

/// A fresh stamp for a write that makes `version`; `None` where the struct keeps none.
fn draw(schema: &Schema, version: u64) -> Result<Option<Stamp>, Invalid> {
    (schema.stamps > 0).then(|| Stamp::draw(version)).transpose()
}

/// Gives one of the SDK's builders the condition of a write, and what to return if it fails. An empty map of values would be
/// refused.
macro_rules! conditional {
    ($write:ident, $told:ident, $builder:expr) => {{
        let Placeholders { names, values } = $write.placeholders;
        $builder
            .condition_expression($write.condition)
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values).filter(|values| !values.is_empty()))
            .set_return_values_on_condition_check_failure($told)
    }};
}

/// What a call does to an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Stores a new item.
    Create,
    /// Sets every attribute that the struct knows, and removes those that serde left out.
    Save,
    /// Stores the object, and drops attributes that its struct doesn't know.
    Replace,
    /// Raises the version and changes nothing else.
    Touch,
    /// Removes the item.
    Delete,
    /// Changes nothing, but lets a transaction fail if the item is no longer as it was read.
    Check,
}

impl Kind {
    /// The name of the call.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Save => "save",
            Self::Replace => "replace",
            Self::Touch => "touch",
            Self::Delete => "delete",
            Self::Check => "check",
        }
    }
}

impl ConditionalWrite {
    /// Does `kind` to the item of `object`, if the stored version is the object's.
    pub(crate) fn of(
        kind: Kind,
        object: Snapshot,
        extra: Option<&Condition>,
        now: impl Now,
    ) -> Result<Self, Invalid> {
        let schema = object.schema;
        let expect = match kind {
            Kind::Create => Expect::Absent,
            _ => Expect::version(object.version()?),
        };
        let terms = Terms { schema, expect, extra };
        match kind {
            Kind::Create => {
                let version = object.first_version(now)?;
                Self::put(terms, object.into_item(), version)
            }
            Kind::Replace => {
                let version = object.next_version(now)?;
                Self::put(terms, object.into_item(), version)
            }
            Kind::Save => {
                let (version, key) = (object.next_version(now)?, object.key.clone());
                Self::change(terms, key, Changes::all(object), version)
            }
            Kind::Touch => {
                let version = object.next_version(now)?;
                Self::change(terms, object.key, Changes::default(), version)
            }
            Kind::Delete => Self::delete(terms, object.key),
            Kind::Check => Self::check(terms, object.key),
        }
    }

    /// Removes the item under `key`.
    pub(crate) fn delete(terms: Terms<'_>, key: Item) -> Result<Self, Invalid> {
        Self::new(terms, Action::Delete { key }, None, None, Placeholders::default())
    }

    /// Changes nothing, but lets a transaction fail unless the item under `key` is as expected.
    pub(crate) fn check(terms: Terms<'_>, key: Item) -> Result<Self, Invalid> {
        Self::new(terms, Action::Check { key }, None, None, Placeholders::default())
    }

    /// Stores `item` at `version`.
    pub(crate) fn put(terms: Terms<'_>, mut item: Item, version: u64) -> Result<Self, Invalid> {
        let schema = terms.schema;
        item.insert(schema.version.to_owned(), AttributeValue::N(version.to_string()));
        let stamp = draw(schema, version)?;
        item.extend(stamp.map(|stamp| (stamp.slot(schema.step, schema.stamps).to_owned(), stamp.value())));
        size::check_size(item.iter().map(|(name, value)| (name.as_str(), value)))?;
        Self::new(terms, Action::Put { item }, Some(version), stamp, Placeholders::default())
    }

    /// Makes `changes` in the item under `key` and raises it to `version`.
    pub(crate) fn change(
        terms: Terms<'_>,
        key: Item,
        changes: Changes,
        version: u64,
    ) -> Result<Self, Invalid> {
        let schema = terms.schema;
        size::check_size(changes.attributes())?;
        let mut placeholders = Placeholders::default();
        let stamp = draw(schema, version)?;
        let slot = stamp.map(|stamp| (stamp.slot(schema.step, schema.stamps), stamp.value()));
        let expression = changes.render((schema.version, version), slot, &mut placeholders)?;
        Self::new(terms, Action::Update { key, expression }, Some(version), stamp, placeholders)
    }

    fn new(
        terms: Terms<'_>,
        action: Action,
        next_version: Option<u64>,
        stamp: Option<Stamp>,
        mut placeholders: Placeholders,
    ) -> Result<Self, Invalid> {
        let condition = terms.render(&mut placeholders)?;
        let operation = match action {
            Action::Put { .. } => Operation::PutItem,
            Action::Update { .. } => Operation::UpdateItem,
            Action::Delete { .. } => Operation::DeleteItem,
            Action::Check { .. } => Operation::ConditionCheck,
        };
        let Terms { schema, expect, extra } = terms;
        let is_conditional = extra.is_some();
        let intent =
            Intent { schema, operation, expect, next_version, stamp, is_conditional, has_token: false };
        Ok(Self { intent, action, condition, placeholders })
    }

    /// The version that the item has once this write went through; `None` for a delete or a check.
    #[must_use]
    pub fn next_version(&self) -> Option<u64> {
        self.intent.next_version
    }

    /// The condition expression.
    #[must_use]
    pub fn condition_expression(&self) -> &str {
        &self.condition
    }

    /// The update expression; `None` for writes that are no `UpdateItem`.
    #[must_use]
    pub fn update_expression(&self) -> Option<&str> {
        match &self.action {
            Action::Update { expression, .. } => Some(expression),
            _ => None,
        }
    }

    /// What the `#` placeholders of both expressions stand for.
    #[must_use]
    pub fn names(&self) -> &HashMap<String, String> {
        &self.placeholders.names
    }

    /// What the `:` placeholders of both expressions stand for.
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
                let attributes = self.intent.schema.key_attributes();
                let of = |name: &str| item.get(name).map(|value| (name.to_owned(), value.clone()));
                attributes.filter_map(|attribute| of(attribute.name)).collect()
            }
        }
    }

    /// How many bytes it adds to a transaction at least.
    pub(crate) fn least_bytes(&self) -> usize {
        let item = match &self.action {
            Action::Put { item } => item,
            Action::Update { .. } => &self.placeholders.values,
            Action::Delete { key } | Action::Check { key } => key,
        };
        size::least_bytes(item.values().map(|value| ("", value)))
    }

    /// This write as a `PutItem`. If it is none, the builder stays without table and item, and sending it fails.
    pub fn put_item(&self, client: &Client, table: impl Into<String>) -> PutItemFluentBuilder {
        self.clone().into_put_item(client, table.into(), TOLD)
    }

    pub(crate) fn into_put_item(self, client: &Client, table: String, told: Told) -> PutItemFluentBuilder {
        let builder = client.put_item();
        let Action::Put { item } = self.action else { return builder };
        conditional!(self, told, builder.table_name(table).set_item(Some(item)))
    }

    /// This write as an `UpdateItem`. If it is none, the builder stays without table and key, and sending it fails.
    pub fn update_item(&self, client: &Client, table: impl Into<String>) -> UpdateItemFluentBuilder {
        self.clone().into_update_item(client, table.into(), TOLD)
    }

    pub(crate) fn into_update_item(
        self,
        client: &Client,
        table: String,
        told: Told,
    ) -> UpdateItemFluentBuilder {
        let builder = client.update_item();
        let Action::Update { key, expression } = self.action else { return builder };
        conditional!(self, told, builder.table_name(table).set_key(Some(key)).update_expression(expression))
    }

    /// This write as a `DeleteItem`. If it is none, the builder stays without table and key, and sending it fails.
    pub fn delete_item(&self, client: &Client, table: impl Into<String>) -> DeleteItemFluentBuilder {
        self.clone().into_delete_item(client, table.into(), TOLD)
    }

    pub(crate) fn into_delete_item(
        self,
        client: &Client,
        table: String,
        told: Told,
    ) -> DeleteItemFluentBuilder {
        let builder = client.delete_item();
        let Action::Delete { key } = self.action else { return builder };
        conditional!(self, told, builder.table_name(table).set_key(Some(key)))
    }

    /// This write as one action of a `TransactWriteItems`.
    #[must_use]
    pub fn transact_write_item(&self, table: impl Into<String>) -> TransactWriteItem {
        self.clone().into_transact_write_item(table.into(), TOLD)
    }

    pub(crate) fn into_transact_write_item(self, table: String, told: Told) -> TransactWriteItem {
        let action = TransactWriteItem::builder();
        // Every required member is set, so no build fails.
        match self.action {
            Action::Put { item } => {
                let put = Put::builder().table_name(table).set_item(Some(item));
                action.set_put(conditional!(self, told, put).build().ok())
            }
            Action::Update { key, expression } => {
                let update =
                    Update::builder().table_name(table).set_key(Some(key)).update_expression(expression);
                action.set_update(conditional!(self, told, update).build().ok())
            }
            Action::Delete { key } => {
                let delete = Delete::builder().table_name(table).set_key(Some(key));
                action.set_delete(conditional!(self, told, delete).build().ok())
            }
            Action::Check { key } => {
                let check = ConditionCheck::builder().table_name(table).set_key(Some(key));
                action.set_condition_check(conditional!(self, told, check).build().ok())
            }
        }
        .build()
    }
}

/// Shows the expressions and what their names stand for, but no values.
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
