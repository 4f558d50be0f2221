//! What stands in the slots may be anybody's: other numbers of slots, older copies, and what is no stamp at all.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use dynalock::testing::Fault;
use dynalock::{Error, Table, Versioned};
use dynalock_tests::runtimes::retry;
use serde::{Deserialize, Serialize};

use crate::calls::{Call, Done};
use crate::foreign::{Foreign, Item, number};
use crate::rivals::{raced, raced_on};
use crate::world::{Account, Bare, Holder, Many, One, Two, World};

/// A stamp for `version` that no write of these tests drew.
fn stamp(version: u64) -> AttributeValue {
    let mut bytes = version.to_be_bytes().to_vec();
    bytes.extend([0xAB; 8]);
    AttributeValue::B(Blob::new(bytes))
}

/// What may stand in a slot that dynalock did not write; `None` is an empty slot.
fn oddities() -> Vec<Option<AttributeValue>> {
    let bytes = |bytes: Vec<u8>| Some(AttributeValue::B(Blob::new(bytes)));
    vec![
        None,
        Some(AttributeValue::S("0123456789abcdef".into())),
        Some(number(2)),
        Some(AttributeValue::Bool(true)),
        Some(AttributeValue::Null(true)),
        Some(AttributeValue::L(vec![stamp(2)])),
        Some(AttributeValue::M(Item::from([("_stamp2".to_owned(), stamp(2))]))),
        Some(AttributeValue::Bs(vec![Blob::new([0, 0, 0, 0, 0, 0, 0, 2, 1, 1, 1, 1, 1, 1, 1, 1])])),
        bytes(vec![]),
        bytes(2_u64.to_be_bytes().to_vec()),
        bytes([&2_u64.to_be_bytes()[..], &[1; 7]].concat()),
        bytes([&2_u64.to_be_bytes()[..], &[1; 9]].concat()),
        bytes(vec![0xFF; 400]),
        Some(stamp(0)),
        Some(stamp(1)),
        Some(stamp(1 << 60)),
        Some(stamp(u64::MAX)),
    ]
}

/// A world in which every slot that alice can have holds `oddity`.
async fn with_slots(oddity: Option<&AttributeValue>) -> World {
    let world = World::new().await;
    let foreign = Foreign::of(&world);
    let mut alice = foreign.item("alice").await.unwrap();
    alice.retain(|name, _| !name.starts_with("_stamp"));
    alice.extend((0..32).filter_map(|slot| Some((format!("_stamp{slot}"), oddity?.clone()))));
    foreign.put(alice).await;
    world
}

#[tokio::test(start_paused = true)]
async fn what_is_no_stamp_neither_hides_ours_nor_passes_for_it() {
    for oddity in oddities() {
        for call in Call::CHANGES {
            let world = with_slots(oddity.as_ref()).await;
            call.run(&world).await.assert_applied(call, &world).await;

            let world = with_slots(oddity.as_ref()).await;
            world.faults.script(call.operation(), [Fault::ReplyLost]);
            call.run(&world).await.assert_applied(call, &world).await;

            // Applied, and then every slot falls to the oddity: nothing tells any longer.
            let world = with_slots(oddity.as_ref()).await;
            let foreign = Foreign::of(&world);
            let rival = async {
                let mut alice = foreign.item("alice").await.unwrap();
                alice.insert("version".into(), number(3));
                alice.retain(|name, _| !name.starts_with("_stamp"));
                alice.extend((0..32).filter_map(|slot| Some((format!("_stamp{slot}"), oddity.clone()?))));
                foreign.put(alice).await;
            };
            let ended = raced(call, &world, &[Fault::ReplyLost], rival).await;
            assert!(matches!(ended.result, Err(Error::OutcomeUnknown(_))), "{oddity:?}: {ended:?}");
            ended.assert_untouched(call);
        }
    }
}

