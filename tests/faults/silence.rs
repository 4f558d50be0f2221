//! I12: no attribute value appears in what dynalock displays or prints, whatever goes wrong.

use std::collections::HashMap;
use std::error::Error as StdError;

use aws_sdk_dynamodb::types::AttributeValue;
use dynalock::testing::{Fault, Reply};
use dynalock::{Condition, Error, Table, Versioned};
use serde::{Deserialize, Serialize};

use crate::world::{World, refusal};

const SECRET: &str = "hunter2";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
#[serde(deny_unknown_fields)]
struct Vault {
    #[dynalock(partition_key)]
    id: String,
    password: String,
    notes: HashMap<String, String>,
    level: Level,
    #[dynalock(version)]
    version: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Level {
    Low,
}

fn vault() -> Vault {
    let notes = HashMap::from([(SECRET.into(), SECRET.into())]);
    Vault { id: SECRET.into(), password: SECRET.into(), notes, level: Level::Low, version: 1 }
}

/// Follows the causes as well, up to the SDK's own errors, which may say what DynamoDB said.
#[track_caller]
fn assert_silent(error: &Error) {
    let mut shown = vec![format!("{error} {error:?} {error:#?}")];
    let mut source = error.source();
    while let Some(cause) = source.filter(|cause| !cause.is::<aws_sdk_dynamodb::Error>()) {
        shown.push(format!("{cause} {cause:?}"));
        source = cause.source();
    }
    for shown in shown {
        assert!(!shown.contains(SECRET), "{shown}");
    }
}

/// Every error that a call can end in, each on an item full of secrets.
#[tokio::test(start_paused = true)]
async fn no_error_of_a_call_shows_a_value() {
    let lost =
        [Fault::RequestLost, Fault::ReplyLost, Fault::Truncated, Fault::BodyCutOff, Fault::ClosedByServer];
    let refused = ["AccessDeniedException", "ValidationException", "ExceptionOfNextYear"];
    let mut scripts = vec![vec![Fault::Pass], vec![Fault::ItemWithheld]];
    scripts.extend(lost.map(|fault| vec![fault; 200]));
    scripts.extend(refused.map(|exception| vec![refusal(exception)]));
    scripts.extend(refused.map(|exception| vec![Fault::ReplyLost, refusal(exception)]));
    // A reply whose words hold the item, as a mapper between us and the store may send it.
    let mut telling = Reply::new(400, "ConditionalCheckFailedException");
    telling.message = format!("{{\"Item\":{{\"password\":{{\"S\":\"{SECRET}\"}}}}}}");
    scripts.push(vec![Fault::Instead(telling)]);
    for script in scripts {
        let world = World::new().await;
        let (ours, rivals) = (
            Table::<Vault>::new(&world.client, "accounts"),
            Table::<Vault>::new(&world.store.client(), "accounts"),
        );
        rivals.create(&mut vault()).await.unwrap();
        rivals.update(SECRET, |vault| vault.password.push('3')).await.unwrap();
        for operation in ["PutItem", "UpdateItem", "DeleteItem", "GetItem", "BatchGetItem"] {
            world.faults.script(operation, script.iter().cloned());
        }
        let secret = || Condition::new("password = :p").value(":p", "hunter2?");
        let mut stale = vault();
        let errors = [
            ours.create(&mut stale.clone()).await.err(),
            ours.save(&mut stale).condition(secret()).await.err(),
            ours.replace(&mut stale).await.err(),
            ours.touch(&mut stale).await.err(),
            ours.delete(&stale).await.err(),
            ours.update(SECRET, |vault| vault.password.push('!')).condition(secret()).await.err(),
            ours.update(SECRET, |vault| vault.id.push('!')).await.err(),
            ours.update_or_create("hunter22", vault, |_| ()).await.err(),
            ours.get(SECRET).await.err(),
            ours.get_many([SECRET]).await.err(),
        ];
        assert!(errors.iter().flatten().count() > 0, "{script:?}");
        for error in errors.iter().flatten() {
            assert_silent(error);
            let (Error::Conflict(conflict)
            | Error::AlreadyExists(conflict)
            | Error::ConditionFailed(conflict)) = error
            else {
                continue;
            };
            // Another struct does not fit, and the error of that is silent too.
            if let Err(error) = conflict.current::<crate::world::Account>() {
                assert_silent(&error);
            }
        }
    }
}

/// Items that don't fit: serde's own messages quote what they found.
#[tokio::test(start_paused = true)]
async fn no_error_of_an_item_that_does_not_fit_shows_a_value() {
    let world = World::new().await;
    let vaults = Table::<Vault>::new(&world.client, "accounts");
    let text = |text: &str| AttributeValue::S(text.into());
    let entry = |value: AttributeValue| AttributeValue::M(HashMap::from([(SECRET.to_owned(), value)]));
    let fits = HashMap::from([
        ("id".to_owned(), text(SECRET)),
        ("password".to_owned(), text(SECRET)),
        ("notes".to_owned(), entry(text(SECRET))),
        ("level".to_owned(), text("Low")),
        ("version".to_owned(), AttributeValue::N("1".into())),
    ]);
    assert_eq!(vaults.parse(fits.clone()).unwrap(), vault());
    let misfits = [
        ("level", text(SECRET)),
        ("password", AttributeValue::N("7007".into())),
        ("notes", entry(AttributeValue::N("7007".into()))),
        ("notes", text(SECRET)),
        ("version", text(SECRET)),
        ("version", AttributeValue::N("7007.5".into())),
        ("another", text(SECRET)),
    ];
    for (attribute, value) in misfits {
        let mut item = fits.clone();
        item.insert(attribute.into(), value);
        let error = vaults.parse(item).unwrap_err();
        assert_silent(&error);
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("7007"), "{shown}");
        assert!(shown.contains(attribute) && shown.contains("accounts"), "{shown}");
    }
}

/// What can be printed without an error: calls that wait, conditions, writes.
#[tokio::test(start_paused = true)]
async fn no_call_condition_or_write_shows_a_value() {
    let world = World::new().await;
    let vaults = Table::<Vault>::new(&world.client, "accounts");
    let condition = || Condition::new("password = :p").value(":p", SECRET);
    let mut held = vault();
    let mut shown = vec![
        format!("{:?}", condition()),
        format!("{vaults:?}"),
        format!("{:?}", vaults.get(SECRET)),
        format!("{:?}", vaults.delete(&held).condition(condition())),
        format!("{:?}", vaults.update(SECRET, |_| ()).condition(condition())),
        format!("{:?}", vaults.try_update(SECRET, |_| Ok::<_, Error>(())).condition(condition())),
        format!("{:?}", vaults.update_or_create(SECRET, vault, |_| ())),
    ];
    let writes = [
        held.create_write(),
        held.save_write(),
        held.replace_write(),
        held.touch_write(),
        held.delete_write(),
    ];
    shown.extend(writes.map(|write| format!("{:?}", write.unwrap())));
    shown.push(format!("{:?}", vaults.save(&mut held).condition(condition())));
    for shown in shown {
        assert!(!shown.contains(SECRET), "{shown}");
    }
}
