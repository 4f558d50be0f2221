//! Batches among requests and replies that are lost: each item is judged for itself.

use std::collections::BTreeSet;

use dynalock::testing::Fault;
use dynalock::{Deleted, Error, Table};
use dynalock_tests::polling::polled;
use dynalock_tests::runtimes::{each, retry};

use crate::world::{Account, Bare, Holder, World, breakdown_after};

const COUNT: usize = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Create,
    Save,
    Delete,
}

/// How an item ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Ok,
    Gone,
    Unknown,
}

impl Call {
    const ALL: [Self; 3] = [Self::Create, Self::Save, Self::Delete];

    fn operation(self) -> &'static str {
        match self {
            Self::Create => "PutItem",
            Self::Save => "UpdateItem",
            Self::Delete => "DeleteItem",
        }
    }

    /// The objects, as their caller holds them before the call.
    fn held(self) -> Vec<Account> {
        let (balance, version) = if self == Self::Create { (7, 0) } else { (8, 1) };
        (0..COUNT).map(|number| Account { id: format!("a{number}"), balance, version }).collect()
    }

    /// A world in which the call can go well.
    async fn world(self) -> World {
        let world = World::new().await;
        if self != Self::Create {
            let mut stored = Self::Create.held();
            world.rival.create_all(&mut stored).await.into_result().unwrap();
        }
        world
    }

    /// What is stored of an item before the call, and after it.
    fn stored(self) -> [Option<(i64, u64)>; 2] {
        match self {
            Self::Create => [None, Some((7, 1))],
            Self::Save => [Some((7, 1)), Some((8, 2))],
            Self::Delete => [Some((7, 1)), None],
        }
    }

    async fn run<T: Holder>(
        self,
        table: &Table<T>,
        concurrency: usize,
        held: &mut [T],
        told: &Told,
    ) -> Vec<End> {
        fn end<O>(outcome: &dynalock::Result<O>, ok: impl Fn(&O) -> End) -> End {
            match outcome {
                Ok(answer) => ok(answer),
                Err(Error::OutcomeUnknown(_)) => End::Unknown,
                Err(error) => panic!("{error:?}"),
            }
        }
        let gone = |deleted: &Deleted| if *deleted == Deleted::Now { End::Ok } else { End::Gone };
        let write = match self {
            Self::Create => table.create_all(held),
            Self::Save => table.save_all(held),
            Self::Delete => {
                let delete = table.delete_all(&*held).retry(retry(&[])).concurrency(concurrency);
                let deleted = delete.on_completed(|place, _| told.add(place)).await;
                return deleted.iter().map(|outcome| end(outcome, gone)).collect();
            }
        };
        let write = write.retry(retry(&[])).concurrency(concurrency);
        let written = write.on_completed(|place, _| told.add(place)).await;
        written.iter().map(|outcome| end(outcome, |()| End::Ok)).collect()
    }
}

/// The items whose end was told.
#[derive(Default)]
struct Told(std::sync::Mutex<BTreeSet<usize>>);

impl Told {
    fn add(&self, place: usize) {
        assert!(self.0.lock().unwrap().insert(place), "{place} ended twice");
    }
}

async fn stored(world: &World) -> Vec<Option<(i64, u64)>> {
    let keys = (0..COUNT).map(|number| format!("a{number}"));
    let found = world.rival.get_many(keys).await.unwrap();
    found.into_iter().map(|item| item.map(|item| (item.balance, item.version))).collect()
}

