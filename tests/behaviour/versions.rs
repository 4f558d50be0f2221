//! Where versions start, how they grow, and where they end.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::Client;
use aws_smithy_async::time::{StaticTimeSource, TimeSource};
use dynalock::{Error, Table, Versioned};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::fixtures::{Call, Stage, number, refused};

/// Defines a struct `Counted` whose version field is as given.
macro_rules! counted {
    ($version:ty $(, $words:meta)*) => {
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
        #[dynalock(stamps = 0)]
        struct Counted {
            #[dynalock(partition_key)]
            id: String,
            n: u32,
            #[dynalock(version)]
            $(#[dynalock($words)])*
            version: $version,
        }

        #[allow(dead_code)] // not every test needs it
        fn counted(version: $version) -> Counted {
            Counted { id: "a".into(), n: 0, version }
        }
    };
}

#[tokio::test]
async fn versions_start_where_they_are_told_and_grow_by_their_step() {
    counted!(u32, start = 10, step = 5);
    let (stage, table) = Stage::of::<Counted>().await;
    let mut object = counted(0);
    table.create(&mut object).await.unwrap();
    assert_eq!(object.version, 10);
    table.save(&mut object).await.unwrap();
    assert_eq!(object.version, 15);
    table.replace(&mut object).await.unwrap();
    table.touch(&mut object).await.unwrap();
    assert_eq!(object.version, 25);
    assert_eq!(table.update("a", |object| object.n += 1).await.unwrap().version, 30);
    assert_eq!(stage.stored(json!({ "id": "a" })).await.unwrap()["version"], number(30));
    let conditions: Vec<_> =
        stage.sent().iter().filter_map(|line| Some(line.split_once(" IF ")?.1.to_owned())).collect();
    let expected = ["attribute_not_exists(id)", "version=10", "version=15", "version=20", "version=25"];
    assert_eq!(conditions, expected);
}

#[tokio::test]
async fn an_adopted_item_begins_at_the_start() {
    counted!(u64, start = 10, step = 5);
    for call in Call::ALL {
        let (stage, table) = Stage::of::<Counted>().await;
        stage.put(json!({ "id": "a", "n": 0 })).await;
        let mut object = counted(0);
        call.of(&table, &mut object).await.unwrap();
        assert_eq!(object.version, 10, "{call:?}");
    }
    let (stage, table) = Stage::of::<Counted>().await;
    stage.put(json!({ "id": "a", "n": 0 })).await;
    assert_eq!(table.update("a", |object| object.n += 1).await.unwrap().version, 10);
    assert_eq!(
        table
            .update_or_create("b", || Counted { id: "b".into(), ..counted(0) }, |_| {})
            .await
            .unwrap()
            .version,
        10
    );
}

/// The table, by a client with this clock.
fn at<T: Versioned>(stage: &Stage, clock: impl TimeSource + 'static) -> Table<T> {
    let config = stage.client.config().to_builder().time_source(clock).build();
    Table::new(&Client::from_conf(config), &stage.name)
}

#[tokio::test]
async fn a_clock_gives_the_first_version_in_microseconds() {
    counted!(u64, start = "clock");
    let (stage, _) = Stage::of::<Counted>().await;
    let moment = UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456);
    let table = at::<Counted>(&stage, StaticTimeSource::new(moment));
    let mut object = counted(3);
    table.create(&mut object).await.unwrap();
    assert_eq!(object.version, 1_700_000_000_123_456);
    table.save(&mut object).await.unwrap();
    assert_eq!(
        object.version, 1_700_000_000_123_457,
        "later versions grow by the step, whatever the clock says"
    );
    assert_eq!(table.update("a", |object| object.n += 1).await.unwrap().version, 1_700_000_000_123_458);
    assert_eq!(
        stage.stored(json!({ "id": "a" })).await.unwrap()["version"],
        number(1_700_000_000_123_458_u64)
    );
}

#[tokio::test]
async fn a_clock_also_begins_adopted_and_re_created_items() {
    counted!(i64, start = "clock", step = 3);
    let (stage, _) = Stage::of::<Counted>().await;
    let early = at::<Counted>(&stage, StaticTimeSource::from_secs(1_700_000_000));
    let late = at::<Counted>(&stage, StaticTimeSource::from_secs(1_800_000_000));
    stage.put(json!({ "id": "a", "n": 0, "version": null })).await;
    let mut object = counted(0);
    early.touch(&mut object).await.unwrap();
    assert_eq!(object.version, 1_700_000_000_000_000);
    early.delete(&object).await.unwrap();
    let again = late.update_or_create("a", || counted(0), |_| {}).await.unwrap();
    assert_eq!(again.version, 1_800_000_000_000_000);
    let error = late.save(&mut object).await.unwrap_err();
    assert!(matches!(error, Error::Conflict(_)), "{error:?}");
}

