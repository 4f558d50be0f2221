//! Where requests go that are sent again: DynamoDB of the account that a table's ARN names, as the first time.

use aws_sdk_dynamodb::config::{Credentials, retry::RetryConfig};
use dynalock::testing::Fault;
use dynalock::{Error, Table, Transaction};
use dynalock_tests::runtimes::retry;

use crate::world::{Account, World, refusal};

const TABLE: &str = "arn:aws:dynamodb:us-east-1:444455556666:table/accounts";

/// A world whose credentials are those of another account than the table's, and whose SDK sends nothing again by itself.
async fn world() -> World {
    let credentials = Credentials::builder()
        .access_key_id("embedded")
        .secret_access_key("embedded")
        .account_id("111122223333")
        .provider_name("embedded");
    World::with(|config| {
        config.credentials_provider(credentials.build()).retry_config(RetryConfig::disabled())
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_sent_again_goes_where_the_first_one_went() {
    for operation in ["UpdateItem", "TransactWriteItems"] {
        let world = world().await;
        let table = Table::new(&world.client, TABLE).with_retry(retry(&[]));
        world.faults.script(operation, [Fault::RequestLost, refusal("ValidationException")]);
        let mut alice = Account::alice();
        let ended = match operation {
            "UpdateItem" => table.touch(&mut alice).await,
            _ => Transaction::new(&world.client).touch(&table, &mut alice).commit().await,
        };
        assert!(matches!(ended, Err(Error::OutcomeUnknown(_))), "{ended:?}");
        let [first, again] = &world.sent.sent()[..] else { panic!("two requests of {operation}") };
        assert_eq!(first, again);
        assert_eq!(first.host, "444455556666.ddb.us-east-1.amazonaws.com");
    }
}