/// Every third request is applied and its reply lost. Where there are stamps these are found; where there are none, just the items
/// that were struck are in doubt.
pub(crate) async fn replies_lost_to_a_batch_double_nothing_and_leave_the_other_items_alone() {
    const LOST: usize = COUNT / 3;
    let faults = [Fault::ReplyLost, Fault::Truncated, breakdown_after()];
    let cases = Call::ALL.into_iter().flat_map(|call| faults.clone().map(|fault| (call, fault)));
    each(cases, |(call, fault)| async move {
        for concurrency in [1, 5, COUNT] {
            let script = [fault.clone(), Fault::Pass, Fault::Pass].into_iter().cycle().take(COUNT);
            // Beside each other, an item may be struck when it is sent again, and another one not at all.
            let struck = if concurrency == 1 { LOST..=LOST } else { 1..=LOST };
            let count = |ends: &[End], wanted| ends.iter().filter(|end| **end == wanted).count();
            let world = call.world().await;
            world.faults.script(call.operation(), script.clone());
            let mut held = call.held();
            let ends = call.run(&world.table, concurrency, &mut held, &Told::default()).await;
            println!("{call:?} {fault:?} {concurrency}: {ends:?}");
            assert_eq!(count(&ends, End::Unknown), 0);
            assert_eq!(call == Call::Delete, struck.contains(&count(&ends, End::Gone)));
            assert_eq!(stored(&world).await, [call.stored()[1]; COUNT]);
            let writes = world.sent.count(call.operation());
            if call == Call::Create {
                // It is not sent again: a read finds its stamp.
                assert_eq!((writes, world.sent.count("GetItem")), (COUNT, LOST));
            } else {
                assert_eq!(writes, COUNT + LOST);
            }
            let is_written = |(held, before): (&Account, Account)| held.version == before.version + 1;
            assert!(call == Call::Delete || held.iter().zip(call.held()).all(is_written));

            let world = call.world().await;
            world.faults.script(call.operation(), script);
            let mut held: Vec<Bare> = call.held().into_iter().map(Bare::from).collect();
            let ends = call.run(&world.bare, concurrency, &mut held, &Told::default()).await;
            println!("{call:?} {fault:?} {concurrency}, without stamps: {ends:?}");
            assert_eq!(stored(&world).await, [call.stored()[1]; COUNT]);
            assert_eq!(call != Call::Delete, struck.contains(&count(&ends, End::Unknown)));
            for ((end, held), before) in ends.into_iter().zip(held).zip(call.held()) {
                let is_raised = Account::from(held) != before;
                assert_eq!(is_raised, end == End::Ok && call != Call::Delete, "{end:?}");
            }
        }
    })
    .await;
}

/// Row 30: what was answered stands, what was under way is applied once or not at all, and the rest is as it was.
pub(crate) async fn a_batch_dropped_at_any_poll_applies_each_item_at_most_once() {
    const CONCURRENCY: usize = 3;
    let faults = [Fault::Pass, Fault::ReplyLost];
    let cases = Call::ALL.into_iter().flat_map(|call| faults.clone().map(|fault| (call, fault)));
    each(cases, |(call, fault)| async move {
        let mut in_doubt = 0;
        for polls in 0.. {
            assert!(polls < 1000, "{call:?} {fault:?} never ends");
            let world = call.world().await;
            world.faults.script(call.operation(), vec![fault.clone(); 4]);
            let (mut held, told) = (call.held(), Told::default());
            let ended = polled(call.run(&world.table, CONCURRENCY, &mut held, &told), polls).await;
            let told = told.0.into_inner().unwrap();
            let [before, after] = call.stored();
            let (mut applied, mut unknown) = (0, 0);
            for (place, stored) in stored(&world).await.into_iter().enumerate() {
                let is_applied = stored == after;
                assert!(is_applied || stored == before, "{call:?} {place}: {stored:?} after {polls} polls");
                let is_told = told.contains(&place);
                assert!(is_applied || !is_told, "{call:?} {place}: told, not applied, after {polls} polls");
                let raised = held[place] != call.held()[place];
                assert_eq!(raised, is_told && call != Call::Delete, "{call:?} {place} after {polls} polls");
                applied += usize::from(is_applied);
                unknown += usize::from(is_applied && !is_told);
            }
            assert!(unknown <= CONCURRENCY, "{call:?}: {unknown} in doubt");
            in_doubt += unknown;
            if ended.is_some() {
                assert_eq!((applied, told.len()), (COUNT, COUNT));
                break;
            }
        }
        assert!(in_doubt > 0, "{call:?} {fault:?}: no drop hit a write that was applied");
    })
    .await;
}
