//! What stamps are for: other writers come between a write and its re-send, and the stored item tells whose writes it holds.

use dynalock::testing::Fault;
use dynalock::{Deleted, Error};
use dynalock_tests::runtimes::each;

use crate::calls::{Call, Done, Ended};
use crate::foreign::Foreign;
use crate::rivals::{raced, raced_on};
use crate::world::{Account, Holder, Many, One, Two, World, breakdown, breakdown_after};

/// What a rival adds; no sum of it and what the calls add is the same for two histories.
const THEIRS: i64 = 1000;

const LOST_REPLIES: [Fault; 3] = [Fault::ReplyLost, Fault::Truncated, Fault::BodyCutOff];

/// The balance after the call was applied once, and nothing else.
fn applied(call: Call) -> i64 {
    match call {
        Call::Create => 7,
        Call::CreateFresh => 12,
        Call::Touch => 100,
        _ => 105,
    }
}

fn assert_ok(ended: &Ended, call: Call) {
    let version = if call.creates() { 1 } else { 2 };
    assert!(matches!(ended.result, Ok(Done::Written(written)) if written == version), "{call:?}: {ended:?}");
    assert!(ended.runs <= 1, "{call:?}: the closure ran {} times", ended.runs);
}

fn assert_unknown(ended: &Ended, call: Call) {
    assert!(matches!(ended.result, Err(Error::OutcomeUnknown(_))), "{call:?}: {ended:?}");
    ended.assert_untouched(call);
}

/// A conflict that is known although a request was lost: told to a caller that holds an object, and answered by a second
/// run of a closure, on what the rival wrote.
async fn assert_conflict(ended: &Ended, call: Call, world: &World, rivals_balance: i64, versions: u64) {
    let stored = world.stored("alice").await.unwrap();
    if call.reads_first() {
        assert!(matches!(ended.result, Ok(Done::Written(written)) if written == versions + 1), "{ended:?}");
        assert_eq!(ended.runs, 2, "{call:?}");
        assert_eq!((stored.balance, stored.version), (rivals_balance + 5, versions + 1), "{call:?}");
    } else {
        let Err(Error::Conflict(conflict)) = &ended.result else { panic!("{call:?}: {ended:?}") };
        assert_eq!((conflict.expected(), conflict.actual()), (1, Some(versions)), "{call:?}");
        assert_eq!(conflict.current::<Account>().unwrap(), stored);
        assert_eq!((stored.balance, stored.version), (rivals_balance, versions), "{call:?}");
        ended.assert_untouched(call);
    }
}

/// Row 7, for a request that is delivered twice: the only reply that anybody sees is a failed check, and no attempt was
/// ever in doubt.
pub(crate) async fn a_failed_check_on_our_own_stamp_is_ok_though_no_attempt_was_lost() {
    for call in Call::STAMPED {
        let world = World::new().await;
        world.faults.script(call.operation(), [Fault::DeliveredTwice]);
        call.run(&world).await.assert_applied(call, &world).await;
        assert_eq!(world.sent.count(call.operation()), 1, "{call:?}");
    }
    let world = World::new().await;
    world.faults.script("DeleteItem", [Fault::DeliveredTwice]);
    let ended = Call::Delete.run(&world).await;
    assert!(matches!(ended.result, Ok(Done::Gone(Deleted::AlreadyGone))), "{ended:?}");
}

/// Applied, then `rivals` writes by rivals with the same struct, then the re-send.
async fn lost_before<T: Holder>(call: Call, lost: Fault, rivals: u64) -> Ended {
    let world = World::new().await;
    let theirs = world.rival_of::<T>();
    let rival = async {
        for _ in 0..rivals {
            theirs.update(call.id(), |theirs| theirs.add(THEIRS)).await.unwrap();
        }
    };
    let ended = raced_on(&world.table_of::<T>(), call, &world, &[lost], rival).await;
    let stored = world.stored(call.id()).await.unwrap();
    let first = if call.creates() { 1 } else { 2 };
    assert_eq!(stored.version, first + rivals, "{call:?}: one step for each write");
    let theirs = THEIRS * i64::try_from(rivals).unwrap();
    assert_eq!(stored.balance, applied(call) + theirs, "{call:?}: every write counts once");
    ended
}

