//! The store: a table and the client that reaches it, with the reads of items.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::get_item::{GetItemError, GetItemOutput};
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;

use crate::error::Result;
use crate::item::Item;
use crate::send::budget::Budget;
use crate::send::sdk_call::{SdkCall, send_with};
use crate::support::clock;

/// The operation that reads one item.
pub(crate) const GET_ITEM: &str = "GetItem";

/// A table, and the client that reaches it.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) client: Client,
    pub(crate) table: Box<str>,
    /// Set once a policy has denied that a failed check returns the item. Shared by all clones.
    is_item_denied: Arc<AtomicBool>,
}

impl Store {
    pub(crate) fn new(client: Client, table: String) -> Self {
        Self { client, table: table.into(), is_item_denied: Arc::default() }
    }

    /// A call of the SDK for this table.
    pub(crate) fn call(&self, operation: &'static str) -> SdkCall<'_> {
        SdkCall { client: &self.client, operation, tables: &self.table }
    }

    /// What a failed check is to return: the item, unless a policy denies that.
    pub(crate) fn on_failure(&self) -> Option<ReturnValuesOnConditionCheckFailure> {
        let is_denied = self.is_item_denied.load(Ordering::Relaxed);
        (!is_denied).then_some(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    /// Stops asking failed checks for the item: the policy would deny the next write as it denied this one.
    pub(crate) fn deny_item(&self) {
        self.is_item_denied.store(true, Ordering::Relaxed);
    }

    /// Reads one item, as often as `budget` allows.
    pub(crate) async fn read(
        &self,
        key: &Item,
        consistent: bool,
        budget: &mut Budget,
    ) -> Result<Option<Item>> {
        let send = |config| self.get_item(key, consistent, config);
        Ok(self.call(GET_ITEM).ask(budget, send).await?.item)
    }

    /// Sends one `GetItem`.
    pub(crate) fn get_item(
        &self,
        key: &Item,
        consistent: bool,
        config: Option<config::Builder>,
    ) -> impl Future<Output = Result<GetItemOutput, SdkError<GetItemError>>> + Send + use<> {
        let request = self.client.get_item().table_name(&*self.table).consistent_read(consistent);
        send_with!(config, request.set_key(Some(key.clone())))
    }

    /// The time in microseconds since 1970, by the client's clock.
    pub(crate) fn now(&self) -> u64 {
        let now = self.client.config().time_source().map_or_else(SystemTime::now, |clock| clock.now());
        clock::microseconds(now)
    }
}

/// The names of several tables, each once, for errors and traces.
pub(crate) fn names<'a>(stores: impl Iterator<Item = &'a Store>) -> String {
    let mut names: Vec<&str> = stores.map(|store| &*store.table).collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}
