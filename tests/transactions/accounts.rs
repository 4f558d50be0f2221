//! Accounts to move money between.

use aws_sdk_dynamodb::Client;
use dynalock::Table;
pub(crate) use dynalock_tests::account::{Account, Refused};
use dynalock_tests::engines;

/// A table with these accounts, and the client that reaches it.
pub(crate) async fn bank<const N: usize>(accounts: [(&str, i64); N]) -> (Client, Table<Account>) {
    let client = engines::client().await;
    let table = Table::<Account>::new(&client, engines::table_name());
    table.create_table().await.unwrap();
    for (id, balance) in accounts {
        table.create(&mut Account::new(id, balance)).await.unwrap();
    }
    (client, table)
}
