//! The calls written by hand around the SDK, with or without what keeps writers apart.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{self, ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValuesOnConditionCheckFailure::AllOld, TransactWriteItem, Update,
};
use tokio::time::timeout;

use crate::Failure;
use crate::order::{Order, TABLE};

/// How careful the code is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Care {
    /// It sends what has to be stored, and no more.
    None,
    /// It sends and watches what dynalock does: conditions, stamps, the item on a failed check, timeouts, and how often the
    /// SDK tried.
    Full,
}

/// The timeouts of [`dynalock::Retry::default`].
const ANSWER_WITHIN: Duration = Duration::from_secs(7);
const DEADLINE: Duration = Duration::from_secs(30);

/// The code, around a client.
#[derive(Debug)]
pub struct Sdk {
    client: Client,
    care: Care,
}

/// Sends a write.
macro_rules! send {
    ($sdk:ident, $request:expr) => {{
        let request = $request;
        match $sdk.care {
            Care::None => drop(request.send().await?),
            Care::Full => {
                let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ANSWER_WITHIN).build();
                let attempts = Attempts::default();
                let config = config::Builder::new().timeout_config(timeouts).interceptor(attempts.clone());
                let call = Box::pin(request.customize().config_override(config).send());
                timeout(DEADLINE, call).await??;
                if attempts.0.load(Ordering::Relaxed) == 0 {
                    return Err("nothing was sent".into());
                }
            }
        }
        Ok(())
    }};
}

impl Sdk {
    /// Calls through `client`.
    #[must_use]
    pub fn new(client: &Client, care: Care) -> Self {
        Self { client: client.clone(), care }
    }

    /// Stores a new order.
    ///
    /// # Errors
    ///
    /// If the store refuses.
    pub async fn create(&self, order: &mut Order) -> Result<(), Failure> {
        order.version = 1;
        let mut item: HashMap<String, AttributeValue> = serde_dynamo::to_item(&*order)?;
        let mut request = self.client.put_item().table_name(TABLE);
        if self.care == Care::Full {
            item.insert(slot(order.version), stamp(order.version));
            request = request
                .condition_expression("attribute_not_exists(id)")
                .return_values_on_condition_check_failure(AllOld);
        }
        send!(self, request.set_item(Some(item)))
    }

    /// Reads an order.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub async fn get(&self, id: &str) -> Result<Order, Failure> {
        let request = self.client.get_item().table_name(TABLE).consistent_read(true);
        let request = request.key("id", AttributeValue::S(id.to_owned()));
        let output = match self.care {
            Care::None => request.send().await?,
            Care::Full => timeout(ANSWER_WITHIN, Box::pin(request.send())).await??,
        };
        Ok(serde_dynamo::from_item(output.item.ok_or("no order")?)?)
    }

    /// Sets all attributes of an order at hand.
    ///
    /// # Errors
    ///
    /// If the store refuses.
    pub async fn save(&self, order: &mut Order) -> Result<(), Failure> {
        self.write(self.all_of(order)?).await
    }

    /// Reads an order, and sets the attribute that `change` changes: its price.
    ///
    /// # Errors
    ///
    /// If the store refuses.
    pub async fn update(&self, id: &str, change: impl FnOnce(&mut Order)) -> Result<Order, Failure> {
        let mut order = self.get(id).await?;
        let expected = order.version;
        order.version += 1;
        change(&mut order);
        let names = HashMap::from([("#version", "version"), ("#cents", "cents")].map(owned));
        let values = HashMap::from(
            [(":version", number(&order.version)), (":cents", number(&order.cents))].map(keyed),
        );
        let expression = match self.care {
            Care::None => "SET #version=:version,#cents=:cents",
            Care::Full => "SET #version=:version,#stamp=:stamp,#cents=:cents",
        };
        let id = AttributeValue::S(order.id.clone());
        self.write(self.checked(Change { id, expression, names, values }, expected)).await?;
        Ok(order)
    }

    /// Saves orders at hand, all or none.
    ///
    /// # Errors
    ///
    /// If the store refuses.
    pub async fn save_together(&self, orders: &mut [Order]) -> Result<(), Failure> {
        let mut actions = Vec::with_capacity(orders.len());
        for order in orders {
            let Change { id, expression, names, values } = self.all_of(order)?;
            let mut update = Update::builder()
                .table_name(TABLE)
                .key("id", id)
                .update_expression(expression)
                .set_expression_attribute_names(Some(names))
                .set_expression_attribute_values(Some(values));
            if self.care == Care::Full {
                update =
                    update.condition_expression(UNCHANGED).return_values_on_condition_check_failure(AllOld);
            }
            actions.push(TransactWriteItem::builder().update(update.build()?).build());
        }
        send!(self, self.client.transact_write_items().set_transact_items(Some(actions)))
    }

    /// The change that sets all attributes.
    fn all_of(&self, order: &mut Order) -> Result<Change, Failure> {
        let expected = order.version;
        order.version += 1;
        let mut item: HashMap<String, AttributeValue> = serde_dynamo::to_item(&*order)?;
        let id = item.remove("id").ok_or("no id")?;
        let mut names = HashMap::from([("#note", "note")].map(owned));
        let mut values = HashMap::new();
        for (name, value) in item {
            names.insert(format!("#{name}"), name.clone());
            values.insert(format!(":{name}"), value);
        }
        let expression = match self.care {
            Care::None => {
                "SET #version=:version,#customer=:customer,#status=:status,#cents=:cents,#weight=:weight,\
                 #lines=:lines,#address=:address REMOVE #note"
            }
            Care::Full => {
                "SET #version=:version,#stamp=:stamp,#customer=:customer,#status=:status,#cents=:cents,\
                 #weight=:weight,#lines=:lines,#address=:address REMOVE #note"
            }
        };
        Ok(self.checked(Change { id, expression, names, values }, expected))
    }

    /// Adds the stamp, and what the condition compares with.
    fn checked(&self, mut change: Change, expected: u64) -> Change {
        if self.care == Care::Full {
            change.names.insert("#stamp".into(), slot(expected + 1));
            change.values.insert(":stamp".into(), stamp(expected + 1));
            change.values.insert(":expected".into(), number(&expected));
        }
        change
    }

    async fn write(&self, change: Change) -> Result<(), Failure> {
        let Change { id, expression, names, values } = change;
        let mut request = self
            .client
            .update_item()
            .table_name(TABLE)
            .key("id", id)
            .update_expression(expression)
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values));
        if self.care == Care::Full {
            request =
                request.condition_expression(UNCHANGED).return_values_on_condition_check_failure(AllOld);
        }
        send!(self, request)
    }
}

const UNCHANGED: &str = "#version=:expected";

/// What an `UpdateItem` does.
struct Change {
    id: AttributeValue,
    expression: &'static str,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

fn owned((placeholder, name): (&str, &str)) -> (String, String) {
    (placeholder.to_owned(), name.to_owned())
}

fn keyed((placeholder, value): (&str, AttributeValue)) -> (String, AttributeValue) {
    (placeholder.to_owned(), value)
}

fn number(number: &impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn slot(version: u64) -> String {
    format!("_stamp{}", version % 4)
}

fn stamp(version: u64) -> AttributeValue {
    let stamp = u128::from(version) << 64 | u128::from(fastrand::u64(..));
    AttributeValue::B(Blob::new(stamp.to_be_bytes()))
}

/// Counts how often the SDK tried: after a failed check, more than once means that the write may have been applied.
#[derive(Debug, Clone, Default)]
struct Attempts(Arc<AtomicU32>);

impl Intercept for Attempts {
    fn name(&self) -> &'static str {
        "Attempts"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
