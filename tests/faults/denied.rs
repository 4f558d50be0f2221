//! Row 26: a policy that lets a table be written, but not that a failed check returns the item.

use dynalock::testing::Fault;
use dynalock::{Condition, Deleted, Error, Retry};
use dynalock_tests::runtimes::{each, retry};

use crate::calls::{Call, Done, Ended, sdk_code};
use crate::rivals::raced;
use crate::world::{Account, Stamps, World, always, both, breakdown, refusal};

const CHANGES_OF_HELD: [Call; 3] = [Call::Save, Call::Replace, Call::Touch];

async fn denied(stamps: Stamps) -> World {
    let world = World::of(stamps).await;
    world.faults.deny_item();
    world
}

/// What the writes that were sent wished to be told on a failed check.
fn wishes(world: &World, call: Call) -> Vec<String> {
    let sent = world.sent.take().into_iter().filter(|sent| sent.operation == call.operation());
    let wish = |wish: &serde_json::Value| wish.as_str().unwrap_or("NONE").to_owned();
    sent.map(|sent| wish(&sent.body["ReturnValuesOnConditionCheckFailure"])).collect()
}

pub(crate) async fn a_denied_item_costs_one_request_and_is_remembered_for_the_table() {
    for (call, stamps) in both(Call::ALL) {
        let world = denied(stamps).await;
        call.run(&world).await.assert_applied(call, &world).await;
        assert_eq!(wishes(&world, call), ["ALL_OLD", "NONE"], "{call:?}");
    }
    let world = denied(Stamps::On).await;
    let mut alice = Account::alice();
    world.table.touch(&mut alice).await.unwrap();
    assert_eq!(wishes(&world, Call::Touch), ["ALL_OLD", "NONE"]);
    // Clones and copies with other retries are the same table; another table may have another policy.
    world.table.clone().with_retry(retry(&[])).touch(&mut alice).await.unwrap();
    assert_eq!(wishes(&world, Call::Touch), ["NONE"]);
    world.table.clone().replace(&mut alice).await.unwrap();
    assert_eq!(wishes(&world, Call::Replace), ["NONE"]);
    world.table_of::<Account>().touch(&mut alice).await.unwrap();
    assert_eq!(wishes(&world, Call::Touch), ["ALL_OLD", "NONE"]);
}

/// It is no attempt: nothing was tried that could be allowed.
#[tokio::test(start_paused = true)]
async fn a_denied_item_is_no_attempt() {
    for call in Call::ALL {
        let world = denied(Stamps::On).await;
        call.run_with(&world, Retry::none()).await.assert_applied(call, &world).await;
        assert_eq!(wishes(&world, call), ["ALL_OLD", "NONE"], "{call:?}");
    }
}

pub(crate) async fn a_denied_item_changes_nothing_about_the_rest_of_the_request() {
    for call in Call::ALL {
        let world = denied(Stamps::On).await;
        call.run(&world).await.assert_applied(call, &world).await;
        let mut sent = world.sent.take();
        sent.retain(|sent| sent.operation == call.operation());
        for sent in &mut sent {
            sent.body.as_object_mut().unwrap().remove("ReturnValuesOnConditionCheckFailure");
        }
        assert_eq!(sent[0], sent[1], "{call:?}: the same stamp and the same version");
    }
}

/// A refusal is definite, so a lost reply before it is found out by the read, and none means a clean answer.
pub(crate) async fn a_lost_reply_is_found_out_by_one_consistent_read() {
    each(both(Call::ALL), |(call, stamps)| async move {
        for lost in [Fault::ReplyLost, Fault::NeverReplies, Fault::Truncated] {
            let world = denied(stamps).await;
            call.run_into(&world, &[lost]).await.assert_lost(call, &world).await;
            let reads: Vec<_> =
                world.sent.take().into_iter().filter(|sent| sent.operation == "GetItem").collect();
            assert_eq!(reads.len(), 1 + usize::from(call.reads_first()), "{call:?}");
            assert!(reads.iter().all(|read| read.body["ConsistentRead"] == true), "{call:?}");
        }
    })
    .await;
}

fn assert_conflict_with(ended: &Ended, call: Call, stored: &Account) {
    match &ended.result {
        Err(Error::AlreadyExists(there)) if call == Call::Create => {
            assert_eq!(&there.current::<Account>().unwrap(), stored);
        }
        Err(Error::Conflict(conflict)) if call != Call::Create => {
            assert_eq!(&conflict.current::<Account>().unwrap(), stored, "{call:?}");
        }
        other => panic!("{call:?}: {other:?}"),
    }
    ended.assert_untouched(call);
}

