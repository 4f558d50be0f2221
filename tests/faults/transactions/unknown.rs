//! A commit whose outcome could not be found out in time, and what a later read of one of its items says.

use dynalock::testing::{Fault, Reply};
use dynalock::{Condition, Error, Retry, Transaction, UnknownOutcome};

use super::{WRITE, applies, commit, commit_with, world};
use crate::calls::{sdk_code, unknown_because_of};
use crate::world::{Account, Bare, World, always, refusal};

/// Commits into `first` and then into `rest` until the end.
async fn doubtful(world: &World, first: Fault, rest: &Fault) -> Error {
    world.faults.script(WRITE, [first].into_iter().chain(always(rest)));
    let ended = commit(world).await;
    ended.assert_untouched();
    world.faults.clear();
    ended.result.unwrap_err()
}

fn passing() -> Fault {
    Fault::Instead(Reply::cancelled(["TransactionConflict"; 6]))
}

/// What a read with the SDK says.
async fn found_out(unknown: &UnknownOutcome, world: &World) -> Option<bool> {
    let read = world.store.client().get_item().table_name(unknown.table());
    let read = read.set_key(Some(unknown.key().clone())).consistent_read(true);
    unknown.was_applied(read.send().await.unwrap().item.as_ref())
}

#[tokio::test(start_paused = true)]
async fn a_doubt_that_no_answer_ends_names_an_item_that_tells() {
    for (first, applied) in [(Fault::ReplyLost, true), (Fault::RequestLost, false)] {
        for rest in [passing(), refusal("TransactionInProgressException"), refusal("ThrottlingException")] {
            let world = world().await;
            let error = doubtful(&world, first.clone(), &rest).await;
            let Error::OutcomeUnknown(unknown) = &error else { panic!("{error:?}") };
            assert!(unknown_because_of(&error).is_some() && !error.is_retryable());
            assert_eq!(applies(&world).await, u32::from(applied));
            assert_eq!(unknown.table(), "accounts");
            let id = unknown.key()["id"].as_s().unwrap().clone();
            assert!(super::IDS[..4].contains(&&*id), "{id} is written");

            assert_eq!(found_out(unknown, &world).await, applied.then_some(true), "it may be under way");
            let rival = world.rival.update_or_create(&id, Account::bob, |account| account.balance = -1);
            rival.await.unwrap();
            assert_eq!(found_out(unknown, &world).await, Some(applied));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_doubt_stays_though_the_last_answer_is_definite() {
    let mismatch = "IdempotentParameterMismatchException";
    for code in ["AccessDeniedException", "ResourceNotFoundException", "ValidationException", mismatch] {
        for (first, applied) in [(Fault::ReplyLost, 1), (Fault::RequestLost, 0)] {
            let world = world().await;
            let error = doubtful(&world, first, &refusal(code)).await;
            assert_eq!(unknown_because_of(&error), Some(code), "{error:?}");
            assert_eq!(applies(&world).await, applied);
        }
        let world = world().await;
        let error = doubtful(&world, Fault::ConnectionRefused, &refusal(code)).await;
        assert_eq!((sdk_code(&error), applies(&world).await), (Some(code), 0));
    }
    let invalid = Fault::Instead(Reply::cancelled(["ValidationError"; 6]));
    let error = doubtful(&world().await, Fault::ReplyLost, &invalid).await;
    assert_eq!(unknown_because_of(&error), Some("TransactionCanceledException"));
}

#[tokio::test(start_paused = true)]
async fn replies_lost_until_the_end_leave_the_outcome_unknown() {
    for (fault, applied) in [(Fault::ReplyLost, 1), (Fault::NeverReplies, 1), (Fault::RequestLost, 0)] {
        let world = world().await;
        world.faults.script(WRITE, always(&fault));
        let ended = commit_with(&world, Retry::default().attempts(4)).await;
        ended.assert_untouched();
        assert!(matches!(ended.result, Err(Error::OutcomeUnknown(_))), "{ended:?}");
        assert_eq!(applies(&world).await, applied);
    }
}

/// An account, as both structs hold it.
struct Held(Account, Bare);

type Add = for<'a> fn(Transaction<'a>, &World, &'a mut Held) -> Transaction<'a>;

/// From the action of which a later read tells most to the one of which it tells least.
const ADDS: [(&str, Add); 4] = [
    ("alice", |transaction, world, held| transaction.save(&world.table, &mut held.0)),
    ("dave", |transaction, world, held| transaction.touch(&world.bare, &mut held.1)),
    ("erin", |transaction, world, held| transaction.delete(&world.table, &held.0)),
    ("frank", |transaction, world, held| transaction.check(&world.table, &held.0)),
];

#[tokio::test(start_paused = true)]
async fn a_doubt_names_a_stamped_item_or_else_a_written_one_or_else_a_deleted_one() {
    for first in 0..3 {
        for is_reversed in [false, true] {
            let world = world().await;
            let mut adds = ADDS[first..].to_vec();
            let (named, _) = adds[0];
            if is_reversed {
                adds.reverse();
            }
            let account = |id: &str| Account { id: id.into(), ..Account::alice() };
            let mut held: Vec<Held> =
                adds.iter().map(|(id, _)| Held(account(id), Bare::from(account(id)))).collect();
            let in_progress = refusal("TransactionInProgressException");
            world.faults.script(WRITE, [Fault::ReplyLost].into_iter().chain(always(&in_progress)));
            let transaction = adds
                .iter()
                .zip(&mut held)
                .fold(Transaction::new(&world.client), |all, ((_, add), held)| add(all, &world, held));
            let error = transaction.commit().await.unwrap_err();
            let Error::OutcomeUnknown(unknown) = &error else { panic!("{error:?}") };
            assert_eq!(unknown.key()["id"].as_s().unwrap(), named, "reversed: {is_reversed}");
            assert_eq!(unknown.intended(), (named != "erin").then_some(2));
        }
    }
}

/// Deletes leave no stamp, so their doubt stays; checks change nothing, so there is none.
#[tokio::test(start_paused = true)]
async fn deletes_alone_stay_in_doubt_and_checks_alone_never_are() {
    let world = world().await;
    let [erin, frank] = ["erin", "frank"].map(|id| Account { id: id.into(), ..Account::alice() });
    world.faults.script(WRITE, [Fault::ReplyLost].into_iter().chain(always(&passing())));
    let transaction = Transaction::new(&world.client).check(&world.table, &frank).delete(&world.table, &erin);
    let error = transaction.commit().await.unwrap_err();
    let Error::OutcomeUnknown(unknown) = &error else { panic!("{error:?}") };
    assert_eq!((unknown.key()["id"].as_s().unwrap().as_str(), unknown.intended()), ("erin", None));
    assert_eq!(found_out(unknown, &world).await, None);

    world.faults.clear();
    world.faults.script(WRITE, [Fault::ReplyLost].into_iter().chain(always(&passing())));
    let holds = Condition::new("balance = :b").value(":b", 100);
    let check = Transaction::new(&world.client).check(&world.table, &frank).condition(holds);
    let error = check.commit().await.unwrap_err();
    assert_eq!(sdk_code(&error), Some("TransactionCanceledException"), "{error:?}");
}
