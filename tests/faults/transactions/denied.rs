//! Row 26 for transactions: a policy that forbids that a failed check returns the item, and a store that does not tell it.

use dynalock::testing::Fault;
use dynalock::{Condition, Error, Transaction};
use serde_json::Value;

use super::{WRITE, applies, commit, conflict, stored, world, world_of};
use crate::calls::sdk_code;
use crate::world::{Account, Bare, Stamps, World, always, both, refusal};

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

/// The same of every request that wrote since the last call; `-` where nothing is said.
fn all_wishes(world: &World) -> Vec<String> {
    let writes = world.sent.take().into_iter().filter(|sent| sent.operation != "GetItem");
    let wish = |wish: &Value| wish.as_str().unwrap_or("-").to_owned();
    writes
        .map(|mut sent| match sent.operation.as_str() {
            WRITE => wishes(&mut sent.body).iter().map(wish).collect::<Vec<_>>().join(" "),
            _ => wish(&sent.body["ReturnValuesOnConditionCheckFailure"]),
        })
        .collect()
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
    assert_eq!((first.action_index(), first.expected(), first.actual()), (Some(0), 1, Some(2)));
    assert_eq!(first.current::<Account>().ok(), world.stored("alice").await);
    let [Error::AlreadyExists(there)] = first.other_refusals() else {
        panic!("{:?}", first.other_refusals())
    };
    assert_eq!(there.action_index(), Some(1));
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
            world.faults.script(WRITE, lost.into_iter().chain([Fault::ItemWithheld]));
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
        assert_eq!((conflict.action_index(), conflict.item(), conflict.actual()), (Some(0), None, None));
        assert!(conflict.current::<Account>().is_err());
    }
}

/// Nothing can be said of the item, so nothing is: not that it is there, nor that its version is right.
#[tokio::test(start_paused = true)]
async fn a_refused_create_that_can_be_neither_told_nor_read_is_a_conflict_or_unknown() {
    for is_denied in [true, false] {
        for condition in [None, Some(Condition::new("attribute_not_exists(balance)"))] {
            for lost in [None, Some(Fault::ConnectionRefused), Some(Fault::RequestLost)] {
                let unknown = matches!(lost, Some(Fault::RequestLost));
                let world = if is_denied { denied(Stamps::On).await } else { world().await };
                world.rival.create(&mut Account::bob()).await.unwrap();
                let untold = (!is_denied).then_some(Fault::ItemWithheld);
                world.faults.script(WRITE, lost.into_iter().chain(untold));
                world.faults.script("GetItem", always(&refusal("AccessDeniedException")));
                let (mut alice, mut bob) = (Account::alice(), Account::bob());
                let transaction = Transaction::new(&world.client).touch(&world.table, &mut alice);
                let transaction = transaction.create(&world.table, &mut bob);
                let transaction = condition.clone().into_iter().fold(transaction, Transaction::condition);
                match transaction.commit().await.unwrap_err() {
                    Error::OutcomeUnknown(_) if unknown => {}
                    Error::Conflict(conflict) if !unknown => {
                        assert_eq!(
                            (conflict.action_index(), conflict.item(), conflict.actual()),
                            (Some(1), None, None)
                        );
                        assert!(conflict.current::<Account>().is_err());
                    }
                    error => panic!("{error:?}"),
                }
                assert_eq!((alice, bob), (Account::alice(), Account::bob()));
            }
        }
    }
}

const FIRST: &str = "ALL_OLD ALL_OLD";
const SECOND: &str = "NONE NONE";
const REMEMBERED: &str = "- -";

/// Touches alice and carol, whose tables may have other policies.
async fn touch_both(world: &World, (alice, carol): (&mut Account, &mut Bare)) -> Result<(), Error> {
    Transaction::new(&world.client).touch(&world.table, alice).touch(&world.bare, carol).commit().await
}

fn carol() -> Bare {
    Bare::from(Account { id: "carol".into(), ..Account::alice() })
}

#[tokio::test(start_paused = true)]
async fn an_item_that_a_commit_was_denied_is_remembered_for_each_of_its_tables() {
    for is_refused in [false, true] {
        let world = denied(Stamps::On).await;
        let (mut alice, mut carol) = (Account::alice(), carol());
        if is_refused {
            let mut stale = Account { version: 7, ..Account::alice() };
            let error = touch_both(&world, (&mut stale, &mut carol)).await.unwrap_err();
            assert!(matches!(error, Error::Conflict(_)), "{error:?}");
        } else {
            touch_both(&world, (&mut alice, &mut carol)).await.unwrap();
        }
        assert_eq!(all_wishes(&world), [FIRST, SECOND]);
        touch_both(&world, (&mut alice, &mut carol)).await.unwrap();
        assert_eq!(all_wishes(&world), [REMEMBERED]);
        world.table.clone().touch(&mut alice).await.unwrap();
        world.bare.touch(&mut carol).await.unwrap();
        assert_eq!(all_wishes(&world), ["-", "-"]);
        world.table_of::<Account>().touch(&mut alice).await.unwrap();
        assert_eq!(all_wishes(&world), ["ALL_OLD", "NONE"], "another table may have another policy");
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_asks_for_no_item_of_the_table_alone_where_a_write_was_denied_it() {
    let world = denied(Stamps::On).await;
    let (mut alice, mut carol) = (Account::alice(), carol());
    world.table.touch(&mut alice).await.unwrap();
    assert_eq!(all_wishes(&world), ["ALL_OLD", "NONE"]);
    touch_both(&world, (&mut alice, &mut carol)).await.unwrap();
    assert_eq!(all_wishes(&world), ["- ALL_OLD", "- NONE"]);
    touch_both(&world, (&mut alice, &mut carol)).await.unwrap();
    assert_eq!(all_wishes(&world), [REMEMBERED]);
}

/// A policy that forbids the write itself: the second request is refused as well, and nothing is remembered.
#[tokio::test(start_paused = true)]
async fn a_denied_commit_is_still_denied_and_changes_nothing_for_the_next() {
    let world = world().await;
    world.faults.script(WRITE, vec![refusal("AccessDeniedException"); 2]);
    let ended = commit(&world).await;
    ended.assert_untouched();
    assert_eq!(ended.result.as_ref().err().and_then(sdk_code), Some("AccessDeniedException"), "{ended:?}");
    assert_eq!((world.sent.count(WRITE), applies(&world).await), (2, 0));
    let _ = world.sent.take();
    commit(&world).await.assert_applied(&world).await;
    assert_eq!(all_wishes(&world), [["ALL_OLD"; 6].join(" ")]);
}