/// Rows 8 and 9, for a struct that keeps `slots` stamps.
async fn assert_found_among<T: Holder>(slots: u64, lost: Fault) {
    each(Call::STAMPED.map(|call| (call, lost.clone())), move |(call, lost)| async move {
        for rivals in [1, slots - 1].into_iter().filter(|rivals| *rivals < slots) {
            assert_ok(&lost_before::<T>(call, lost.clone(), rivals).await, call);
        }
        assert_unknown(&lost_before::<T>(call, lost, slots).await, call);
    })
    .await;
}

/// Row 8: up to version `w + (K - 1) * step`. Row 9: beyond that.
pub(crate) async fn a_lost_reply_is_ok_behind_fewer_rivals_than_slots_and_unknown_behind_more() {
    assert_found_among::<One>(1, Fault::ReplyLost).await;
    assert_found_among::<Two>(2, Fault::ReplyLost).await;
    assert_found_among::<Many>(32, Fault::ReplyLost).await;
    for lost in LOST_REPLIES.into_iter().chain([breakdown_after(), Fault::NeverReplies]) {
        assert_found_among::<Account>(4, lost).await;
    }
}

/// Row 10.
pub(crate) async fn a_lost_reply_is_unknown_behind_a_foreign_put_that_drops_the_slots() {
    for call in Call::STAMPED {
        for lost in LOST_REPLIES {
            let world = World::new().await;
            let foreign = Foreign::of(&world);
            let rival = async {
                let version = foreign.version(call.id()).await;
                foreign.put_known(call.id(), applied(call) + THEIRS, version + 1).await;
            };
            let ended = raced(call, &world, &[lost], rival).await;
            assert_unknown(&ended, call);
            assert_eq!(world.stored(call.id()).await.unwrap().balance, applied(call) + THEIRS, "{call:?}");
        }
    }
}

/// As row 10 for a rival that replaces the item: what its struct doesn't know goes, and so do the other slots.
pub(crate) async fn a_lost_reply_is_unknown_behind_a_rival_that_replaces_the_item() {
    for call in Call::STAMPED {
        let world = World::new().await;
        let rival = async {
            let mut theirs = world.stored(call.id()).await.unwrap();
            theirs.balance += THEIRS;
            world.rival.replace(&mut theirs).await.unwrap();
        };
        let ended = raced(call, &world, &[Fault::ReplyLost], rival).await;
        assert_unknown(&ended, call);
        assert_eq!(world.stored(call.id()).await.unwrap().balance, applied(call) + THEIRS, "{call:?}");
    }
}

/// Row 11, and with any number of foreign writes: they keep the slots as they are.
pub(crate) async fn a_lost_reply_is_ok_behind_foreign_updates_that_keep_the_slots() {
    async fn assert_found<T: Holder>(call: Call, steps: &[i64]) {
        let world = World::new().await;
        let foreign = Foreign::of(&world);
        let rival = async {
            for step in steps {
                foreign.add(call.id(), THEIRS, *step).await;
            }
        };
        let ended = raced_on(&world.table_of::<T>(), call, &world, &[Fault::ReplyLost], rival).await;
        assert_ok(&ended, call);
        let theirs = THEIRS * i64::try_from(steps.len()).unwrap();
        assert_eq!(world.stored(call.id()).await.unwrap().balance, applied(call) + theirs, "{call:?}");
    }
    for call in Call::STAMPED {
        for steps in [&[1][..], &[2], &[1, 1, 1, 1, 1, 1], &[2, 1, 40, 1]] {
            assert_found::<Two>(call, steps).await;
            assert_found::<Account>(call, steps).await;
        }
    }
}

