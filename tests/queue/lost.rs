//! Requests and replies of a write that carries the changes of several callers, lost on the way.

use std::sync::atomic::{AtomicU32, Ordering};

use dynalock::testing::{Fault, Reply};
use dynalock::{Error, Retry};
use dynalock_tests::polling::together;
use dynalock_tests::runtimes::retry;

use crate::world::{Answer, Journal, MS, Refused, SECOND, World, add, add_below, add_each};

/// Three callers whose closures count their runs, on a coalescing table.
fn counted<'c>(world: &World, runs: &'c AtomicU32, retry: Retry) -> Vec<Answer<'c>> {
    let call = |entry| -> Answer<'c> {
        let change = move |journal: &mut Journal| {
            runs.fetch_add(1, Ordering::Relaxed);
            journal.entries.push(entry);
        };
        world.coalescing.update("a", change).retry(retry).into_future()
    };
    (1..=3).map(call).collect()
}

/// Whatever is lost: each change is applied once, by one request that is sent again as it was.
pub(crate) async fn a_lost_batch_is_applied_once_for_each_of_its_callers() {
    let breakdown = Reply::internal_server_error;
    let scripts = [
        vec![Fault::ReplyLost],
        vec![Fault::RequestLost],
        vec![Fault::ConnectionRefused],
        vec![Fault::Truncated],
        vec![Fault::BodyCutOff],
        vec![Fault::ClosedByServer],
        vec![Fault::NeverReplies],
        vec![Fault::DeliveredTwice],
        vec![Fault::ItemWithheld],
        vec![Fault::DeliveredLate(20 * MS)],
        vec![Fault::After(breakdown()), Fault::Instead(breakdown())],
        vec![Fault::RequestLost, Fault::Truncated, Fault::ReplyLost, Fault::ItemWithheld],
    ];
    for faults in scripts {
        let (world, runs) = (World::new().await, AtomicU32::new(0));
        world.faults.script("UpdateItem", faults.clone());
        let ended = together(counted(&world, &runs, retry(&faults))).await;
        for (journal, entries) in ended.into_iter().zip(1..) {
            let expected = Journal::after(u64::from(entries == 3), &[1, 2, 3][..entries]);
            assert_eq!(journal.unwrap(), expected, "{faults:?}");
        }
        assert_eq!(world.stored().await, Journal::after(1, &[1, 2, 3]), "{faults:?}");
        assert_eq!(runs.load(Ordering::Relaxed), 3, "{faults:?}: a closure ran again");
        assert!(world.faults.is_over());
        let writes: Vec<_> =
            world.sent.sent().into_iter().filter(|sent| sent.operation != "GetItem").collect();
        assert!(writes.iter().all(|write| *write == writes[0]), "{faults:?}: another request");
        world.assert_is_quiet().await;
    }
}

/// Whoever sent the write and whoever did not are told alike why nobody can tell any more.
#[tokio::test(start_paused = true)]
async fn a_batch_that_cannot_be_asked_for_tells_each_of_its_callers_why() {
    let (world, runs) = (World::new().await, AtomicU32::new(0));
    let denied = Fault::Instead(Reply::new(400, "ValidationException"));
    world.faults.script("UpdateItem", [Fault::ReplyLost, denied]);
    for answer in together(counted(&world, &runs, retry(&[]))).await {
        let Err(Error::OutcomeUnknown(unknown)) = &answer else { panic!("{answer:?}") };
        let cause = std::error::Error::source(&**unknown).expect("a cause");
        assert!(cause.to_string().contains("ValidationException"), "{cause}");
    }
    assert_eq!(runs.load(Ordering::Relaxed), 3, "a closure ran again");
}

/// Adds more entries than there are stamps, as another program.
async fn hide(world: &World) {
    for entry in 50..56 {
        world.rival_adds(entry).await;
    }
}

