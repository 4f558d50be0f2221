//! A refusal after a lost request. An earlier copy may still arrive, so only what refuses that one too is final: a version,
//! or an item in the way of a create. Items without a version change, and what refused the re-send may then let it through.

use std::error::Error as _;

use aws_sdk_dynamodb::types::AttributeValue;
use dynalock::testing::{Fault, Reply};
use dynalock::{Condition, Error, Transaction, transact};

use super::{WRITE, conflict};
use crate::foreign::{Foreign, Item, number};
use crate::world::{Account, World};

/// The forms of an item without a version.
fn forms() -> [Option<AttributeValue>; 3] {
    [None, Some(AttributeValue::Null(true)), Some(number(0))]
}

/// An item from before there was a version.
fn old(balance: i64, version: Option<&AttributeValue>) -> Item {
    let id = ("id".to_owned(), AttributeValue::S("old".into()));
    let version = version.map(|version| ("version".to_owned(), version.clone()));
    [id, ("balance".into(), number(balance))].into_iter().chain(version).collect()
}

/// A world with that item, if `is_there`.
async fn world(version: Option<&AttributeValue>, is_there: bool) -> World {
    let world = World::new().await;
    if is_there {
        Foreign::of(&world).put(old(3, version)).await;
    }
    world
}

fn rich() -> Condition {
    Condition::new("balance >= :least").value(":least", 1000)
}

/// What is done to the item without a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Save,
    Replace,
    Touch,
    Delete,
    Check,
}

impl Act {
    const ALL: [Self; 5] = [Self::Save, Self::Replace, Self::Touch, Self::Delete, Self::Check];

    fn add<'a>(self, transaction: Transaction<'a>, world: &World, held: &'a mut Account) -> Transaction<'a> {
        match self {
            Self::Save => transaction.save(&world.table, held),
            Self::Replace => transaction.replace(&world.table, held),
            Self::Touch => transaction.touch(&world.table, held),
            Self::Delete => transaction.delete(&world.table, held),
            Self::Check => transaction.check(&world.table, held),
        }
    }

    /// What is stored once it was done with a balance of 8 where `balance` stood.
    fn done(self, balance: i64) -> Option<Account> {
        let account = |balance, version| Some(Account { id: "old".into(), balance, version });
        match self {
            Self::Save | Self::Replace => account(8, 1),
            Self::Touch => account(balance, 1),
            Self::Delete => None,
            Self::Check => account(balance, 0),
        }
    }
}

fn held() -> Account {
    Account { id: "old".into(), balance: 8, version: 0 }
}

/// The error of a commit that saves alice and acts on the item without a version.
async fn refused(world: &World, act: Act, condition: Option<Condition>) -> Error {
    let (mut alice, mut held) = (Account { balance: 105, ..Account::alice() }, held());
    let before = world.stored("old").await;
    let transaction = Transaction::new(&world.client).save(&world.table, &mut alice);
    let transaction = act.add(transaction, world, &mut held);
    let transaction = condition.into_iter().fold(transaction, Transaction::condition);
    let error = transaction.commit().await.unwrap_err();
    assert_eq!((alice.version, &held), (1, &self::held()), "{act:?}: an object changed");
    assert_eq!([world.stored("alice").await, world.stored("old").await], [Some(Account::alice()), before]);
    assert!(world.faults.is_over(), "not every fault struck");
    error
}

/// The refusal that an unknown outcome has as its source.
fn refusal_behind(error: &Error) -> &Error {
    assert!(matches!(error, Error::OutcomeUnknown(_)), "{error:?}");
    let mut chain = std::iter::successors(error.source(), |&cause| cause.source());
    chain.find_map(|cause| cause.downcast_ref()).expect("a refusal")
}

/// The request that was given up for lost arrives, now that the item is as `balance` says, and is applied after all.
async fn assert_late_copy_is_applied(
    world: &World,
    act: Act,
    balance: i64,
    version: Option<&AttributeValue>,
) {
    Foreign::of(world).put(old(balance, version)).await;
    assert_eq!(world.transit.deliver_lost().await, 1);
    let alice = Account { balance: 105, version: 2, ..Account::alice() };
    assert_eq!(world.stored("alice").await, Some(alice), "{act:?}");
    assert_eq!(world.stored("old").await, act.done(balance), "{act:?}");
}