/// Rows 12 and 34: whoever made the step into the version that the lost request wanted, it was not that request.
pub(crate) async fn a_rivals_write_after_a_lost_request_is_a_known_conflict_and_the_closure_runs_again() {
    for call in Call::CHANGES {
        for lost in [Fault::RequestLost, Fault::ClosedByServer, breakdown()] {
            for rival in 0..6 {
                let world = World::new().await;
                let foreign = Foreign::of(&world);
                let write = async {
                    match rival {
                        0 => {
                            drop(world.rival.update("alice", |alice| alice.balance += THEIRS).await.unwrap());
                        }
                        1 => foreign.put_known("alice", 100 + THEIRS, 2).await,
                        2 => foreign.add("alice", THEIRS, 1).await,
                        3 => drop(world.rival_of::<One>().update("alice", |a| a.add(THEIRS)).await.unwrap()),
                        4 => drop(world.rival_of::<Many>().update("alice", |a| a.add(THEIRS)).await.unwrap()),
                        _ => {
                            let replaced = &mut Account { balance: 100 + THEIRS, ..Account::alice() };
                            world.rival.replace(replaced).await.unwrap();
                        }
                    }
                };
                let ended = raced(call, &world, std::slice::from_ref(&lost), write).await;
                println!("{call:?} {lost:?} {rival}");
                assert_conflict(&ended, call, &world, 100 + THEIRS, 2).await;
            }
        }
    }
}

/// Row 12, with up to as many rivals as there are slots: the stamp of the one that won is still there.
pub(crate) async fn several_rivals_after_a_lost_request_are_a_known_conflict_while_the_stamp_of_the_first_is_there()
 {
    for call in Call::CHANGES {
        for rivals in 1..=5_u32 {
            let world = World::new().await;
            let write = async {
                for _ in 0..rivals {
                    world.rival.update("alice", |alice| alice.balance += THEIRS).await.unwrap();
                }
            };
            let ended = raced(call, &world, &[Fault::RequestLost], write).await;
            if rivals <= 4 {
                let balance = 100 + THEIRS * i64::from(rivals);
                assert_conflict(&ended, call, &world, balance, u64::from(1 + rivals)).await;
            } else {
                assert_unknown(&ended, call);
            }
        }
    }
}

/// Row 12, with two foreign writes: the version that ours wanted was passed, and nothing tells by whom.
pub(crate) async fn two_foreign_writes_after_a_lost_request_leave_the_outcome_unknown() {
    for call in Call::CHANGES {
        for puts in [false, true] {
            let world = World::new().await;
            let foreign = Foreign::of(&world);
            let write = async {
                for version in [2, 3] {
                    if puts {
                        foreign.put_known("alice", THEIRS, version).await;
                    } else {
                        foreign.add("alice", THEIRS, 1).await;
                    }
                }
            };
            let ended = raced(call, &world, &[Fault::RequestLost], write).await;
            assert_unknown(&ended, call);
            assert_eq!(world.stored("alice").await.unwrap().version, 3);
        }
    }
}

/// Row 13, after a lost request: equal contents are not the same write. Not for a delete, which leaves no contents.
pub(crate) async fn a_rival_that_writes_identical_content_after_a_lost_request_is_a_conflict_and_never_ok() {
    for call in [Call::Save, Call::Replace, Call::Touch] {
        for foreign in [false, true] {
            let world = World::new().await;
            let write = async {
                if foreign {
                    Foreign::of(&world).put_known("alice", applied(call), 2).await;
                } else {
                    world.rival.save(&mut call.held()).await.unwrap();
                }
            };
            let ended = raced(call, &world, &[Fault::RequestLost], write).await;
            assert_conflict(&ended, call, &world, applied(call), 2).await;
        }
    }
}

/// Row 18, after a lost request, and for a foreign creator, whose item tells its version and nothing else.
pub(crate) async fn a_foreign_item_is_already_there_at_our_version_and_unknown_at_another() {
    for (version, lost, unknown) in [
        (1, Fault::RequestLost, false),
        (1, Fault::ConnectionRefused, false),
        (7, Fault::RequestLost, true),
        (7, Fault::ConnectionRefused, false),
    ] {
        let world = World::new().await;
        let write = async { Foreign::of(&world).put_known("bob", THEIRS, version).await };
        let ended = raced(Call::Create, &world, &[lost], write).await;
        match &ended.result {
            Err(Error::OutcomeUnknown(_)) if unknown => {}
            Err(Error::AlreadyExists(there)) if !unknown => {
                assert_eq!(there.current::<Account>().unwrap().balance, THEIRS);
            }
            other => panic!("{other:?}"),
        }
        ended.assert_untouched(Call::Create);
        assert_eq!(world.stored("bob").await.unwrap().balance, THEIRS);
    }
}
