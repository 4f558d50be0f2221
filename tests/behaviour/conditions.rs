//! Conditions of the caller's own: joined once, and refused where they cannot be sent.

use dynalock::{Condition, Error, Table};
use serde::Serializer;
use serde_json::json;

use crate::fixtures::{Account, Stage, alice, refused};

async fn stage() -> (Stage, Table<Account>) {
    let (stage, accounts) = Stage::of::<Account>().await;
    stage.put(json!({ "id": "alice", "balance": 100, "version": 1 })).await;
    (stage, accounts)
}

/// What a touch under `condition` sends as its condition, once it went through.
async fn joined(condition: Condition) -> String {
    let (stage, accounts) = stage().await;
    accounts.touch(&mut alice(1)).condition(condition).await.unwrap();
    let [sent] = stage.sent().try_into().unwrap();
    sent.strip_prefix(r#"UpdateItem {id: "alice"} SET version=2 IF version=1 AND "#).unwrap().to_owned()
}

#[tokio::test]
async fn a_condition_is_wrapped_exactly_once() {
    let of = |expression: &str| Condition::new(expression).value(":x", 100).value(":y", 7);
    assert_eq!(joined(Condition::new("balance = :x").value(":x", 100)).await, "(balance = 100)");
    assert_eq!(joined(Condition::new("(balance = :x)").value(":x", 100)).await, "(balance = 100)");
    assert_eq!(joined(Condition::new(" ( (balance = :x) ) ").value(":x", 100)).await, "(balance = 100)");
    for (expression, wrapped) in [
        ("balance = :x OR balance = :y", "(balance = 100 OR balance = 7)"),
        ("(balance = :x) OR (balance = :y)", "((balance = 100) OR (balance = 7))"),
        ("((balance = :x) OR (balance = :y))", "((balance = 100) OR (balance = 7))"),
        ("(balance = :x OR balance = :y)", "(balance = 100 OR balance = 7)"),
        (
            "(balance = :y OR balance = :x) AND attribute_exists(id)",
            "((balance = 7 OR balance = 100) AND attribute_exists(id))",
        ),
        ("NOT (balance = :y) AND (balance = :x)", "(NOT (balance = 7) AND (balance = 100))"),
        ("balance IN (:x, :y)", "(balance IN (100, 7))"),
        ("balance BETWEEN :y AND :x", "(balance BETWEEN 7 AND 100)"),
    ] {
        assert_eq!(joined(of(expression)).await, wrapped, "{expression}");
    }
}

/// Without parentheses of its own, the second half would hold whatever the version is.
#[tokio::test]
async fn an_or_cannot_get_around_the_version_check() {
    for expression in ["balance = :x OR attribute_exists(id)", "(balance = :x) OR (attribute_exists(id))"] {
        let (stage, accounts) = Stage::of::<Account>().await;
        stage.put(json!({ "id": "alice", "balance": 100, "version": 5 })).await;
        let condition = Condition::new(expression).value(":x", 1);
        let error =
            refused(&mut alice(1), async |account| accounts.save(account).condition(condition).await).await;
        assert!(matches!(error, Error::Conflict(_)), "{error:?}");
        assert_eq!(stage.stored_alice().await["version"], 5);
    }
}

#[tokio::test]
async fn two_conditions_must_both_hold() {
    let (stage, accounts) = stage().await;
    let least = || Condition::new("#b >= :x OR #b = :y").name("#b", "balance").value(":x", 50).value(":y", 1);
    let most = |most| Condition::new("#b <= :most").name("#b", "balance").value(":most", most);
    accounts.touch(&mut alice(1)).condition(least()).condition(most(100)).await.unwrap();
    assert_eq!(
        stage.sent(),
        [
            r#"UpdateItem {id: "alice"} SET version=2 IF version=1 AND (balance >= 50 OR balance = 1) AND (balance <= 100)"#
        ]
    );
    for (first, second) in [(least(), most(99)), (most(99), least())] {
        let touch = async |account: &mut _| {
            accounts.touch(account).condition(first.clone()).condition(second.clone()).await
        };
        let error = refused(&mut alice(2), touch).await;
        assert!(matches!(error, Error::ConditionFailed(_)), "{error:?}");
    }
    let third = Condition::new("attribute_exists(id)");
    accounts.touch(&mut alice(2)).condition(least()).condition(most(100)).condition(third).await.unwrap();
}

#[tokio::test]
async fn values_are_stored_as_serde_says() {
    let (stage, accounts) = stage().await;
    let condition = Condition::new("NOT a = :s AND NOT b = :n AND NOT c = :o AND NOT d IN (:l, :m)")
        .value(":s", "text")
        .value(":n", Option::<u8>::None)
        .value(":o", Some(true))
        .value(":l", ["x"])
        .value(":m", json!({ "k": 1 }));
    accounts.touch(&mut alice(1)).condition(condition).await.unwrap();
    let requests = stage.requests();
    let mut values = requests[0].body["ExpressionAttributeValues"].clone();
    values.as_object_mut().unwrap().retain(|name, _| !name.starts_with(":_"));
    let expected = json!({
        ":s": { "S": "text" }, ":n": { "NULL": true }, ":o": { "BOOL": true },
        ":l": { "L": [{ "S": "x" }] }, ":m": { "M": { "k": { "N": "1" } } },
    });
    assert_eq!(values, expected);
}

/// Every call refuses the condition: nothing is sent beyond what `update` reads, and nothing is changed.
async fn refused_everywhere(condition: Condition, words: &[&str]) {
    let (stage, accounts) = stage().await;
    let mut errors = Vec::new();
    let mut account = Account { balance: 5, ..alice(1) };
    macro_rules! refuses {
        ($($call:ident),*) => {$(
            errors.push(refused(&mut account, async |account| accounts.$call(account).condition(condition.clone()).await).await);
        )*};
    }
    refuses!(create, save, replace, touch);
    errors.push(accounts.delete(&account).condition(condition.clone()).await.unwrap_err());
    assert_eq!(stage.operations(), [""; 0], "{condition:?}");
    let update = accounts.update("alice", |account| account.balance = 5).condition(condition.clone());
    errors.push(update.await.unwrap_err());
    let change = |account: &mut Account| {
        account.balance = 5;
        Ok::<_, Error>(())
    };
    errors.push(accounts.try_update("alice", change).condition(condition.clone()).await.unwrap_err());
    let operations = stage.operations();
    assert!(operations.iter().all(|operation| operation == "GetItem"), "{condition:?}: {operations:?}");
    for error in errors {
        let Error::InvalidRequest { table, problem } = &error else { panic!("{condition:?}: {error:?}") };
        assert_eq!(&**table, accounts.name());
        assert!(problem.contains("condition"), "{problem}");
        for word in words {
            assert!(problem.contains(word), "{word} is missing in {problem}");
        }
        assert!(error.to_string().contains(accounts.name()), "{error}");
        assert!(!error.is_retryable() && !error.is_conflict());
    }
    assert_eq!(stage.stored_alice().await, json!({ "id": "alice", "balance": 100, "version": 1 }));
}

#[tokio::test]
async fn a_reserved_placeholder_is_refused() {
    refused_everywhere(
        Condition::new("#_v = :x").name("#_v", "balance").value(":x", 1),
        &["#_v", "reserved"],
    )
    .await;
    refused_everywhere(Condition::new("balance = :_x").value(":_x", 1), &[":_x", "reserved"]).await;
    refused_everywhere(Condition::new("balance = :_v"), &[":_v", "reserved"]).await;
    refused_everywhere(Condition::new("#_0 = :x").value(":x", 1), &["#_0", "reserved"]).await;
    let unused = Condition::new("balance = :x").value(":x", 1).value(":_w", 7);
    refused_everywhere(unused, &[":_w", "reserved"]).await;
}

#[tokio::test]
async fn a_missing_placeholder_is_named() {
    refused_everywhere(Condition::new("balance = :least"), &[":least", "value"]).await;
    refused_everywhere(Condition::new("#b = :x").value(":x", 1), &["#b", "name"]).await;
    let close = Condition::new("balance = :xy").value(":x", 1);
    refused_everywhere(close, &[":xy"]).await;
    let joined = Condition::new("balance=:x").value(":x ", 1);
    refused_everywhere(joined, &[":x"]).await;
}

#[tokio::test]
async fn an_unused_placeholder_is_named() {
    refused_everywhere(Condition::new("balance = :x").value(":x", 1).value(":spare", 2), &[":spare"]).await;
    refused_everywhere(Condition::new("balance = :x").value(":x", 1).name("#spare", "b"), &["#spare"]).await;
    let unmarked = Condition::new("balance = :x").value(":x", 1).value("least", 2);
    refused_everywhere(unmarked, &["least"]).await;
}

#[tokio::test]
async fn a_contradicting_placeholder_is_named() {
    let twice = Condition::new("a = :x").value(":x", 1).value(":x", 2);
    refused_everywhere(twice, &[":x"]).await;
    let (stage, accounts) = stage().await;
    let one = Condition::new("a = :x").value(":x", 1);
    let other = Condition::new("b = :x").value(":x", "1");
    let touch =
        async |account: &mut _| accounts.touch(account).condition(one.clone()).condition(other.clone()).await;
    let error = refused(&mut alice(1), touch).await;
    assert!(matches!(&error, Error::InvalidRequest { problem, .. } if problem.contains(":x")), "{error:?}");
    let one = Condition::new("#n = :x").name("#n", "a").value(":x", 1);
    let other = Condition::new("#n = :x").name("#n", "b").value(":x", 1);
    let touch =
        async |account: &mut _| accounts.touch(account).condition(one.clone()).condition(other.clone()).await;
    let error = refused(&mut alice(1), touch).await;
    assert!(matches!(&error, Error::InvalidRequest { problem, .. } if problem.contains("#n")), "{error:?}");
    assert_eq!(stage.operations(), [""; 0]);
}

#[tokio::test]
async fn an_empty_condition_is_refused() {
    for empty in ["", "  ", "()", "( ( ) )"] {
        refused_everywhere(Condition::new(empty), &["empty"]).await;
    }
    let (stage, accounts) = stage().await;
    let good = Condition::new("attribute_exists(id)");
    let touch = async |account: &mut _| {
        accounts.touch(account).condition(good.clone()).condition(Condition::new("")).await
    };
    assert!(matches!(refused(&mut alice(1), touch).await, Error::InvalidRequest { .. }));
    assert_eq!(stage.operations(), [""; 0]);
}

#[tokio::test]
async fn unbalanced_parentheses_are_refused() {
    let of = |expression: &str| Condition::new(expression).value(":x", 1);
    for early in ["balance = :x) OR (attribute_exists(id)", "balance = :x)", ") OR (balance = :x"] {
        refused_everywhere(of(early), &["parenthesis"]).await;
    }
    for open in ["(balance = :x", "attribute_exists(id AND balance = :x", "((balance = :x)"] {
        refused_everywhere(of(open), &["parenthesis"]).await;
    }
}

#[tokio::test]
async fn a_value_that_has_no_form_is_named() {
    struct Broken;

    impl serde::Serialize for Broken {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("as the test wants"))
        }
    }

    refused_everywhere(Condition::new("balance = :x").value(":x", Broken), &[":x"]).await;
    refused_everywhere(Condition::new("balance = :x").value(":x", u128::MAX), &[":x"]).await;
}

/// What only DynamoDB can know is DynamoDB's error, and the object stays as it was.
#[tokio::test]
async fn an_expression_that_dynamodb_cannot_read_is_its_error() {
    let (stage, accounts) = stage().await;
    for expression in ["balance is fine", "balance ==", "size(balance", "name = balance"] {
        let condition = Condition::new(expression);
        let error =
            refused(&mut alice(1), async |account| accounts.save(account).condition(condition).await).await;
        match &error {
            Error::Sdk(failure) => assert_eq!(failure.code(), Some("ValidationException")),
            Error::InvalidRequest { .. } => {}
            _ => panic!("{expression}: {error:?}"),
        }
    }
    assert_eq!(stage.stored_alice().await["version"], 1);
}
