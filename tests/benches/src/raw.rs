//! The contenders that use the SDK alone.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure::AllOld};
use tokio::time::sleep;

use crate::Failure;
use crate::account::{Account, TABLE, read};
use crate::backoff::Backoff;
use crate::contender::{Adder, Answer};
use crate::policy::Policy;

/// The same requests and the same back-off as dynalock's: two tries at once from the item that a refusal returned, after that
/// a delay and then a read. It leaves stamps too, but never looks at them, so that a lost reply makes it add twice.
#[derive(Debug, Clone)]
pub struct FairLoop(Client);

impl FairLoop {
    /// A loop around `client`.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self(client.clone())
    }
}

impl Adder for FairLoop {
    async fn add(&self, id: &str) -> Result<Answer, Failure> {
        let (mut backoff, mut immediate) =
            (Backoff::new(Policy::DYNALOCK.limits()), Policy::DYNALOCK.immediate);
        let mut account = read(&self.0, id).await?;
        while let Some(theirs) = write(&self.0, &account, Stamp::Left).await? {
            if immediate > 0 {
                immediate -= 1;
                if !backoff.take() {
                    return Ok(Answer::GaveUp);
                }
                account = theirs;
            } else if backoff.wait().await {
                account = read(&self.0, id).await?;
            } else {
                return Ok(Answer::GaveUp);
            }
        }
        Ok(Answer::Added)
    }
}

/// How often the naive loop tries.
const TRIES: u32 = 10;
const FIRST_DELAY: Duration = Duration::from_millis(5);

/// What one writes first: takes the item that a refusal returned, waits 5 ms and twice as long each time, tries again, and
/// gives up after 10 tries.
#[derive(Debug, Clone)]
pub struct NaiveLoop(Client);

impl NaiveLoop {
    /// A loop around `client`.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self(client.clone())
    }
}

impl Adder for NaiveLoop {
    async fn add(&self, id: &str) -> Result<Answer, Failure> {
        let mut account = read(&self.0, id).await?;
        let mut delay = FIRST_DELAY;
        for _ in 1..TRIES {
            match write(&self.0, &account, Stamp::None).await? {
                None => return Ok(Answer::Added),
                Some(theirs) => account = theirs,
            }
            sleep(delay).await;
            delay *= 2;
        }
        let refusal = write(&self.0, &account, Stamp::None).await?;
        Ok(if refusal.is_none() { Answer::Added } else { Answer::GaveUp })
    }
}

/// Whether a write leaves a stamp, as dynalock's do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stamp {
    Left,
    None,
}

/// Adds 1 to the account, if nobody changed it since it was read; else returns the account as it is now.
async fn write(client: &Client, account: &Account, stamp: Stamp) -> Result<Option<Account>, Failure> {
    let (expected, version) = (account.version, account.version + 1);
    let number = |number: String| AttributeValue::N(number);
    let request = client
        .update_item()
        .table_name(TABLE)
        .key("id", AttributeValue::S(account.id.clone()))
        .condition_expression("version = :expected")
        .expression_attribute_values(":expected", number(expected.to_string()))
        .expression_attribute_values(":version", number(version.to_string()))
        .expression_attribute_values(":balance", number((account.balance + 1).to_string()))
        .return_values_on_condition_check_failure(AllOld);
    let request = match stamp {
        Stamp::None => request.update_expression("SET version = :version, balance = :balance"),
        Stamp::Left => {
            let stamp = u128::from(version) << 64 | u128::from(fastrand::u64(..));
            request
                .update_expression("SET version = :version, #stamp = :stamp, balance = :balance")
                .expression_attribute_names("#stamp", format!("_stamp{}", version % 4))
                .expression_attribute_values(":stamp", AttributeValue::B(Blob::new(stamp.to_be_bytes())))
        }
    };
    match request.send().await.map_err(SdkError::into_service_error) {
        Ok(_) => Ok(None),
        Err(UpdateItemError::ConditionalCheckFailedException(failed)) => {
            Ok(Some(serde_dynamo::from_item(failed.item.ok_or("no item came back")?)?))
        }
        Err(error) => Err(error.into()),
    }
}
