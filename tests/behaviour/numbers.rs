//! Numbers as keys: floats are none, and equal numbers are one key however they are written.

use dynalock::{Error, Table, Transaction, Versioned, transact};
use dynalock_tests::engines::{self, Store};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;

use crate::fixtures::{Stage, number};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Ratio(f64);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Small {
    inner: Half,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Half(f32);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
struct ByRatio {
    #[dynalock(partition_key)]
    ratio: Ratio,
    #[dynalock(version)]
    version: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
struct BySmall {
    #[dynalock(partition_key)]
    id: String,
    #[dynalock(sort_key)]
    small: Small,
    #[dynalock(version)]
    version: u64,
}

fn assert_float(error: &Error, name: &str) {
    let Error::InvalidItem { table, attribute, problem } = error else { panic!("{error:?}") };
    assert_eq!((table.is_empty(), &**attribute), (false, name), "{error}");
    assert!(problem.contains("floating-point") && problem.contains("an integer"), "{problem}");
}

/// The macro sees no further than the newtype.
#[tokio::test]
async fn a_float_is_no_key_however_it_is_wrapped_and_whatever_it_holds() {
    let stage = Stage::on(&Store::memory());
    let table = stage.table::<ByRatio>();
    for ratio in [0.5, -0.0, 0.0, 100.0, 1e-9] {
        let (key, object) = (Ratio(ratio), ByRatio { ratio: Ratio(ratio), version: 1 });
        let held = &mut object.clone();
        let errors = [
            table.get(&key).await.map(drop).unwrap_err(),
            table.get_many([&key]).await.map(drop).unwrap_err(),
            table.update(&key, |_| ()).await.map(drop).unwrap_err(),
            table.update_or_create(&key, || object.clone(), |_| ()).await.map(drop).unwrap_err(),
            table.create(held).await.unwrap_err(),
            table.save(held).await.unwrap_err(),
            table.replace(held).await.unwrap_err(),
            table.touch(held).await.unwrap_err(),
            table.delete(held).await.map(drop).unwrap_err(),
            Transaction::new(&stage.client).save(&table, held).commit().await.unwrap_err(),
            transact(&stage.client, async |tx| tx.get(&table, &key).await.map(drop)).await.unwrap_err(),
            transact(&stage.client, async |tx| tx.save(&table, object.clone())).await.unwrap_err(),
            table.create_table().await.unwrap_err(),
        ];
        for error in &errors {
            assert_float(error, "ratio");
        }
        assert_eq!(stage.operations(), [""; 0]);
    }
}

#[tokio::test]
async fn a_float_is_no_sort_key() {
    let (stage, small) = (Stage::on(&Store::memory()), || Small { inner: Half(3.0) });
    let table = stage.table::<BySmall>();
    let object = BySmall { id: "a".into(), small: small(), version: 1 };
    let errors = [
        table.get(("a", small())).await.map(drop).unwrap_err(),
        table.get_many([("a", small())]).await.map(drop).unwrap_err(),
        table.update(("a", small()), |_| ()).await.map(drop).unwrap_err(),
        table.create(&mut object.clone()).await.unwrap_err(),
        table.delete(&object).await.map(drop).unwrap_err(),
        table.create_table().await.unwrap_err(),
    ];
    for error in &errors {
        assert_float(error, "small");
    }
    assert_eq!(stage.operations(), [""; 0]);
}

/// A number whose type does not say what it asks for: nobody sees that it is a float before there is a value.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Amount(f64);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl serde::de::Visitor<'_> for Number {
            type Value = Amount;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number")
            }
            #[allow(clippy::cast_precision_loss)] // small ones
            fn visit_i64<E>(self, amount: i64) -> Result<Amount, E> {
                Ok(Amount(amount as f64))
            }
            #[allow(clippy::cast_precision_loss)] // small ones
            fn visit_u64<E>(self, amount: u64) -> Result<Amount, E> {
                Ok(Amount(amount as f64))
            }
            fn visit_f64<E>(self, amount: f64) -> Result<Amount, E> {
                Ok(Amount(amount))
            }
        }
        deserializer.deserialize_any(Number)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
