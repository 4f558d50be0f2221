//! Which IAM actions each call needs: what it sends, beside the guide's page about permissions. On the embedded engine, since
//! what is sent does not depend on the store.

use std::collections::BTreeSet;

use dynalock::{Error, Transaction, transact};
use dynalock_tests::recording::Sent;
use serde_json::{Value, json};

use crate::fixtures::{Account, Stage, alice};

const PAGE: &str = include_str!("../../dynalock/docs/iam.md");

/// The page's table: its rows, and whom each is for.
#[derive(Debug, Default)]
struct Needed {
    rows: Vec<String>,
    by_role: Vec<(Role, BTreeSet<String>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Reader,
    Writer,
    Admin,
}

use Role::{Admin, Reader, Writer};

impl Needed {
    fn row(&mut self, role: Role, calls: &str, sent: &[Sent]) {
        assert!(!sent.is_empty(), "{calls} sends nothing");
        let operations = distinct(sent.iter().map(|request| request.operation.clone()));
        let actions = distinct(sent.iter().flat_map(actions));
        let named = listed(actions.iter().map(|action| format!("`dynamodb:{action}`")));
        let operations = listed(operations.iter().map(|operation| format!("`{operation}`")));
        self.rows.push(format!("| {calls} | {operations} | {named} |"));
        self.by_role.push((role, actions.into_iter().collect()));
    }

