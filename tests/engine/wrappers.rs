//! What the recording and the failing client do, seen through the SDK's own retries.

use std::{net::TcpListener, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    config::{retry::RetryConfig, timeout::TimeoutConfig},
    error::{ProvideErrorMetadata, SdkError},
};
use dynalock::embedded::Engine;
use dynalock::testing::{Fault, Faults, Reply};
use dynalock_tests::{engines::Store, middleware::Middleware, recording::Recording};
use tokio::time::{Instant, timeout};

use crate::{TABLE, add_one, count, text, with_table};

/// A client whose requests pass a script, and then a record of what the store sees.
async fn scripted() -> (Client, Faults, Recording) {
    let store = Store::memory();
    with_table(store.client()).await;
    let recording = Recording::default();
    let faults = Faults::new(recording.wrap(store.http_client()));
    let config = store.config().http_client(faults.clone());
    (Client::from_conf(config.build()), faults, recording)
}

#[tokio::test]
async fn a_record_holds_operation_and_body_of_every_request() {
    let (client, _, recording) = scripted().await;
    add_one(&client).await.unwrap();
    assert_eq!(recording.operations(), ["UpdateItem"]);
    let update = recording.take().remove(0);
    assert_eq!(update.body["Key"]["id"]["S"], "alice");
    assert_eq!(update.body["ExpressionAttributeValues"][":one"]["N"], "1");
    count(&client).await;
    assert_eq!(recording.operations(), ["GetItem"], "take leaves nothing");
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_on_the_way_there_never_reaches_the_store() {
    let (client, faults, recording) = scripted().await;
    let error = Fault::Instead(Reply::internal_server_error());
    for lost in [Fault::ConnectionRefused, Fault::RequestLost, error] {
        faults.script("UpdateItem", [lost]);
        let before = recording.count("UpdateItem");
        let n = count(&client).await;
        add_one(&client).await.unwrap();
        assert!(faults.is_over());
        assert_eq!(recording.count("UpdateItem"), before + 1, "only the second attempt");
        assert_eq!(count(&client).await, n + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_on_the_way_back_was_applied() {
    let (client, faults, recording) = scripted().await;
    let error = Fault::After(Reply::internal_server_error());
    for lost in [Fault::ReplyLost, Fault::BodyCutOff, error] {
        faults.script("UpdateItem", [lost.clone()]);
        let before = recording.count("UpdateItem");
        let n = count(&client).await;
        add_one(&client).await.unwrap();
        assert!(faults.is_over());
        assert_eq!(recording.count("UpdateItem"), before + 2, "{lost:?}: the SDK sends it again");
        assert_eq!(count(&client).await, n + 2, "{lost:?}: without a condition, it counts twice");
    }
}

/// The SDK takes a reply that breaks off for transient. One that is cut short without a trace is a service error to it,
/// of status 200, and isn't sent again.
#[tokio::test(start_paused = true)]
async fn the_sdk_tells_a_broken_reply_from_a_truncated_one() {
    let (client, faults, recording) = scripted().await;
    faults.script("PutItem", [const { Fault::BodyCutOff }; 3]);
    faults.script("PutItem", [Fault::Truncated]);
    let put = client.put_item().table_name(TABLE).item("id", text("alice"));

    let broken = put.clone().send().await.unwrap_err();
    assert!(matches!(broken, SdkError::ResponseError(_)), "{broken:?}");
    assert_eq!(recording.take().len(), 3);

    let truncated = put.send().await.unwrap_err();
    assert!(matches!(truncated, SdkError::ServiceError(_)), "{truncated:?}");
    assert!(truncated.raw_response().unwrap().status().is_success());
    assert_eq!(recording.take().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_reply_ends_with_the_attempts_timeout() {
    let (client, faults, _) = scripted().await;
    let attempt = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(2));
    let config = client.config().to_builder().timeout_config(attempt.build());
    let hasty = Client::from_conf(config.retry_config(RetryConfig::disabled()).build());

    faults.script("UpdateItem", [Fault::NeverReplies]);
    let start = Instant::now();
    assert!(add_one(&hasty).await.is_err());
    assert_eq!(start.elapsed().as_secs(), 2);
    assert_eq!(count(&client).await, 1, "applied");

    faults.script("UpdateItem", [Fault::NeverReplies]);
    // No longer: by the clock on the wall, which does not stand still, the SDK ends what has stalled for some seconds.
    timeout(Duration::from_mins(1), add_one(&client)).await.expect_err("waits for ever");
}

#[tokio::test(start_paused = true)]
async fn a_delay_passes_before_the_store_acts() {
    let (client, faults, _) = scripted().await;
    faults.script("UpdateItem", [Fault::Delay(Duration::from_secs(5))]);
    let start = Instant::now();
    let (written, early) = tokio::join!(add_one(&client), async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        count(&client).await
    });
    written.unwrap();
    assert_eq!((early, start.elapsed().as_secs()), (0, 5));
}

#[tokio::test(start_paused = true)]
async fn a_scripted_exception_is_the_sdks_own() {
    let (client, faults, recording) = scripted().await;
    let conflict = || Fault::Instead(Reply::new(400, "TransactionConflictException"));
    let throttled = || Fault::Instead(Reply::new(400, "ThrottlingException"));

    faults.script("PutItem", [conflict()]);
    let put = client.put_item().table_name(TABLE).item("id", text("alice"));
    let error = put.clone().send().await.unwrap_err().into_service_error();
    assert!(error.is_transaction_conflict_exception());

    faults.script("PutItem", [throttled(), throttled(), throttled(), throttled()]);
    let error = put.send().await.unwrap_err();
    assert_eq!(error.code(), Some("ThrottlingException"));
    assert_eq!(recording.count("PutItem"), 0);
    assert!(!faults.is_over(), "three attempts, so one fault is left");
}

#[tokio::test(start_paused = true)]
async fn a_script_strikes_in_order_and_only_what_it_names() {
    let (client, faults, recording) = scripted().await;
    faults.script("UpdateItem", [Fault::Pass, Fault::RequestLost]);
    faults.script("GetItem", [Fault::RequestLost]);
    add_one(&client).await.unwrap();
    assert_eq!(recording.count("UpdateItem"), 1);
    assert!(!faults.is_over());
    add_one(&client).await.unwrap();
    assert_eq!(count(&client).await, 2);
    assert!(faults.is_over());
}

#[tokio::test]
async fn a_scripted_refusal_looks_like_a_real_one() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let real = Store::at(&format!("http://127.0.0.1:{port}"));
    let (scripted, faults, _) = scripted().await;
    faults.script("ListTables", [Fault::ConnectionRefused]);

    for client in [real.client(), scripted] {
        let config = client.config().to_builder().retry_config(RetryConfig::disabled());
        let refused = Client::from_conf(config.build()).list_tables().send().await.unwrap_err();
        let SdkError::DispatchFailure(failure) = &refused else {
            panic!("{refused:?}");
        };
        assert!(failure.is_io());
        let mut cause: Option<&dyn std::error::Error> = Some(&refused);
        let kind = std::iter::from_fn(|| {
            let this = cause?;
            cause = this.source();
            Some(this)
        })
        .find_map(|cause| Some(cause.downcast_ref::<std::io::Error>()?.kind()));
        assert_eq!(kind, Some(std::io::ErrorKind::ConnectionRefused));
    }
}

/// What one test spends of the SDK's retries, another one has.
#[tokio::test(start_paused = true)]
async fn each_configuration_of_an_engine_has_retries_of_its_own() {
    for _ in 0..120 {
        let engine = Engine::in_memory();
        let faults = Faults::new(engine.http_client());
        let client = Client::from_conf(engine.config().http_client(faults.clone()).build());
        faults.script("ListTables", [(); 3].map(|()| Fault::Instead(Reply::throttled())));
        client.list_tables().send().await.unwrap_err();
        assert!(faults.is_over(), "the SDK makes three attempts");
    }
}

#[tokio::test(start_paused = true)]
async fn each_operation_has_a_gate_of_its_own() {
    let (client, faults, recording) = scripted().await;
    let (writing, reading) = (faults.hold_up("UpdateItem"), faults.hold_up("GetItem"));
    let in_order = async {
        writing.reached().await;
        reading.reached().await;
        assert_eq!(recording.sent(), []);
        reading.open();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(recording.operations(), ["GetItem"]);
        writing.open();
    };
    let (added, found, ()) = tokio::join!(add_one(&client), count(&client), in_order);
    added.unwrap();
    assert_eq!(found, 0);
    assert_eq!(recording.operations(), ["GetItem", "UpdateItem"]);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "no request of PutItem came to the gate")]
async fn a_gate_that_nothing_reaches_says_so() {
    let (client, faults, _) = scripted().await;
    let gate = faults.hold_up("PutItem");
    let (added, ()) = tokio::join!(add_one(&client), gate.reached());
    added.unwrap();
}

/// A request that has come has come, for whoever asks, and as often as they ask.
#[tokio::test(start_paused = true)]
async fn a_gate_stays_reached() {
    let (client, faults, _) = scripted().await;
    let gate = faults.hold_up("UpdateItem");
    let twice = async {
        tokio::join!(gate.reached(), gate.reached());
        gate.reached().await;
        gate.open();
    };
    let (added, ()) = tokio::join!(add_one(&client), twice);
    added.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_gate_without_handles_is_opened_by_the_next_one_and_by_clear() {
    let (client, faults, _) = scripted().await;
    let begun = Instant::now();
    drop(faults.hold_up("UpdateItem"));
    let (added, ()) = tokio::join!(add_one(&client), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        faults.hold_up("UpdateItem").open();
    });
    added.unwrap();
    drop(faults.hold_up("UpdateItem"));
    let (added, ()) = tokio::join!(add_one(&client), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        faults.clear();
    });
    added.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 2);
}
