//! The call `get_many`, which reads the items of many keys at once.

use std::collections::HashMap;
use std::fmt;
use std::future::IntoFuture;

use aws_sdk_dynamodb::types::KeysAndAttributes;

use crate::error::codes::Worth;
use crate::error::{Error, Result};
use crate::item::Item;
use crate::item::key::{IntoKey, KeyId};
use crate::send::budget::Budget;
use crate::send::retry::Retry;
use crate::send::sdk_call::{SdkCall, send_with};
use crate::send::trace::{Finished, traced};
use crate::table::{BoxFuture, Table};
use crate::versioned::{Versioned, schema};

/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>
const MAX_KEYS_PER_REQUEST: usize = 100;

impl<T: Versioned> Table<T> {
    /// Reads many items and returns them in the order of `keys`, with `None` for a key that has no item. A key may occur twice.
    /// The items are read independently, so together they are no snapshot. Each read is strongly consistent, unless
    /// [`eventually_consistent`](GetMany::eventually_consistent) is set.
    ///
    /// Up to 100 keys are sent in one `BatchGetItem`. Keys that DynamoDB leaves unprocessed, throttling, timeouts and failed
    /// connections are retried.
    ///
    /// # Errors
    ///
    /// The same as those of [`get`](Self::get), for the first key or item at fault. [`Sdk`](crate::Error::Sdk) is also returned
    /// for an answer that does not fit the request, such as one with another item.
    pub fn get_many<K: IntoKey<T::Key>>(&self, keys: impl IntoIterator<Item = K>) -> GetMany<T> {
        let keys = keys.into_iter().map(|key| self.key(key)).collect();
        GetMany { table: self.clone(), keys, consistent: true, retry: self.retry() }
    }
}

/// A read of many items that waits to be sent; see [`Table::get_many`].
#[must_use = "nothing is read until the call is awaited"]
pub struct GetMany<T> {
    table: Table<T>,
    keys: Result<Vec<Item>>,
    consistent: bool,
    retry: Retry,
}

impl<T> GetMany<T> {
    /// Reads at half the cost, and possibly not the latest items; see
    /// [`Get::eventually_consistent`](crate::call::Get::eventually_consistent).
    pub fn eventually_consistent(mut self) -> Self {
        self.consistent = false;
        self
    }

    /// Overrides the table's retry policy for this call.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }
}

impl<T: Versioned> GetMany<T> {
    async fn read(&self, keys: Vec<Item>, budget: &mut Budget) -> Result<Vec<Option<T>>> {
        // DynamoDB refuses a request that has a key twice, so each key is sent once and its item goes to all of its indices.
        let mut indices_by_key: HashMap<KeyId, Vec<usize>> = HashMap::with_capacity(keys.len());
        let mut wanted = Vec::with_capacity(keys.len());
        for (index, key) in keys.into_iter().enumerate() {
            let indices = indices_by_key.entry(KeyId::new(schema::<T>(), &key)).or_default();
            if indices.is_empty() {
                wanted.push(key);
            }
            indices.push(index);
        }
        let mut found: Vec<Option<T>> = Vec::new();
        found.resize_with(indices_by_key.values().map(Vec::len).sum(), || None);
        while !wanted.is_empty() {
            let rest = wanted.split_off(wanted.len().min(MAX_KEYS_PER_REQUEST));
            let (items, unprocessed) = self.read_batch(wanted, budget).await?;
            // A large batch needs many requests. Only those in a row that bring nothing count as attempts.
            if !items.is_empty() {
                budget.renew();
            }
            for item in items {
                let indices = indices_by_key.get(&KeyId::new(schema::<T>(), &item));
                let indices =
                    indices.ok_or_else(|| self.call().unusable("it holds an item that was not asked for"))?;
                for &index in indices {
                    found[index] = Some(self.table.parse(item.clone())?);
                }
            }
            if !unprocessed.is_empty() && !budget.wait().await {
                let cause = "DynamoDB left keys unprocessed until the retries ended";
                return Err(Error::Sdk(self.call().failure(cause, Worth::All).into()));
            }
            wanted = unprocessed;
            wanted.extend(rest);
        }
        Ok(found)
    }

    /// Reads one batch. Returns the items, and the keys that DynamoDB left unprocessed.
    async fn read_batch(&self, keys: Vec<Item>, budget: &mut Budget) -> Result<(Vec<Item>, Vec<Item>)> {
        let call = self.call();
        let name = self.table.name();
        let keys = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(self.consistent).build();
        // The one required member is set, so the build does not fail.
        let keys = keys.ok().map(|keys| HashMap::from([(name.to_owned(), keys)]));
        let request = call.client.batch_get_item().set_request_items(keys);
        let send = |config| send_with!(config, request.clone());
        let output = call.ask(budget, send).await?;
        let unusable = |problem| call.unusable(problem);
        let items = of_one_table(output.responses).map_err(unusable)?;
        let unprocessed = of_one_table(output.unprocessed_keys).map_err(unusable)?;
        let unprocessed = unprocessed.map(|unprocessed| unprocessed.keys).unwrap_or_default();
        match items {
            // An answer without items is valid only if DynamoDB processed no key at all.
            None if unprocessed.is_empty() => Err(self.call().unusable("it is about no table")),
            items => Ok((items.unwrap_or_default(), unprocessed)),
        }
    }

    fn call(&self) -> SdkCall<'_> {
        self.table.store().call("BatchGetItem")
    }
}

/// The entry of the one table in the request, if there is any. Its name is not compared: the request may have the table's ARN,
/// and the answer its name.
fn of_one_table<V>(tables: Option<HashMap<String, V>>) -> Result<Option<V>, &'static str> {
    let mut entries = tables.unwrap_or_default().into_values();
    match (entries.next(), entries.next()) {
        (entry, None) => Ok(entry),
        (_, Some(_)) => Err("it is about several tables"),
    }
}

impl<T: Versioned> IntoFuture for GetMany<T> {
    type Output = Result<Vec<Option<T>>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(mut self) -> Self::IntoFuture {
        Box::pin(async move {
            let keys = std::mem::replace(&mut self.keys, Ok(Vec::new()));
            let mut budget = Budget::start(self.retry);
            traced("get_many", self.table.name(), async {
                let keys = match keys {
                    Ok(keys) => keys,
                    Err(error) => return Finished::unsent(error),
                };
                let items = self.read(keys, &mut budget).await;
                Finished::with(items, budget.stats())
            })
            .await
        })
    }
}

impl<T> fmt::Debug for GetMany<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetMany")
            .field("table", &self.table)
            .field("consistent", &self.consistent)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}