struct Price {
    #[dynalock(partition_key)]
    amount: Amount,
    name: String,
    #[dynalock(version)]
    version: u64,
}

fn price(amount: f64) -> Price {
    Price { amount: Amount(amount), name: format!("{amount}"), version: 1 }
}

/// A table whose key is a number, with these prices in it.
async fn prices(stage: &Stage, amounts: &[f64]) -> Table<Price> {
    // Its own type does not say so.
    stage.rival_table::<Numbered>().create_table().await.unwrap();
    for amount in amounts {
        stage.put(json!({ "amount": amount, "name": format!("{amount}"), "version": 1 })).await;
    }
    stage.table()
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
struct Numbered {
    #[dynalock(partition_key)]
    amount: i64,
    name: String,
    #[dynalock(version)]
    version: u64,
}

#[tokio::test]
async fn equal_numbers_are_one_key_of_get_many() {
    if engines::skipped(&["ministack"], engines::KEEPS_NOTATIONS) {
        return;
    }
    let stage = Stage::on(&Store::chosen());
    let prices = prices(&stage, &[0.0, 0.5]).await;
    assert_eq!(prices.get(Amount(-0.0)).await.unwrap(), Some(price(0.0)));
    let _ = stage.requests();
    let found = prices.get_many([Amount(-0.0), Amount(0.5), Amount(0.0), Amount(1e-9)]).await.unwrap();
    assert_eq!(found, [Some(price(0.0)), Some(price(0.5)), Some(price(0.0)), None]);
    let [request] = stage.requests().try_into().unwrap();
    let asked = request.body["RequestItems"][&stage.name]["Keys"].as_array().unwrap().len();
    assert_eq!(asked, 3, "-0 and 0 are asked for once");
}

/// DynamoDB keeps a number and not its notation.
#[tokio::test]
async fn a_number_that_comes_back_in_another_notation_is_found() {
    let notations = [
        (0.000_000_1, ["1E-7", "0.00000010", "0.1e-6"]),
        (100.0, ["1E2", "100.0", "+1e+02"]),
        (-2.5, ["-25E-1", "-2.50", "-02.5"]),
        (0.0, ["-0", "0E0", "0.00"]),
    ];
    for (amount, others) in notations {
        for notation in others {
            let stage = Stage::on(&Store::memory());
            let prices = prices(&stage, &[amount, 7.0]).await;
            stage.wire.edit("BatchGetItem", move |_, mut reply| {
                let items = reply["Responses"].as_object_mut().unwrap().values_mut().next().unwrap();
                for item in items.as_array_mut().unwrap() {
                    if item["amount"]["N"] != "7" {
                        item["amount"]["N"] = json!(notation);
                    }
                }
                reply
            });
            let found = prices.get_many([Amount(amount), Amount(7.0)]).await.unwrap();
            assert_eq!(found, [Some(price(amount)), Some(price(7.0))], "{notation}");
        }
    }
}

#[tokio::test]
async fn two_actions_for_equal_numbers_are_for_the_same_item() {
    let stage = Stage::on(&Store::chosen());
    let prices = prices(&stage, &[0.0]).await;
    let (mut one, mut other) = (price(0.0), price(-0.0));
    let both = Transaction::new(&stage.client).save(&prices, &mut one).save(&prices, &mut other);
    let error = both.commit().await.unwrap_err();
    assert!(
        matches!(&error, Error::InvalidRequest { problem, .. } if problem.contains("same item")),
        "{error:?}"
    );
    assert_eq!(stage.operations(), [""; 0]);

    // And a run finds what it read and wrote.
    transact(&stage.client, async |tx| {
        let mut zero = tx.get(&prices, Amount(0.0)).await?.unwrap();
        zero.name = "nothing".into();
        tx.save(&prices, Price { amount: Amount(-0.0), ..zero })?;
        assert_eq!(tx.get(&prices, Amount(-0.0)).await?.unwrap().name, "nothing");
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_eq!(stage.operations(), ["GetItem", "UpdateItem"]);
    let stored = stage.stored(json!({ "amount": 0 })).await.unwrap();
    assert_eq!(stored["version"], number(2));
}