/// What may go wrong first, and whether a copy of the request may still arrive then.
fn faults() -> [(Option<Fault>, bool); 4] {
    [
        (None, false),
        (Some(Fault::ConnectionRefused), false),
        (Some(Fault::RequestLost), true),
        (Some(Fault::ClosedByServer), true),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_condition_that_fails_where_there_is_no_version_is_definite_unless_a_request_was_lost() {
    for version in forms() {
        let version = version.as_ref();
        for (fault, unknown) in faults() {
            for act in Act::ALL {
                let world = world(version, true).await;
                world.faults.script(WRITE, fault.clone());
                let error = refused(&world, act, Some(rich())).await;
                let refusal = if unknown { refusal_behind(&error) } else { &error };
                let Error::ConditionFailed(failed) = refusal else { panic!("{act:?} {fault:?}: {error:?}") };
                assert_eq!(
                    (failed.action_index(), failed.expected(), failed.actual()),
                    (Some(1), 0, Some(0))
                );
                if unknown {
                    assert_late_copy_is_applied(&world, act, 1000, version).await;
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_item_without_a_version_that_is_missing_is_a_conflict_unless_a_request_was_lost() {
    for version in forms() {
        for (fault, unknown) in faults() {
            for act in Act::ALL {
                let world = world(None, false).await;
                world.faults.script(WRITE, fault.clone());
                let error = refused(&world, act, None).await;
                let refusal = if unknown { refusal_behind(&error) } else { &error };
                let Error::Conflict(missing) = refusal else { panic!("{act:?} {fault:?}: {error:?}") };
                assert_eq!((missing.action_index(), missing.item()), (Some(1), None));
                if unknown {
                    assert_late_copy_is_applied(&world, act, 3, version.as_ref()).await;
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_refusal_behind_an_unknown_outcome_tells_how_often_it_was_tried() {
    let world = world(None, false).await;
    let passing = Fault::Instead(Reply::cancelled(["TransactionConflict", "None"]));
    world.faults.script(WRITE, [passing, Fault::RequestLost]);
    let error = refused(&world, Act::Save, None).await;
    let Error::Conflict(missing) = refusal_behind(&error) else { panic!("{error:?}") };
    assert_eq!(missing.attempts(), 2);
}

/// As for a create of its own.
#[tokio::test(start_paused = true)]
async fn a_create_whose_condition_fails_is_definite_unless_a_request_was_lost() {
    for (fault, unknown) in faults() {
        let world = world(None, false).await;
        let (mut alice, mut bob) = (Account::alice(), Account::bob());
        world.faults.script(WRITE, fault);
        let transaction = Transaction::new(&world.client).touch(&world.table, &mut alice);
        let transaction = transaction.create(&world.table, &mut bob).condition(rich());
        let error = transaction.commit().await.unwrap_err();
        let refusal = if unknown { refusal_behind(&error) } else { &error };
        assert!(matches!(refusal, Error::ConditionFailed(_)), "{error:?}");
        assert_eq!((alice, bob), (Account::alice(), Account::bob()));
        assert_eq!(world.stored("bob").await, None);
    }
}

/// Adds an action for an account that is at version 2 in the store.
type Add = for<'a> fn(Transaction<'a>, &World, &'a mut Account) -> Transaction<'a>;

/// What refuses every copy: the account moved on, is gone, has a false condition at its version, is there already, and was
/// given a version.
const FINAL: [(&str, u64, Add); 5] = [
    ("alice", 1, |transaction, world, held| transaction.save(&world.table, held)),
    ("nobody", 1, |transaction, world, held| transaction.touch(&world.table, held)),
    ("alice", 2, |transaction, world, held| transaction.check(&world.table, held).condition(rich())),
    ("alice", 0, |transaction, world, held| transaction.create(&world.table, held)),
    ("alice", 0, |transaction, world, held| transaction.replace(&world.table, held)),
];

#[tokio::test(start_paused = true)]
async fn one_action_that_refuses_every_copy_makes_the_refusal_definite_after_a_lost_request() {
    for (id, version, add) in FINAL {
        for (is_there, comes_first) in [(true, true), (true, false), (false, true), (false, false)] {
            let world = world(None, is_there).await;
            let alice = world.rival.update("alice", |alice| alice.balance = -1).await.unwrap();
            world.faults.script(WRITE, [Fault::RequestLost]);
            let (mut first, mut held) = (Account { id: id.into(), balance: 8, version }, held());
            let mut transaction = Transaction::new(&world.client);
            if comes_first {
                transaction = add(transaction, &world, &mut first);
                transaction = transaction.save(&world.table, &mut held).condition(rich());
            } else {
                transaction = transaction.save(&world.table, &mut held).condition(rich());
                transaction = add(transaction, &world, &mut first);
            }
            let error = transaction.commit().await.unwrap_err();
            let (Error::Conflict(refused) | Error::AlreadyExists(refused) | Error::ConditionFailed(refused)) =
                &error
            else {
                panic!("{id} {version}: {error:?}")
            };
            assert_eq!((refused.cancellation_reasons().len(), refused.other_refusals().len()), (2, 1));
            assert_eq!((first.version, held.version), (version, 0));

            Foreign::of(&world).put(old(1000, None)).await;
            assert_eq!(world.transit.deliver_lost().await, 1);
            assert_eq!(world.stored("alice").await, Some(alice), "{id} {version}");
            assert_eq!(world.stored("old").await, Some(Account { balance: 1000, ..self::held() }));
            assert_eq!(world.stored("nobody").await, None);
        }
    }
}

/// Checks change nothing, so it does not matter which copies arrive.
#[tokio::test(start_paused = true)]
async fn checks_alone_are_refused_for_good_though_a_request_was_lost() {
    for is_there in [true, false] {
        let world = world(None, is_there).await;
        world.faults.script(WRITE, [Fault::RequestLost]);
        let transaction = Transaction::new(&world.client).check(&world.table, &Account::alice());
        let error = transaction.check(&world.table, &held()).condition(rich()).commit().await.unwrap_err();
        match &error {
            Error::ConditionFailed(failed) if is_there => assert_eq!(failed.action_index(), Some(1)),
            error if !is_there => {
                assert_eq!((conflict(error).action_index(), conflict(error).item()), (Some(1), None));
            }
            other => panic!("{other:?}"),
        }
        assert!(world.faults.is_over(), "the fault did not strike");
    }
}

/// What a rival does to the item without a version after it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rival {
    Deletes,
    /// As a mapper does that begins with version 0.
    Adopts,
    /// Gives it version 1.
    Writes,
}

impl Rival {
    async fn act(self, world: &World) {
        let mut stored = world.stored("old").await.unwrap();
        match self {
            Self::Deletes => drop(world.rival.delete(&stored).await.unwrap()),
            Self::Adopts => Foreign::of(world).put(old(3, Some(&number(0)))).await,
            Self::Writes => world.rival.touch(&mut stored).await.unwrap(),
        }
    }
}

/// Adds 5 to alice, and to the item without a version if that `is_written`; returns the result and how often the closure ran.
async fn added(world: &World, is_written: bool) -> (Result<(), Error>, u32) {
    let (table, mut runs) = (&world.table, 0);
    let transaction = transact(&world.client, |tx| {
        runs += 1;
        async move {
            let mut alice = tx.get(table, "alice").await?.expect("alice");
            alice.balance += 5;
            tx.save(table, alice)?;
            match tx.get(table, "old").await? {
                Some(mut old) if is_written => {
                    old.balance += 5;
                    tx.save(table, old)
                }
                _ => Ok(()),
            }
        }
    });
    let result = transaction.await;
    (result, runs)
}

#[tokio::test(start_paused = true)]
async fn a_closure_runs_again_after_a_lost_request_only_where_a_version_refuses_every_copy() {
    for rival in [Rival::Deletes, Rival::Adopts, Rival::Writes] {
        for (fault, lost) in [(Fault::ConnectionRefused, false), (Fault::RequestLost, true)] {
            for is_written in [true, false] {
                let world = world(None, true).await;
                world.faults.script(WRITE, [fault.clone()]);
                let (result, runs) =
                    world.overtaken(added(&world, is_written), WRITE, rival.act(&world)).await;
                let done = Account { balance: 105, version: 2, ..Account::alice() };
                if lost && rival != Rival::Writes {
                    assert!(matches!(result, Err(Error::OutcomeUnknown(_))), "{rival:?}: {result:?}");
                    assert_eq!((runs, world.stored("alice").await), (1, Some(Account::alice())), "{rival:?}");
                    // What the rival did is undone, and what it refused arrives.
                    let act = if is_written { Act::Save } else { Act::Check };
                    assert_late_copy_is_applied(&world, act, 3, None).await;
                    continue;
                }
                result.unwrap();
                assert_eq!((runs, world.stored("alice").await.as_ref()), (2, Some(&done)), "{rival:?}");
                if lost {
                    let after = world.stored("old").await;
                    assert_eq!(world.transit.deliver_lost().await, 1);
                    assert_eq!([world.stored("alice").await, world.stored("old").await], [Some(done), after]);
                }
            }
        }
    }
}