/// Row 12 with oddities: a rival that keeps them took the version that the lost request wanted.
pub(crate) async fn what_is_no_stamp_does_not_hide_a_rivals_step() {
    for oddity in oddities() {
        for call in [Call::Save, Call::Replace, Call::Touch] {
            let world = with_slots(oddity.as_ref()).await;
            let rival = async { Foreign::of(&world).add("alice", -1, 1).await };
            let ended = raced(call, &world, &[Fault::RequestLost], rival).await;
            assert!(matches!(ended.result, Err(Error::Conflict(_))), "{oddity:?}: {ended:?}");
            ended.assert_untouched(call);
        }
        let world = with_slots(oddity.as_ref()).await;
        let rival = async { Foreign::of(&world).add("alice", -1, 2).await };
        let ended = raced(Call::Save, &world, &[Fault::RequestLost], rival).await;
        assert!(matches!(ended.result, Err(Error::OutcomeUnknown(_))), "{oddity:?}: {ended:?}");
    }
}

/// Slots are no part of what a struct reads, whatever stands in them, and writers of no stamps leave them alone.
#[tokio::test(start_paused = true)]
async fn what_stands_in_the_slots_is_never_read_into_a_struct() {
    for oddity in oddities() {
        let world = with_slots(oddity.as_ref()).await;
        assert_eq!(world.table.get("alice").await.unwrap(), Some(Account::alice()));
        let item = Foreign::of(&world).item("alice").await.unwrap();
        assert_eq!(world.table.parse(item).unwrap(), Account::alice());
        world.bare.update("alice", |alice| alice.balance += 1).await.unwrap();
        let stored = Foreign::of(&world).item("alice").await.unwrap();
        assert_eq!(stored.get("_stamp2"), oddity.as_ref());
    }
}

/// Row 34: ours was applied, and rivals with another number of slots follow, as many as keep our slot.
pub(crate) async fn a_lost_reply_is_ok_behind_rivals_that_keep_another_number_of_slots() {
    async fn assert_found<Ours: Holder, Theirs: Holder>(rivals: i64) {
        for call in Call::CHANGES {
            let world = World::new().await;
            let theirs = world.rival_of::<Theirs>();
            let rival = async {
                for _ in 0..rivals {
                    theirs.update("alice", |alice| alice.add(1000)).await.unwrap();
                }
            };
            let ours = world.table_of::<Ours>();
            let ended = raced_on(&ours, call, &world, &[Fault::ReplyLost], rival).await;
            assert_eq!(ended.result.as_ref().unwrap(), &Done::Written(2), "{call:?}");
            assert!(ended.runs <= 1);
            let balance = if call == Call::Touch { 100 } else { 105 } + 1000 * rivals;
            assert_eq!(world.stored("alice").await.unwrap().balance, balance, "{call:?}");
        }
    }
    assert_found::<Account, Bare>(10).await;
    assert_found::<Account, One>(10).await;
    assert_found::<Account, Two>(10).await;
    assert_found::<Account, Many>(31).await;
    assert_found::<Two, Account>(1).await;
    assert_found::<Many, Account>(3).await;
}

