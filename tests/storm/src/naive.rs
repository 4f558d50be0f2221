//! What a loop by hand does in place of dynalock: get, change, put if the version is unchanged, and again if it is not. A storm must
//! find out that it counts twice.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::Failure;
use crate::entry::{Entry, TABLE, Use};
use crate::log::{Answer, Call, Kind, Seen};
use crate::program::Program;

const MAX_ATTEMPTS: u32 = 50;

/// Changes some tally.
pub(crate) async fn step(program: &Program, dice: &mut fastrand::Rng) -> Result<(), Failure> {
    let mut keys = Use::Tally.keys(program.generation());
    keys = vec![keys.swap_remove(dice.usize(0..keys.len()))];
    let id = program.next_id();
    let call = Call { id: id.clone(), kind: Kind::Update, keys: keys.clone(), held: None };
    let change = async { change(program, &keys[0], &id).await.unwrap_or(Answer::Unknown { applied: None }) };
    program.logged(&call, change).await
}

/// Any error but a failed check ends it: whether the change was applied is then unknown.
async fn change(program: &Program, key: &str, id: &str) -> Result<Answer, Failure> {
    for _ in 0..MAX_ATTEMPTS {
        let get = program.client.get_item().table_name(TABLE).consistent_read(true);
        let item = get.key("key", AttributeValue::S(key.to_owned())).send().await?.item;
        let put = program.client.put_item().table_name(TABLE);
        let (put, mut entry) = match item {
            Some(item) => {
                let entry = program.plain.parse(item)?;
                let put = put.condition_expression("version = :v");
                let read = AttributeValue::N(entry.version.to_string());
                (put.expression_attribute_values(":v", read), entry)
            }
            None => (
                put.condition_expression("attribute_not_exists(version)"),
                Entry { key: key.to_owned(), marks: Vec::new(), balance: 0, version: 0 },
            ),
        };
        entry.marks.push(id.to_owned());
        entry.version += 1;
        let marks = entry.marks.iter().cloned().map(AttributeValue::S).collect();
        let put = put
            .item("key", AttributeValue::S(entry.key.clone()))
            .item("marks", AttributeValue::L(marks))
            .item("balance", AttributeValue::N(entry.balance.to_string()))
            .item("version", AttributeValue::N(entry.version.to_string()));
        match put.send().await {
            Ok(_) => return Ok(Answer::Ok(vec![Seen::of(&entry)])),
            Err(error) => {
                let error = error.into_service_error();
                if !error.is_conditional_check_failed_exception() {
                    return Err(error.into());
                }
            }
        }
    }
    Ok(Answer::Failed { error: "others were faster".to_owned(), stored: None })
}
