//! A caller's condition is refused, or means just what it says beside the version check: no condition lets a write through
//! that expects another version.

use std::cell::LazyCell;

use arbitrary::{Result, Unstructured};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use dynalock::embedded::Engine;
use dynalock::{Condition, Error, Table, Versioned};
use serde::{Deserialize, Serialize};

use crate::draw::{self, Item};
use crate::{MARK, block_on, shows_no_data};

const TABLE: &str = "accounts";
const STORED: u64 = 3;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
#[dynalock(stamps = 0)]
struct Account {
    #[dynalock(partition_key)]
    id: String,
    balance: i64,
    status: String,
    #[dynalock(version)]
    version: u64,
}

fn account(version: u64) -> Account {
    Account { id: "a".into(), balance: 100, status: MARK.into(), version }
}

thread_local! {
    /// A table with one item at version 3. Its client sends what the SDK sends.
    static CLIENT: LazyCell<Client> = LazyCell::new(|| {
        let client = Engine::in_memory().client();
        block_on(async {
            Table::<Account>::new(&client, TABLE).create_table().await.expect("the table is new");
            put(&client, None).await.expect("nothing is in the way");
        });
        client
    });
}

fn stored() -> Item {
    serde_dynamo::to_item(account(STORED)).expect("an account is an item")
}

/// Whether a condition lets a write through, and where it is none, why.
type Passes = std::result::Result<bool, String>;

/// A value for a placeholder, as an application has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
enum Given {
    Number(i64),
    Text(String),
    Flag(bool),
    List(Vec<Given>),
    Nothing,
}

impl Given {
    fn draw(bytes: &mut Unstructured<'_>) -> Result<Self> {
        Ok(match bytes.int_in_range(0..=8)? {
            0 => Self::Number(100),
            1 => Self::Number(STORED.cast_signed()),
            2 => Self::Number(0),
            3 => Self::Number(bytes.arbitrary()?),
            4 => Self::Text(MARK.into()),
            5 => Self::Text(draw::text(bytes)?),
            6 => Self::Flag(bytes.arbitrary()?),
            7 => Self::List(vec![Self::Number(1), Self::Text("S".into())]),
            _ => Self::Nothing,
        })
    }

    /// What the SDK takes.
    fn attribute(&self) -> AttributeValue {
        serde_dynamo::to_attribute_value(self).expect("each of these has a form in DynamoDB")
    }
}

/// A condition as the target hands it over.
#[derive(Debug)]
struct Drawn {
    expression: String,
    names: Vec<(String, String)>,
    values: Vec<(String, Given)>,
}

/// The expression without parentheses around all of it: DynamoDB refuses two pairs of them, and dynalock takes them off.
fn bare(expression: &str) -> &str {
    let expression = expression.trim();
    let mut depth = 0_usize;
    let closes_first = expression.char_indices().find_map(|(place, c)| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        (depth == 0).then_some(place)
    });
    match closes_first {
        Some(place) if place > 0 && place + 1 == expression.len() => bare(&expression[1..place]),
        _ => expression,
    }
}

