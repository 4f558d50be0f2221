//! The item that all contenders change: an account, whose balance says how many additions it got.

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use dynalock::Table;
pub use dynalock_tests::account::Account;

use crate::Failure;

/// The table that holds the accounts.
pub const TABLE: &str = "accounts";

/// Makes the table, with an empty account under each of `keys`.
///
/// # Errors
///
/// If the store refuses.
pub async fn open<'k>(client: &Client, keys: impl IntoIterator<Item = &'k str>) -> Result<(), Failure> {
    let accounts = Table::<Account>::new(client, TABLE);
    accounts.create_table().await?;
    for id in keys {
        accounts.create(&mut Account::new(id, 0)).await?;
    }
    Ok(())
}

/// Reads an account with a plain request of the SDK.
///
/// # Errors
///
/// If there is none, or the store cannot be reached.
pub async fn read(client: &Client, id: &str) -> Result<Account, Failure> {
    let request = client.get_item().table_name(TABLE).consistent_read(true);
    let output = request.key("id", AttributeValue::S(id.to_owned())).send().await?;
    Ok(serde_dynamo::from_item(output.item.ok_or("no account")?)?)
}

/// Checks that the accounts under `keys` got `additions` together: none was lost, none applied twice.
///
/// # Errors
///
/// If they got more or fewer.
pub async fn check(
    client: &Client,
    keys: impl IntoIterator<Item = &str>,
    additions: u64,
) -> Result<(), Failure> {
    let mut stored = 0;
    for id in keys {
        stored += read(client, id).await?.balance;
    }
    if u64::try_from(stored) != Ok(additions) {
        return Err(
            format!("{additions} additions were answered with success, and {stored} are stored").into()
        );
    }
    Ok(())
}