/// Nobody can tell any more, so no closure runs again; and nobody after them goes on with what they assumed.
pub(crate) async fn a_batch_whose_stamp_was_overwritten_is_unknown_to_each_of_its_callers() {
    let (world, runs) = (World::new().await, AtomicU32::new(0));
    world.faults.script("UpdateItem", [Fault::ReplyLost]);
    let calls = counted(&world, &runs, retry(&[]));
    let late = async {
        let gate = world.faults.hold_up("UpdateItem");
        gate.reached().await;
        hide(&world).await;
        let go_on = async { gate.open() };
        // One that waits behind them.
        tokio::join!(add(&world.coalescing, 4), go_on).0
    };
    let (ended, four) = tokio::join!(together(calls), late);
    for answer in ended {
        let Err(Error::OutcomeUnknown(unknown)) = answer else { panic!("{answer:?}") };
        assert_eq!((unknown.table(), unknown.expected(), unknown.intended()), ("journals", 1, Some(11)));
        assert!(std::error::Error::source(&*unknown).is_none(), "the store answered everything");
    }
    assert_eq!(runs.load(Ordering::Relaxed), 3, "a closure ran again");
    let all = [1, 2, 3, 50, 51, 52, 53, 54, 55, 4];
    assert_eq!(four.unwrap(), Journal::after(8, &all));
    assert_eq!(world.sent.count("GetItem"), 2, "it was handed nothing");
    world.assert_is_quiet().await;
}

/// The sender knows why; the others know as much as their own calls could tell.
#[tokio::test(start_paused = true)]
async fn a_refusal_for_good_after_a_lost_reply_leaves_it_unknown_to_each() {
    let (world, runs) = (World::new().await, AtomicU32::new(0));
    let refusal = Fault::Instead(Reply::new(400, "ResourceNotFoundException"));
    world.faults.script("UpdateItem", [Fault::ReplyLost, refusal]);
    let ended = together(counted(&world, &runs, retry(&[]))).await;
    assert!(ended.iter().all(|answer| matches!(answer, Err(Error::OutcomeUnknown(_)))), "{ended:?}");
    assert_eq!(runs.load(Ordering::Relaxed), 3, "a closure ran again");
    assert_eq!(world.requests(), (1, 2), "nobody sends it again");
    world.assert_is_quiet().await;
}

/// A refusal rested on changes that may or may not have been made. It is run again on what is stored, with no harm: it wrote
/// nothing.
pub(crate) async fn a_refusal_in_a_batch_that_is_lost_for_good_is_run_again() {
    let world = World::new().await;
    let table = &world.coalescing;
    world.faults.script("UpdateItem", [Fault::ReplyLost]);
    let one = async { add(table, 1).await.map_err(Refused::Failed) };
    let calls: [Answer<'_, _, _>; 3] = [Box::pin(one), add_below(table, 1, 2), add_below(table, 2, 3)];
    let ended = world.overtaken(together(calls), "UpdateItem", hide(&world)).await;
    let [one, two, three] = ended.try_into().unwrap();
    for lost in [one, three] {
        assert!(matches!(lost, Err(Refused::Failed(Error::OutcomeUnknown(_)))), "{lost:?}");
    }
    let stored = [1, 3, 50, 51, 52, 53, 54, 55];
    assert_eq!(two.unwrap_err().saw(), stored);
    assert_eq!(world.stored().await.entries, stored);
    world.assert_is_quiet().await;
}

/// In a table without coalescing a write has one caller, and those behind it read what became of it.
pub(crate) async fn an_unknown_outcome_is_handed_to_nobody() {
    let world = World::new().await;
    let table = &world.table;
    let refusal = Fault::Instead(Reply::new(400, "ResourceNotFoundException"));
    world.faults.script("UpdateItem", [Fault::ReplyLost, refusal.clone(), Fault::RequestLost, refusal]);
    let ended = together(add_each(table, 1..=4)).await;
    assert!(ended[..2].iter().all(|answer| matches!(answer, Err(Error::OutcomeUnknown(_)))), "{ended:?}");
    assert_eq!(ended[3].as_ref().unwrap(), &Journal::after(3, &[1, 3, 4]));
    assert_eq!(world.sent.count("GetItem"), 3, "one for each after an unknown outcome");
    world.assert_is_quiet().await;
}

/// Late copies of a batch meet a later version.
#[tokio::test(start_paused = true)]
async fn a_late_copy_of_a_batch_changes_nothing() {
    let (world, runs) = (World::new().await, AtomicU32::new(0));
    world.faults.script("UpdateItem", [Fault::DeliveredLate(10 * SECOND), Fault::DeliveredLate(20 * SECOND)]);
    let ended = together(counted(&world, &runs, retry(&[]))).await;
    assert!(ended.iter().all(Result::is_ok));
    add(&world.coalescing, 4).await.unwrap();
    tokio::time::sleep(30 * SECOND).await;
    assert_eq!(world.stored().await, Journal::after(2, &[1, 2, 3, 4]));
}
