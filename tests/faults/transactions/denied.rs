//! Row 26 for transactions: a policy that forbids that a failed check returns the item, and a store that does not tell it.

use dynalock::Error;
use dynalock_tests::faults::Fault;
use serde_json::Value;

use super::{WRITE, applies, commit, conflict, stored, world, world_of};
use crate::calls::sdk_code;
use crate::world::{Account, Stamps, World, always, both, refusal};

async fn denied(stamps: Stamps) -> World {
    let world = world_of(stamps).await;
    world.faults.deny_item();
    world
}

/// Takes what each action wishes to be told on a failed check out of a request.
fn wishes(body: &mut Value) -> Vec<Value> {
    let actions = body["TransactItems"].as_array_mut().unwrap().iter_mut();
    let actions = actions.map(|action| action.as_object_mut().unwrap().values_mut().next().unwrap());
    actions.map(|action| action["ReturnValuesOnConditionCheckFailure"].take()).collect()
}

pub(crate) async fn an_item_that_a_commit_is_denied_costs_one_request_and_changes_nothing_else() {
    for (lost, stamps) in both([Fault::Pass, Fault::ReplyLost, Fault::Truncated, Fault::RequestLost]) {
        let world = denied(stamps).await;
        world.faults.script(WRITE, [lost]);
        commit(&world).await.assert_applied(&world).await;
        let mut bodies: Vec<Value> = world.sent.take().into_iter().map(|sent| sent.body).collect();
        assert_eq!(wishes(&mut bodies[0]), ["ALL_OLD"; 6]);
        for body in &mut bodies[1..] {
            assert_eq!(wishes(body), ["NONE"; 6]);
        }
        assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "the same token, versions and stamps");
    }
}

/// Lets a rival change alice and create bob, commits, and returns the error.
async fn refused(world: &World) -> Error {
    world.rival.update("alice", |alice| alice.balance = -1).await.unwrap();
    world.rival.create(&mut Account { balance: 70, ..Account::bob() }).await.unwrap();
    let before = stored(world).await;
    let ended = commit(world).await;
    ended.assert_untouched();
    assert_eq!(stored(world).await, before, "a partial write");
    ended.result.unwrap_err()
}

async fn assert_told(error: &Error, world: &World) {
    assert!(matches!(error, Error::Conflict(_)), "{error:?}");
    let first = conflict(error);
    assert_eq!((first.action(), first.expected(), first.actual()), (Some(0), 1, Some(2)));
    assert_eq!(first.current::<Account>().ok(), world.stored("alice").await);
    let [Error::AlreadyExists(there)] = first.others() else { panic!("{:?}", first.others()) };
    assert_eq!(there.action(), Some(1));
    assert_eq!(there.current::<Account>().ok(), world.stored("bob").await);
    // One read for each item that was refused, after everything else.
    let sent = world.sent.take();
    let reads: Vec<_> = sent.iter().filter(|sent| sent.operation == "GetItem").collect();
    assert_eq!(reads.len(), 2);
    assert!(reads.iter().all(|read| read.body["ConsistentRead"] == true));
}

pub(crate) async fn what_a_denied_or_untold_item_holds_is_read() {
    for stamps in [Stamps::On, Stamps::Off] {
        let world = denied(stamps).await;
        assert_told(&refused(&world).await, &world).await;
        for lost in [None, Some(Fault::ConnectionRefused), Some(Fault::RequestLost)] {
            let world = world_of(stamps).await;
            world.faults.script(WRITE, lost.into_iter().chain([Fault::Untold]));
            assert_told(&refused(&world).await, &world).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_item_that_can_be_neither_told_nor_read_is_a_conflict_without_it() {
    for read in [refusal("AccessDeniedException"), Fault::RequestLost] {
        let world = denied(Stamps::On).await;
        world.rival.update("alice", |alice| alice.balance = -1).await.unwrap();
        world.faults.script("GetItem", always(&read));
        let ended = commit(&world).await;
        ended.assert_untouched();
        world.faults.clear();
        let Err(Error::Conflict(conflict)) = &ended.result else { panic!("{ended:?}") };
        assert_eq!((conflict.action(), conflict.item(), conflict.actual()), (Some(0), None, None));
        assert!(conflict.current::<Account>().is_err());
    }
}

/// A policy that forbids the write itself.
#[tokio::test(start_paused = true)]
async fn a_denied_commit_is_still_denied() {
    let world = world().await;
    world.faults.script(WRITE, always(&refusal("AccessDeniedException")));
    let ended = commit(&world).await;
    ended.assert_untouched();
    assert_eq!(ended.result.as_ref().err().and_then(sdk_code), Some("AccessDeniedException"), "{ended:?}");
    assert_eq!((world.sent.count(WRITE), applies(&world).await), (2, 0));
}
