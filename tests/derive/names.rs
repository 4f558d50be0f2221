//! Attributes are named as serde names them.

use std::collections::HashMap;

use dynalock::Versioned;
use serde::{Deserialize, Serialize};

/// The names that serde gives to the fields of `value`, sorted.
fn stored(value: &impl Serialize) -> Vec<String> {
    let value = serde_json::to_value(value).expect("the value is serializable");
    let mut names: Vec<String> = value.as_object().expect("a struct is a map").keys().cloned().collect();
    names.sort();
    names
}

/// The names that the derive has found, sorted.
fn known<T: Versioned>() -> Vec<&'static str> {
    let mut names = T::SCHEMA.attributes.to_vec();
    names.sort_unstable();
    names
}

macro_rules! every_case {
    ($($test:ident: $case:literal => $partition_key:literal, $version:literal;)*) => {$(
        #[test]
        fn $test() {
            #[derive(Serialize, Deserialize, Versioned)]
            #[serde(rename_all = $case)]
            struct Account {
                #[dynalock(partition_key)]
                owner_id: String,
                _opened_at_2: u64,
                #[dynalock(version)]
                row_version: u64,
            }

            let account = Account { owner_id: "alice".into(), _opened_at_2: 7, row_version: 0 };
            assert_eq!(stored(&account), known::<Account>());
            assert_eq!(Account::SCHEMA.partition_key.name, $partition_key);
            assert_eq!(Account::SCHEMA.version, $version);
        }
    )*};
}

every_case! {
    lower_case_is_as_serde_has_it: "lowercase" => "owner_id", "row_version";
    upper_case_is_as_serde_has_it: "UPPERCASE" => "OWNER_ID", "ROW_VERSION";
    pascal_case_is_as_serde_has_it: "PascalCase" => "OwnerId", "RowVersion";
    camel_case_is_as_serde_has_it: "camelCase" => "ownerId", "rowVersion";
    snake_case_is_as_serde_has_it: "snake_case" => "owner_id", "row_version";
    screaming_snake_case_is_as_serde_has_it: "SCREAMING_SNAKE_CASE" => "OWNER_ID", "ROW_VERSION";
    kebab_case_is_as_serde_has_it: "kebab-case" => "owner-id", "row-version";
    screaming_kebab_case_is_as_serde_has_it: "SCREAMING-KEBAB-CASE" => "OWNER-ID", "ROW-VERSION";
}

#[test]
fn a_name_of_its_own_wins_over_the_case_of_the_struct() {
    #[derive(Serialize, Deserialize, Versioned)]
    #[serde(rename_all(serialize = "camelCase", deserialize = "camelCase"), default, crate = "serde")]
    #[derive(Default)]
    struct Entry {
        #[serde(rename = "PK", default)]
        #[dynalock(partition_key)]
        cart_id: String,
        #[serde(rename(serialize = "SK", deserialize = "SK"))]
        #[dynalock(sort_key)]
        line_number: u32,
        #[serde(rename(serialize = "written", deserialize = "read", deserialize = "read_once"))]
        one_way: u8,
        unit_price: u64,
        #[serde(rename = "v", default = "u64::default")]
        #[dynalock(version)]
        row_version: u64,
    }

    assert_eq!(stored(&Entry::default()), known::<Entry>());
    assert_eq!(Entry::SCHEMA.attributes, ["PK", "SK", "written", "unitPrice", "v"]);
    assert_eq!(Entry::SCHEMA.partition_key.name, "PK");
    assert_eq!(Entry::SCHEMA.sort_key.expect("there is a sort key").name, "SK");
    assert_eq!(Entry::SCHEMA.version, "v");
}