    fn of(&self, roles: &[Role]) -> BTreeSet<String> {
        let rows = self.by_role.iter().filter(|(role, _)| roles.contains(role));
        rows.flat_map(|(_, actions)| actions.clone()).collect()
    }
}

fn distinct(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut distinct = Vec::new();
    for name in names {
        if !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    distinct
}

fn listed(names: impl Iterator<Item = String>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// What a policy must allow for one request. IAM has no action for transactions, but one for each action in them:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html>.
fn actions(sent: &Sent) -> Vec<String> {
    let items = || sent.body["TransactItems"].as_array().expect("a transaction").iter();
    let kind = |item: &Value| item.as_object().unwrap().keys().next().unwrap().clone();
    match sent.operation.as_str() {
        "TransactWriteItems" => items()
            .map(|item| match kind(item).as_str() {
                "Put" => "PutItem".to_owned(),
                "Update" => "UpdateItem".to_owned(),
                "Delete" => "DeleteItem".to_owned(),
                "ConditionCheck" => "ConditionCheckItem".to_owned(),
                other => panic!("{other}"),
            })
            .collect(),
        "TransactGetItems" => items()
            .map(|item| {
                assert_eq!(kind(item), "Get");
                "GetItem".to_owned()
            })
            .collect(),
        operation => vec![operation.to_owned()],
    }
}

fn bob() -> Account {
    Account { id: "bob".into(), ..alice(0) }
}

#[tokio::test]
async fn the_guide_names_the_actions_that_each_call_needs() {
    let mut needed = Needed::default();
    let stage = Stage::on(&dynalock_tests::engines::Store::memory());
    let accounts = stage.table::<Account>();
    let rival = stage.rival_table::<Account>();

    accounts.create_table().await.unwrap();
    needed.row(Admin, "`create_table`", &stage.requests());

    accounts.get("alice").await.unwrap();
    needed.row(Reader, "`get`", &stage.requests());
    accounts.get_many(["alice", "bob"]).await.unwrap();
    needed.row(Reader, "`get_many`", &stage.requests());

    let mut held = alice(0);
    accounts.create(&mut held).await.unwrap();
    accounts.create_all([&mut bob()]).await.into_result().unwrap();
    accounts.replace(&mut held).await.unwrap();
    needed.row(Writer, "`create`, `create_all`, `replace`", &stage.requests());
    accounts.save(&mut held).await.unwrap();
    accounts.save_all([&mut held]).await.into_result().unwrap();
    accounts.touch(&mut held).await.unwrap();
    needed.row(Writer, "`save`, `save_all`, `touch`", &stage.requests());
    accounts.delete(&held).await.unwrap();
    rival.create(&mut held).await.unwrap();
    accounts.delete_all([&held]).await.into_result().unwrap();
    needed.row(Writer, "`delete`, `delete_all`", &stage.requests());
    let mut erin = Account { id: "erin".into(), ..alice(0) };
    accounts.create(&mut erin).in_transaction().await.unwrap();
    needed.row(Writer, "`create(..).in_transaction()`", &stage.requests());

    let earn = |account: &mut Account| account.balance += 1;
    accounts.update("bob", earn).await.unwrap();
    let try_to_earn = |account: &mut Account| {
        earn(account);
        Ok::<_, Error>(())
    };
    accounts.try_update("bob", try_to_earn).await.unwrap();
    needed.row(Writer, "`update`, `try_update`", &stage.requests());
    accounts.update_or_create("alice", || alice(0), earn).await.unwrap();
    accounts.update_or_create("alice", || alice(0), earn).await.unwrap();
    needed.row(Writer, "`update_or_create`", &stage.requests());

    let mut held = rival.get("alice").await.unwrap().unwrap();
    let mut carol = Account { id: "carol".into(), ..alice(0) };
    Transaction::new(&stage.client).create(&accounts, &mut carol).commit().await.unwrap();
    Transaction::new(&stage.client).replace(&accounts, &mut carol).commit().await.unwrap();
    needed.row(Writer, "`Transaction`: `create`, `replace`", &stage.requests());
    Transaction::new(&stage.client).save(&accounts, &mut held).commit().await.unwrap();
    Transaction::new(&stage.client).touch(&accounts, &mut held).commit().await.unwrap();
    needed.row(Writer, "`Transaction`: `save`, `touch`", &stage.requests());
    Transaction::new(&stage.client).delete(&accounts, &carol).commit().await.unwrap();
    needed.row(Writer, "`Transaction`: `delete`", &stage.requests());
    Transaction::new(&stage.client).check(&accounts, &held).commit().await.unwrap();
    needed.row(Writer, "`Transaction`: `check`", &stage.requests());

    let tables = &accounts;
    let read_only = transact(&stage.client, move |tx| async move {
        tx.get(tables, "alice").await?;
        tx.get(tables, "bob").await
    });
    read_only.await.unwrap();
    needed.row(Reader, "`transact` that only reads", &stage.requests());
    let read_two_save_one = transact(&stage.client, move |tx| async move {
        tx.get(tables, "alice").await?;
        let mut bob = tx.get(tables, "bob").await?.expect("stored");
        bob.balance += 1;
        tx.save(tables, bob)
    });
    read_two_save_one.await.unwrap();
    needed.row(Writer, "`transact` that saves one item and only reads another", &stage.requests());

    stage.faults.deny_item();
    let other_copy = &stage.table::<Account>();
    let mut old = rival.get("bob").await.unwrap().unwrap();
    rival.update("bob", earn).await.unwrap();
    let error = other_copy.save(&mut old).await.unwrap_err();
    assert!(error.is_conflict(), "{error:?}");
    needed.row(Writer, "`save`, refused, where DynamoDB may not tell the item", &stage.requests());

    let table = format!("|---|---|---|\n{}\n\n", needed.rows.join("\n"));
    assert!(PAGE.contains(&table), "the page has another table than\n{table}");
    assert_policies(&needed);
}

/// The page's policies allow what the rows need, and nothing else.
fn assert_policies(needed: &Needed) {
    let policies = policies();
    let [reader, writer, tenant, deployer] = policies.as_slice() else { panic!("{policies:?}") };
    assert_eq!(allowed(reader), needed.of(&[Reader]));
    assert_eq!(allowed(writer), needed.of(&[Reader, Writer]));
    assert_eq!(allowed(tenant), needed.of(&[Reader, Writer]));
    assert_eq!(allowed(deployer), needed.of(&[Admin]));
    let conditions: Vec<_> = policies.iter().map(|policy| &policy["Statement"][0]["Condition"]).collect();
    let leading =
        json!({ "ForAllValues:StringLike": { "dynamodb:LeadingKeys": ["${aws:PrincipalTag/tenant}#*"] } });
    assert_eq!(conditions, [&Value::Null, &Value::Null, &leading, &Value::Null]);
}

fn policies() -> Vec<Value> {
    let blocks = PAGE.split("```json").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.map(|block| serde_json::from_str(block).unwrap()).collect()
}

fn allowed(policy: &Value) -> BTreeSet<String> {
    let statements = policy["Statement"].as_array().unwrap();
    assert_eq!((statements.len(), &statements[0]["Effect"]), (1, &json!("Allow")));
    let actions = statements[0]["Action"].as_array().unwrap().iter();
    actions.map(|action| action.as_str().unwrap().strip_prefix("dynamodb:").unwrap().to_owned()).collect()
}