/// Row 34: a client that puts an old copy back, at a higher version, brings the old slots back as well.
pub(crate) async fn restored_older_slots_leave_the_outcome_unknown_and_are_no_conflict() {
    for lost in [Fault::ReplyLost, Fault::RequestLost] {
        for begun in [1, 4, 5, 9] {
            let world = World::new().await;
            let foreign = Foreign::of(&world);
            for _ in 1..begun {
                world.rival.update("alice", |alice| alice.balance += 1).await.unwrap();
            }
            let mut old = foreign.item("alice").await.unwrap();
            let (read, restored) = (world.stored("alice").await.unwrap(), i64::from(begun) + 2);
            old.insert("version".into(), number(restored));
            world.faults.script("UpdateItem", [lost.clone()]);
            let mut held = read.clone();
            let touch = world.table.touch(&mut held);
            let result = world.overtaken(touch.into_future(), "UpdateItem", foreign.put(old)).await;
            assert!(matches!(result, Err(Error::OutcomeUnknown(_))), "{lost:?} {begun}: {result:?}");
            assert_eq!(held, read);
            assert_eq!(foreign.version("alice").await, restored);
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
struct Clocked {
    #[dynalock(partition_key)]
    id: String,
    balance: i64,
    #[dynalock(version, start = "clock")]
    version: u64,
}

/// A table whose clock stands at so many seconds since 1970.
fn at(world: &World, seconds: u64) -> Table<Clocked> {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    let clock = aws_smithy_async::time::StaticTimeSource::new(time);
    let config = world.client.config().to_builder().time_source(clock);
    Table::new(&aws_sdk_dynamodb::Client::from_conf(config.build()), "accounts").with_retry(retry(&[]))
}

/// Row 34: whose clock is behind loses nothing that was applied, and overwrites nothing.
pub(crate) async fn a_clock_behind_makes_no_false_conflict() {
    const AHEAD: u64 = 2_000_000_000;
    for seconds in [0, 1, 1_000_000_000] {
        let world = World::new().await;
        let (behind, ahead) = (at(&world, seconds), at(&world, AHEAD));
        let new = |balance| Clocked { id: "c".into(), balance, version: 0 };

        // There already, by a clock ahead of ours: clean, or known by nothing after a lost request.
        ahead.create(&mut new(1)).await.unwrap();
        let error = behind.create(&mut new(2)).await.unwrap_err();
        assert!(matches!(error, Error::AlreadyExists(_)), "{error:?}");
        world.faults.script("PutItem", [Fault::RequestLost]);
        let error = behind.create(&mut new(2)).await.unwrap_err();
        assert!(matches!(error, Error::OutcomeUnknown(_)), "{error:?}");

        // The version goes on from what is stored.
        world.faults.script("UpdateItem", [Fault::ReplyLost]);
        let changed = behind.update("c", |c| c.balance += 10).await.unwrap();
        assert_eq!((changed.balance, changed.version), (11, AHEAD * 1_000_000 + 1));

        // A new item from a clock behind: our lost reply is found, also behind a clock ahead.
        ahead.delete(&changed).await.unwrap();
        world.faults.script("PutItem", [Fault::ReplyLost]);
        let mut ours = new(3);
        let theirs = world.rival_of::<Clocked>();
        let rival = async {
            theirs.update("c", |c| c.balance += 100).await.unwrap();
        };
        world.overtaken(behind.create(&mut ours).into_future(), "GetItem", rival).await.unwrap();
        assert_eq!(ours.version, (seconds * 1_000_000).max(1));
        let stored = ahead.get("c").await.unwrap().unwrap();
        assert_eq!((stored.balance, stored.version), (103, ours.version + 1));
    }
}

/// What becomes of an `update` that adopts an item without a version, after `lost` and, where there is a rival, after that
/// has taken the version that ours wanted: the balance, the version and how often the closure ran.
async fn adopted(lost: Fault, rival: bool) -> (i64, u64, u32) {
    let world = World::new().await;
    let foreign = Foreign::of(&world);
    let id = AttributeValue::S("old".into());
    foreign.put(Item::from([("id".to_owned(), id), ("balance".to_owned(), number(1))])).await;
    world.faults.script("UpdateItem", [lost]);
    let write = async {
        if rival {
            foreign.put_known("old", 50, 1).await;
        }
    };
    let mut runs = 0;
    let update = world.table.update("old", |old| {
        runs += 1;
        old.balance += 5;
    });
    let updated = world.overtaken(update.into_future(), "UpdateItem", write).await.unwrap();
    assert_eq!(world.stored("old").await, Some(updated.clone()));
    (updated.balance, updated.version, runs)
}

/// Items without a version are adopted at version 1, with a stamp like any other write. Row 35, where the rival's adoption
/// took the version that ours wanted.
pub(crate) async fn an_adoption_whose_reply_is_lost_is_ok_and_one_that_a_rival_took_is_a_conflict() {
    assert_eq!(adopted(Fault::ReplyLost, false).await, (6, 1, 1));
    assert_eq!(adopted(Fault::RequestLost, false).await, (6, 1, 1));
    assert_eq!(adopted(Fault::RequestLost, true).await, (55, 2, 2));
    assert_eq!(adopted(Fault::ConnectionRefused, true).await, (55, 2, 2));
}