/// Stores the item as it is, if the condition holds.
async fn put(client: &Client, condition: Option<&Drawn>) -> Passes {
    let mut put = client.put_item().table_name(TABLE).set_item(Some(stored()));
    if let Some(Drawn { expression, names, values }) = condition {
        put = put.condition_expression(bare(expression));
        for (placeholder, name) in names {
            put = put.expression_attribute_names(placeholder, name);
        }
        for (placeholder, value) in values {
            put = put.expression_attribute_values(placeholder, value.attribute());
        }
    }
    match put.send().await.map_err(aws_sdk_dynamodb::Error::from) {
        Ok(_) => Ok(true),
        Err(aws_sdk_dynamodb::Error::ConditionalCheckFailedException(_)) => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}

/// Words that conditions are made of, and some that could break out of one.
const WORDS: [&str; 48] = [
    "(",
    ")",
    " AND ",
    " OR ",
    "NOT ",
    " = ",
    " <> ",
    " < ",
    " <= ",
    " > ",
    " >= ",
    " BETWEEN ",
    " IN ",
    ",",
    " ",
    ".",
    "[0]",
    "attribute_exists",
    "attribute_not_exists",
    "attribute_type",
    "begins_with",
    "contains",
    "size",
    "id",
    "balance",
    "status",
    "version",
    "#a",
    "#b",
    "#_v",
    "#_k",
    "#",
    ":a",
    ":b",
    ":_v",
    ":_n",
    ":",
    "\n",
    "\t",
    "'",
    "\"",
    "--",
    "\0",
    "ä",
    "1=1",
    "(balance > :a)",
    "attribute_exists(id)",
    "balance = balance",
];

/// Clauses that hold for every item, or for none.
const CLAUSES: [&str; 8] = [
    "attribute_exists(id)",
    "attribute_not_exists(id)",
    "balance >= :a",
    "status = :b",
    "#a = #a",
    "size(status) > :a",
    "#b IN (:a, :b)",
    "NOT contains(status, :b)",
];

fn expression(bytes: &mut Unstructured<'_>) -> Result<String> {
    let mut expression = String::new();
    let tame = bytes.arbitrary()?;
    for index in 0..bytes.int_in_range(1..=12)? {
        if tame {
            let joint =
                if index == 0 { "" } else { *bytes.choose(&[" AND ", " OR ", ") OR (", " AND NOT "])? };
            expression.push_str(joint);
            let clause = *bytes.choose(&CLAUSES)?;
            match bytes.int_in_range(0..=3)? {
                0 => expression.extend(["(", clause, ")"]),
                _ => expression.push_str(clause),
            }
        } else if bytes.ratio(1, 16)? {
            expression.push(bytes.arbitrary()?);
        } else {
            expression.push_str(bytes.choose(&WORDS)?);
        }
    }
    Ok(expression)
}

fn drawn(bytes: &mut Unstructured<'_>) -> Result<Drawn> {
    let mut expression = expression(bytes)?;
    if bytes.ratio(1, 8)? {
        expression = format!("({expression})");
    }
    let (mut names, mut values) = (Vec::new(), Vec::new());
    for placeholder in ["#a", "#b", "#_v", "#"] {
        // What is used is given, but for once in a while.
        if expression.contains(placeholder) != bytes.ratio(1, 32)? {
            let name = *bytes.choose(&["balance", "status", "version", "id", "none", "a.b", ""])?;
            names.push((placeholder.to_owned(), name.to_owned()));
        }
    }
    for placeholder in [":a", ":b", ":_v", ":"] {
        if expression.contains(placeholder) != bytes.ratio(1, 32)? {
            values.push((placeholder.to_owned(), Given::draw(bytes)?));
        }
    }
    Ok(Drawn { expression, names, values })
}

fn condition(drawn: &Drawn) -> Condition {
    let mut condition = Condition::new(&drawn.expression);
    for (placeholder, name) in &drawn.names {
        condition = condition.name(placeholder, name);
    }
    for (placeholder, value) in &drawn.values {
        condition = condition.value(placeholder, value);
    }
    condition
}

async fn run(client: &Client, drawn: &Drawn, call: u8) {
    let alone = put(client, Some(drawn)).await;
    let table = Table::<Account>::new(client, TABLE);
    for version in [STORED, STORED + 1, STORED - 1, 0] {
        let mut object = account(version);
        let write = condition(drawn);
        let ended = match call {
            0 => table.save(&mut object).condition(write).await,
            1 => table.touch(&mut object).condition(write).await,
            2 => table.replace(&mut object).condition(write).await,
            _ => table.delete(&object).condition(write).await.map(drop),
        };
        if let Err(error) = &ended {
            shows_no_data(error);
        }
        let now = table.get("a").await.expect("the engine answers");
        let untouched = now == Some(account(STORED));
        assert_eq!(ended.is_err(), untouched, "{ended:?} at {version}: {drawn:?} left {now:?}");
        if version != STORED {
            assert!(ended.is_err(), "a write that expects version {version} went through: {drawn:?}");
            continue;
        }
        let agree = match (&ended, &alone) {
            // Refused before it was sent: always allowed.
            (Err(Error::InvalidRequest { .. }), _) => true,
            (Ok(()), alone) => *alone == Ok(true),
            (Err(Error::ConditionFailed(_)), alone) => *alone == Ok(false),
            (Err(error), alone) => matches!(error, Error::Sdk(_)) && alone.is_err(),
        };
        assert!(agree, "{ended:?}, but alone it is {alone:?}: {drawn:?}");
        put(client, None).await.expect("the engine answers");
    }
}

/// Panics if `bytes` make a condition that weakens the version check.
pub fn check(bytes: &[u8]) {
    let mut bytes = Unstructured::new(bytes);
    // Bytes that end too early make no condition.
    let Ok(call) = bytes.int_in_range(0..=3) else { return };
    let Ok(drawn) = drawn(&mut bytes) else { return };
    CLIENT.with(|client| block_on(run(client, &drawn, call)));
}