#[tokio::test]
async fn the_systems_clock_is_the_default() {
    counted!(u64, start = "clock");
    let (_stage, table) = Stage::of::<Counted>().await;
    let micros = || u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap();
    let before = micros();
    let mut object = counted(0);
    table.create(&mut object).await.unwrap();
    assert!((before..=micros()).contains(&object.version), "{}", object.version);
    let by_hand = object.create_write().unwrap().next_version().unwrap();
    assert!((before..=micros()).contains(&by_hand), "{by_hand}");
}

/// 0 means "never stored", so no clock may give it to a stored item.
#[tokio::test]
async fn a_clock_at_1970_does_not_store_version_0() {
    counted!(u64, start = "clock");
    let (stage, _) = Stage::of::<Counted>().await;
    let table = at::<Counted>(&stage, StaticTimeSource::from_secs(0));
    let mut object = counted(0);
    table.create(&mut object).await.unwrap();
    assert_ne!(object.version, 0);
}

/// One test for each version type: it counts up to its maximum, and not beyond.
macro_rules! every_type {
    ($($test:ident: $version:ident;)*) => {$(
        #[tokio::test]
        async fn $test() {
            counted!($version);
            let (stage, table) = Stage::of::<Counted>().await;
            let mut object = counted(0);
            table.create(&mut object).await.unwrap();
            assert_eq!(object.version, 1);
            table.save(&mut object).await.unwrap();
            assert_eq!(table.get("a").await.unwrap(), Some(counted(2)));

            stage.put(json!({ "id": "a", "n": 0, "version": $version::MAX - 1 })).await;
            let mut object = table.get("a").await.unwrap().unwrap();
            table.save(&mut object).await.unwrap();
            assert_eq!(object.version, $version::MAX);
            assert_eq!(table.get("a").await.unwrap(), Some(counted($version::MAX)));

            let _ = stage.requests();
            for call in Call::ALL {
                let error = refused(&mut object, async |object| call.of(&table, object).await).await;
                let Error::VersionOverflow { table: named, attribute, max } = &error else { panic!("{error:?}") };
                assert_eq!((&**named, *attribute), (table.name(), "version"));
                assert_eq!(i128::from(*max), i128::from($version::MAX));
                let message = error.to_string();
                assert!(message.contains(table.name()) && message.contains("\"version\""), "{message}");
            }
            assert_eq!(stage.operations(), [""; 0]);
            let error = table.update("a", |object| object.n += 1).await.unwrap_err();
            assert!(matches!(error, Error::VersionOverflow { .. }), "{error:?}");
            assert_eq!(table.update("a", |_| {}).await.unwrap(), object, "no change needs no version");
            assert_eq!(stage.operations(), ["GetItem", "GetItem"]);
            table.delete(&object).await.unwrap();
        }
    )*};
}

every_type! {
    u8_counts_to_its_maximum: u8;
    u16_counts_to_its_maximum: u16;
    u32_counts_to_its_maximum: u32;
    u64_counts_to_its_maximum: u64;
    i32_counts_to_its_maximum: i32;
    i64_counts_to_its_maximum: i64;
}

#[tokio::test]
async fn a_step_that_leaves_the_type_overflows() {
    counted!(u8, start = 250, step = 10);
    let (stage, table) = Stage::of::<Counted>().await;
    let mut object = counted(0);
    table.create(&mut object).await.unwrap();
    assert_eq!(object.version, 250);
    let error = refused(&mut object, async |object| table.save(object).await).await;
    assert!(matches!(error, Error::VersionOverflow { max: 255, .. }), "{error:?}");
    assert_eq!(stage.operations(), ["PutItem"]);
}

#[tokio::test]
async fn a_renamed_version_is_stored_under_its_name() {
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
    #[dynalock(stamps = 0)]
    #[serde(rename_all = "SCREAMING-KEBAB-CASE")]
    struct Renamed {
        #[dynalock(partition_key)]
        order_id: u64,
        #[serde(rename = "size")] // a word of DynamoDB's expressions
        extent: u32,
        #[serde(rename = "a.b[0] #:")]
        odd: u32,
        #[dynalock(version)]
        row_version: u64,
    }

    let (stage, table) = Stage::of::<Renamed>().await;
    let mut object = Renamed { order_id: 7, extent: 1, odd: 2, row_version: 0 };
    table.create(&mut object).await.unwrap();
    object.odd = 3;
    table.save(&mut object).await.unwrap();
    let object = table.update(7_u64, |object| object.extent = 9).await.unwrap();
    assert_eq!(object, Renamed { order_id: 7, extent: 9, odd: 3, row_version: 3 });
    let stored = stage.stored(json!({ "ORDER-ID": 7 })).await.unwrap();
    assert_eq!(
        (&stored["ROW-VERSION"], &stored["size"], &stored["a.b[0] #:"]),
        (&number(3), &number(9), &number(3))
    );
}
