//! The loop that dynalock is there to replace.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use dynalock::testing::Fault;

use crate::foreign::number;
use crate::world::{World, breakdown_after};

/// Reads, adds and writes on the condition that the version is still the same; on a failed check all of it again.
async fn add_in_a_loop(client: &Client, amount: i64) {
    loop {
        let read = client.get_item().table_name("accounts").key("id", AttributeValue::S("alice".into()));
        let mut item = read.consistent_read(true).send().await.unwrap().item.unwrap();
        let parsed = |name: &str| item[name].as_n().unwrap().parse::<i64>().unwrap();
        let (balance, version) = (parsed("balance"), parsed("version"));
        item.insert("balance".into(), number(balance + amount));
        item.insert("version".into(), number(version + 1));
        let put = client.put_item().table_name("accounts").set_item(Some(item));
        let put = put.condition_expression("version = :read");
        match put.expression_attribute_values(":read", number(version)).send().await {
            Ok(_) => return,
            Err(error) => assert!(error.into_service_error().is_conditional_check_failed_exception()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_lost_reply_doubles_the_change_of_a_plain_loop_and_not_that_of_dynalock() {
    for (fault, doubled) in [
        (Fault::Pass, false),
        (Fault::RequestLost, false),
        (Fault::ReplyLost, true),
        (Fault::DeliveredTwice, true),
        (breakdown_after(), true),
    ] {
        let world = World::new().await;
        world.faults.script("PutItem", [fault.clone()]);
        add_in_a_loop(&world.client, 10).await;
        assert_eq!(
            world.stored("alice").await.unwrap().balance,
            if doubled { 120 } else { 110 },
            "{fault:?}"
        );

        let world = World::new().await;
        world.faults.script("UpdateItem", [fault.clone()]);
        let alice = world.table.update("alice", |alice| alice.balance += 10).await.unwrap();
        assert_eq!(alice.balance, 110, "{fault:?}");
        assert_eq!(world.stored("alice").await, Some(alice), "{fault:?}");
        assert!(world.faults.is_over());
    }
}