#[test]
fn a_field_that_serde_may_leave_out_is_known_and_one_that_it_never_writes_is_not() {
    #[derive(Serialize, Deserialize, Versioned)]
    #[serde(tag = "kind")]
    struct Account {
        #[dynalock(partition_key)]
        id: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String>,
        #[serde(skip)]
        cached: u8,
        #[serde(skip_serializing, default)]
        former_name: Option<String>,
        #[serde(skip_deserializing)]
        shown: String,
        #[serde(alias = "sum", with = "i64")]
        balance: i64,
        #[serde(flatten)]
        others: HashMap<String, u8>,
        #[dynalock(version)]
        version: u64,
    }

    let account = Account {
        id: "alice".into(),
        note: Some("new".into()),
        cached: 1,
        former_name: None,
        shown: "Alice".into(),
        balance: 100,
        others: HashMap::from([("other".to_owned(), 1)]),
        version: 0,
    };
    assert_eq!(Account::SCHEMA.attributes, ["id", "note", "shown", "balance", "version"]);
    assert_eq!(stored(&account), ["balance", "id", "kind", "note", "other", "shown", "version"]);
    assert_eq!((account.cached, account.former_name), (1, None));
}

#[test]
fn other_names_are_known_if_serde_reads_them_as_well_as_the_one_that_it_writes() {
    #[derive(Serialize, Deserialize, Versioned)]
    #[serde(rename_all(serialize = "camelCase", deserialize = "snake_case"), tag = "kind")]
    struct Account {
        #[serde(rename = "id")]
        #[dynalock(partition_key)]
        id: String,
        #[serde(rename = "total", alias = "sum", alias = "total", alias = "amount")]
        balance: i64,
        #[serde(alias = "openedAt")]
        opened_at: u64,
        #[serde(alias = "closed")]
        closed_at: u64,
        #[serde(rename(serialize = "note", deserialize = "note", deserialize = "remark"))]
        note: String,
        #[serde(skip_serializing, default, alias = "name")]
        former_name: Option<String>,
        #[serde(skip_deserializing, alias = "shownAs", rename = "shown")]
        shown: String,
        #[serde(rename = "v")]
        #[dynalock(version)]
        version: u64,
    }

    let known = [("total", "sum"), ("total", "amount"), ("openedAt", "opened_at"), ("note", "remark")];
    assert_eq!(Account::SCHEMA.aliases, known);
    let stored = r#"{ "kind": "Account", "id": "alice", "amount": 7, "opened_at": 1, "closed": 2, "remark": "x", "v": 1 }"#;
    let account: Account = serde_json::from_str(stored).expect("serde reads the other names");
    assert_eq!((account.balance, account.opened_at, account.note.as_str()), (7, 1, "x"));
    assert_eq!((account.closed_at, account.former_name), (2, None));
}

#[test]
#[expect(unreachable_patterns)] // as rustc says of the second field that would read a name
fn a_name_that_several_fields_would_read_is_the_first_ones() {
    #[derive(Serialize, Deserialize, Versioned)]
    struct Account {
        #[dynalock(partition_key)]
        id: String,
        #[serde(skip_serializing, default)]
        sum: i64,
        #[serde(rename(serialize = "written", deserialize = "read"))]
        one_way: i64,
        #[serde(alias = "sum", alias = "read", alias = "name", alias = "")]
        first: i64,
        #[serde(alias = "name", alias = "first", alias = "family_name")]
        last: String,
        #[dynalock(version)]
        version: u64,
    }

    assert_eq!(Account::SCHEMA.aliases, [("first", "name"), ("last", "family_name")]);
    let stored = r#"{ "id": "alice", "sum": 1, "read": 2, "name": 3, "family_name": "L", "version": 4 }"#;
    let account: Account = serde_json::from_str(stored).expect("serde reads the other names");
    assert_eq!((account.sum, account.one_way, account.first, account.last.as_str()), (1, 2, 3, "L"));
}

#[test]
fn a_raw_identifier_is_stored_under_its_bare_name() {
    #[derive(Serialize, Deserialize, Versioned)]
    struct r#Move {
        #[dynalock(partition_key)]
        r#type: String,
        #[dynalock(sort_key)]
        r#loop: u8,
        #[dynalock(version)]
        r#gen: u32,
    }

    let mut stored_move = Move { r#type: "castling".into(), r#loop: 1, r#gen: 4 };
    assert_eq!(stored(&stored_move), known::<Move>());
    assert_eq!(Move::SCHEMA.attributes, ["type", "loop", "gen"]);
    assert_eq!(Move::SCHEMA.partition_key.name, "type");
    assert_eq!(Move::SCHEMA.version, "gen");
    assert_eq!(stored_move.__version(), 4);
    stored_move.__set_version(5);
    assert_eq!(stored_move.r#gen, 5);
}
