//! A DynamoDB that cannot be reached: nothing was sent, so nothing is in doubt.

use std::collections::HashMap;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::{Client, Config};
use dynalock::{Condition, Error, Retry, Table};
use dynalock_tests::engines::Store;

use crate::fixtures::Account;

fn accounts(url: &str) -> Table<Account> {
    let config = Store::at(url).config().retry_config(RetryConfig::disabled());
    Table::new(&Client::from_conf(config.build()), "accounts").with_retry(Retry::none())
}

fn account() -> Account {
    Account { id: "a".into(), balance: 1, note: None, version: 0 }
}

#[tokio::test]
async fn a_write_to_a_host_that_does_not_exist_was_not_applied() {
    let error = accounts("http://no-such-host.invalid:8000").create(&mut account()).await.unwrap_err();
    assert!(matches!(error, Error::Sdk(_)), "{error:?}");
    assert!(error.is_retryable(), "{error:?}");
}

#[tokio::test]
async fn a_write_to_a_port_where_nobody_listens_was_not_applied() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = accounts(&url).create(&mut account()).await.unwrap_err();
    assert!(matches!(error, Error::Sdk(_)), "{error:?}");
}

#[tokio::test]
async fn a_request_that_cannot_be_signed_says_why() {
    let config = Config::builder()
        .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
        .http_client(Store::memory().http_client());
    let accounts = Table::<Account>::new(&Client::from_conf(config.build()), "accounts");
    let error = accounts.create(&mut account()).await.unwrap_err();
    assert!(matches!(error, Error::Sdk(_)), "{error:?}");
    assert!(!error.is_retryable(), "{error:?}");
    let chain = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    let chain: Vec<String> = chain.map(ToString::to_string).collect();
    assert!(chain.iter().any(|text| text.contains("identity")), "{chain:?}");
}

#[tokio::test]
async fn what_is_no_number_is_refused_before_it_is_sent() {
    #[derive(serde::Serialize, serde::Deserialize, dynalock::Versioned)]
    struct Weight {
        #[dynalock(partition_key)]
        id: String,
        grams: f64,
        others: HashMap<String, Vec<f64>>,
        #[serde(with = "serde_dynamo::number_set")]
        seen: Vec<f64>,
        #[dynalock(version)]
        version: u64,
    }
    let weights = Table::<Weight>::new(&Store::memory().client(), "weights");
    let weight = |grams, other, seen| {
        let others = HashMap::from([("a".to_owned(), vec![0.5, other])]);
        Weight { id: "a".into(), grams, others, seen: vec![0.5, seen], version: 0 }
    };
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for (mut weight, at_fault) in [
            (weight(number, 1.0, 1.0), "grams"),
            (weight(1.0, number, 1.0), "others"),
            (weight(1.0, 1.0, number), "seen"),
        ] {
            let error = weights.create(&mut weight).await.unwrap_err();
            let Error::InvalidItem { attribute, .. } = &error else { panic!("{error:?}") };
            assert_eq!(&**attribute, at_fault);
        }
        let condition = Condition::new("grams < :most").value(":most", number);
        let error = weights.save(&mut weight(1.0, 1.0, 1.0)).condition(condition).await.unwrap_err();
        assert!(
            matches!(&error, Error::InvalidRequest { problem, .. } if problem.contains(":most")),
            "{error:?}"
        );
    }
}