pub(crate) async fn a_clean_conflict_is_answered_with_the_item_that_one_read_found() {
    for (call, stamps) in both([Call::Create, Call::Save, Call::Replace, Call::Touch, Call::Delete]) {
        let world = denied(stamps).await;
        world.rival.update("alice", |alice| alice.balance = 1).await.unwrap();
        world.rival.create(&mut Account::bob()).await.unwrap();
        let ended = call.run(&world).await;
        assert_conflict_with(&ended, call, &world.stored(call.id()).await.unwrap());
        assert_eq!(world.sent.operations(), [call.operation(), call.operation(), "GetItem"]);
    }
}

pub(crate) async fn a_conflict_after_a_lost_request_is_known_by_the_stamp_that_the_read_found() {
    for call in CHANGES_OF_HELD {
        for lost in [Fault::RequestLost, breakdown()] {
            let world = denied(Stamps::On).await;
            let write = async {
                world.rival.update("alice", |alice| alice.balance = 1).await.unwrap();
            };
            let ended = raced(call, &world, &[lost], write).await;
            assert_conflict_with(&ended, call, &world.stored("alice").await.unwrap());
        }
    }
}

pub(crate) async fn a_closure_runs_again_on_the_item_that_the_read_found() {
    for call in [Call::Update, Call::TryUpdate, Call::UpdateExisting] {
        for lost in [Fault::ConnectionRefused, Fault::RequestLost] {
            let world = denied(Stamps::On).await;
            let write = async {
                world.rival.update("alice", |alice| alice.balance = 1).await.unwrap();
            };
            let ended = raced(call, &world, &[lost], write).await;
            assert_eq!((ended.result.unwrap(), ended.runs), (Done::Written(3), 2), "{call:?}");
            assert_eq!(world.stored("alice").await.unwrap().balance, 6);
        }
    }
}

pub(crate) async fn an_item_that_vanished_is_not_found_unless_a_reply_was_lost() {
    for call in [Call::Save, Call::Replace, Call::Touch, Call::Delete] {
        let gone = [Deleted::AlreadyGone, Deleted::NowOrBefore];
        for (lost, unknown) in [(Fault::ConnectionRefused, false), (Fault::RequestLost, true)] {
            let world = denied(Stamps::On).await;
            let write = async {
                world.rival.delete(&Account::alice()).await.unwrap();
            };
            let ended = raced(call, &world, &[lost], write).await;
            match &ended.result {
                Ok(Done::Gone(how)) if call == Call::Delete && *how == gone[usize::from(unknown)] => {}
                Err(Error::OutcomeUnknown(_)) if unknown && call != Call::Delete => {}
                Err(Error::NotFound) if !unknown && call != Call::Delete => {}
                other => panic!("{call:?}: {other:?}"),
            }
            assert_eq!(world.stored("alice").await, None);
        }
    }
}

pub(crate) async fn a_read_that_is_denied_too_is_a_conflict_without_an_item_or_an_unknown_outcome() {
    for call in CHANGES_OF_HELD {
        for (lost, unknown) in
            [(Fault::ConnectionRefused, false), (Fault::RequestLost, true), (Fault::ReplyLost, true)]
        {
            let world = denied(Stamps::On).await;
            let applied = matches!(lost, Fault::ReplyLost);
            let write = async {
                world.faults.script("GetItem", always(&refusal("AccessDeniedException")));
                world.rival.update("alice", |alice| alice.balance = 1).await.unwrap();
            };
            let ended = raced(call, &world, &[lost], write).await;
            match &ended.result {
                Err(Error::OutcomeUnknown(_)) if unknown => {}
                Err(Error::Conflict(conflict)) if !unknown => assert!(conflict.item().is_none()),
                other => panic!("{call:?}: {other:?}"),
            }
            ended.assert_untouched(call);
            assert_eq!(world.stored("alice").await.unwrap().version, if applied { 3 } else { 2 });
        }
    }
}

pub(crate) async fn a_condition_that_is_false_is_told_by_the_read() {
    for lost in [Fault::ConnectionRefused, Fault::RequestLost] {
        let world = denied(Stamps::On).await;
        world.faults.script("UpdateItem", [lost]);
        let rich = Condition::new("balance > :least").value(":least", 1000);
        let error = world.table.touch(&mut Account::alice()).condition(rich).await.unwrap_err();
        assert!(matches!(error, Error::ConditionFailed(_)), "{error:?}");
    }
}

/// A policy that forbids the write itself: the second request is refused as well, and nothing is remembered.
pub(crate) async fn a_denied_write_is_still_denied_and_changes_nothing_for_the_next() {
    for call in Call::ALL {
        let world = World::new().await;
        world.faults.script(call.operation(), vec![refusal("AccessDeniedException"); 2]);
        let ended = call.run(&world).await;
        ended.assert_refused(call, &world, |error| sdk_code(error) == Some("AccessDeniedException")).await;
        assert_eq!(wishes(&world, call), ["ALL_OLD", "NONE"], "{call:?}");
        call.run(&world).await.assert_applied(call, &world).await;
        assert_eq!(wishes(&world, call), ["ALL_OLD"], "{call:?}");
    }
}
