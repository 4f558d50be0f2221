//! Rows 27 to 31, and what else goes wrong around a transaction.

use dynalock::{Conflict, Error, Result, Retry, Table, Transaction};
use dynalock_tests::recording::Sent;
use dynalock_tests::runtimes::retry;

use crate::world::{Account, Holder, Stamps, World};

mod cancelled;
mod closures;
mod denied;
mod dropped;
mod endpoints;
mod lost;
mod single;
mod unknown;
mod unversioned;

pub(crate) use cancelled::a_failed_check_wins_over_reasons_that_may_pass;
pub(crate) use closures::{
    a_closure_that_panics_writes_nothing_and_holds_nothing_up,
    a_closure_that_refuses_or_panics_after_a_conflict_writes_nothing,
    a_closure_that_returns_its_error_writes_nothing_and_holds_nothing_up,
    a_transact_whose_reply_was_lost_is_ok_and_runs_no_closure_again,
};
pub(crate) use denied::{
    an_item_that_a_commit_is_denied_costs_one_request_and_changes_nothing_else,
    what_a_denied_or_untold_item_holds_is_read,
};
pub(crate) use dropped::{
    a_commit_dropped_at_any_poll_is_applied_at_most_once_and_raises_no_object,
    a_transact_dropped_at_any_poll_is_applied_at_most_once,
};
pub(crate) use lost::{
    a_commit_whose_reply_was_lost_is_ok_however_often_rivals_write_after_it,
    a_transaction_in_progress_is_asked_for_until_it_is_done,
};
pub(crate) use single::{
    a_rival_that_is_known_to_have_come_first_runs_the_closure_again,
    a_stamp_that_rivals_overwrote_leaves_the_outcome_unknown_and_runs_no_closure_again,
};

/// The operation that carries a transaction.
const WRITE: &str = "TransactWriteItems";

/// Six accounts, one for each kind of action: saved, created, replaced, touched, deleted and checked.
const IDS: [&str; 6] = ["alice", "bob", "carol", "dave", "erin", "frank"];

/// What the accounts are before the transaction; bob is not there.
fn before() -> [Option<Account>; 6] {
    IDS.map(|id| (id != "bob").then(|| Account { id: id.into(), ..Account::alice() }))
}

/// What they are once it is applied.
fn after() -> [Option<Account>; 6] {
    let [alice, _, carol, dave, _, frank] = before();
    let written = |account: Account, balance| Some(Account { balance, version: 2, ..account });
    let bob = Some(Account { version: 1, ..Account::bob() });
    [
        written(alice.unwrap(), 105),
        bob,
        written(carol.unwrap(), 105),
        written(dave.unwrap(), 100),
        None,
        frank,
    ]
}

async fn world() -> World {
    world_of(Stamps::On).await
}

async fn world_of(stamps: Stamps) -> World {
    with_others(World::of(stamps).await).await
}

/// Adds the accounts that a world does not begin with.
async fn with_others(world: World) -> World {
    for account in before().into_iter().flatten().filter(|account| account.id != "alice") {
        world.rival.create(&mut account.clone()).await.unwrap();
    }
    world
}

async fn stored(world: &World) -> [Option<Account>; 6] {
    let mut stored = [const { None }; 6];
    for (place, id) in stored.iter_mut().zip(IDS) {
        *place = world.stored(id).await;
    }
    stored
}

/// How often the transaction was applied: 0 or 1. Anything in between fails the test.
async fn applies(world: &World) -> u32 {
    let stored = stored(world).await;
    if stored == before() {
        return 0;
    }
    assert_eq!(stored, after(), "neither as before nor as written once");
    1
}

/// The objects of a transaction, as its caller holds them.
struct Held<T>([T; 6]);

impl<T: Holder> Held<T> {
    fn new() -> Self {
        let mut held = before().map(|account| T::from(account.unwrap_or_else(Account::bob)));
        held[0].add(5);
        held[2].add(5);
        // A touch writes no content.
        held[3].add(1000);
        Self(held)
    }

    fn transaction<'a>(&'a mut self, world: &World, table: &Table<T>) -> Transaction<'a> {
        let [alice, bob, carol, dave, erin, frank] = &mut self.0;
        let transaction = Transaction::new(&world.client).save(table, alice).create(table, bob);
        transaction.replace(table, carol).touch(table, dave).delete(table, erin).check(table, frank)
    }

    fn versions(&self) -> [u64; 6] {
        self.0.clone().map(|account| account.into().version)
    }
}

/// A commit, as it ended.
#[derive(Debug)]
struct Ended {
    result: Result<()>,
    /// Of the objects that the caller holds.
    versions: [u64; 6],
}

async fn commit(world: &World) -> Ended {
    commit_with(world, retry(&[])).await
}

async fn commit_with(world: &World, retry: Retry) -> Ended {
    match world.stamps {
        Stamps::On => commit_on(world, &world.table, retry).await,
        Stamps::Off => commit_on(world, &world.bare, retry).await,
    }
}

async fn commit_on<T: Holder>(world: &World, table: &Table<T>, retry: Retry) -> Ended {
    let mut held = Held::<T>::new();
    let result = held.transaction(world, table).retry(retry).commit().await;
    Ended { result, versions: held.versions() }
}

impl Ended {
    /// Ended well: applied once as a whole, and every object raised.
    async fn assert_applied(&self, world: &World) {
        self.assert_ok();
        assert_eq!(applies(world).await, 1);
        assert!(world.faults.is_over(), "not every fault struck");
    }

    fn assert_ok(&self) {
        assert!(self.result.is_ok(), "{self:?}");
        assert_eq!(self.versions, [2, 1, 2, 2, 1, 1]);
    }

    /// Every object is as it was.
    fn assert_untouched(&self) {
        assert!(self.result.is_err(), "{self:?}");
        assert_eq!(self.versions, [1, 0, 1, 1, 1, 1]);
    }
}

/// What the error of a refused commit tells first.
fn conflict(error: &Error) -> &Conflict {
    match error {
        Error::Conflict(conflict) | Error::AlreadyExists(conflict) => conflict,
        other => panic!("{other:?}"),
    }
}

/// The requests that carried a transaction, which must all be the same.
fn identical(world: &World) -> usize {
    let writes: Vec<Sent> = world.sent.sent().into_iter().filter(|sent| sent.operation == WRITE).collect();
    assert!(writes[0].body["ClientRequestToken"].is_string());
    assert!(writes.windows(2).all(|pair| pair[0] == pair[1]), "{writes:#?}");
    writes.len()
}

/// Another application changes all that is there, `times` times.
async fn rivals_write(world: &World, times: u32) {
    for account in stored(world).await.into_iter().flatten() {
        for _ in 0..times {
            world.rival.update(&account.id, |account| account.balance -= 1).await.unwrap();
        }
    }
}
