//! A batch that is rejected for what it holds: each of its members writes for itself, and only the guilty one fails.

use dynalock::Error;
use dynalock_tests::faults::{Fault, Reply};
use dynalock_tests::polling::together;

use crate::world::{Answer, Journal, World, add, add_each};

fn refusal(exception: &str) -> Fault {
    Fault::Instead(Reply::new(400, exception))
}

/// A world in which the entries 1, 3 and 4 were added, and `guilty` failed among them.
async fn all_but(
    guilty: impl FnOnce(&World) -> Answer<'static>,
    faults: impl IntoIterator<Item = Fault>,
) -> (World, Error) {
    let world = World::new().await;
    let table = &world.coalescing;
    let calls: [Answer<'_>; 4] = [add(table, 1), guilty(&world), add(table, 3), add(table, 4)];
    let others = async {
        // The write that is under way meets the faults after it was held up.
        world.faults.script("UpdateItem", [Fault::Pass].into_iter().chain(faults));
        together(calls).await
    };
    let ended = world.behind_a_write(table, others).await;
    let [one, guilty, three, four] = ended.try_into().unwrap();
    for (journal, entries) in [(one, &[0, 1][..]), (three, &[0, 1, 3]), (four, &[0, 1, 3, 4])] {
        assert_eq!(journal.unwrap().entries, entries);
    }
    assert_eq!(world.stored().await.entries, [0, 1, 3, 4]);
    assert!(world.faults.is_over());
    world.assert_is_quiet().await;
    (world, guilty.unwrap_err())
}

pub(crate) async fn an_item_over_400_kb_fails_only_who_made_it_so() {
    let guilty = |world: &World| -> Answer<'static> {
        let grow = |journal: &mut Journal| journal.note = "x".repeat(400 * 1024);
        world.coalescing.update("a", grow).into_future()
    };
    let (world, error) = all_but(guilty, []).await;
    let Error::InvalidRequest { table, problem } = &error else { panic!("{error:?}") };
    assert_eq!(&**table, "journals");
    assert!(problem.contains("400 KB"), "{error}");
    // The others share a write no more: each has its own.
    assert_eq!(world.written()[..4], [vec![0], vec![0, 1], vec![0, 1, 3], vec![0, 1, 3, 4]]);
}

pub(crate) async fn what_dynamodb_rejects_fails_only_who_wrote_it() {
    let invalid = || refusal("ValidationException");
    let faults = [invalid(), Fault::Pass, invalid()];
    let (world, error) = all_but(|world| add(&world.coalescing, 2), faults).await;
    let Error::Sdk(failure) = &error else { panic!("{error:?}") };
    assert_eq!(failure.code(), Some("ValidationException"));
    let written = [vec![0], vec![0, 1, 2, 3, 4], vec![0, 1], vec![0, 1, 2], vec![0, 1, 3], vec![0, 1, 3, 4]];
    assert_eq!(world.written()[..6], written);
}

#[tokio::test(start_paused = true)]
async fn a_closure_that_changes_the_key_fails_only_its_own_call() {
    let guilty = |world: &World| -> Answer<'static> {
        world.coalescing.update("a", |journal| journal.id.push('b')).into_future()
    };
    let (world, error) = all_but(guilty, []).await;
    let Error::InvalidItem { table, attribute, .. } = &error else { panic!("{error:?}") };
    assert_eq!((&**table, &**attribute), ("journals", "id"));
    assert_eq!(world.written()[..2], [vec![0], vec![0, 1, 3, 4]], "it was never in a write");
}

/// What is nobody's fault is told to all, after each has tried.
#[tokio::test(start_paused = true)]
async fn a_refusal_of_every_write_is_told_to_each() {
    for exception in ["ResourceNotFoundException", "ExpiredTokenException", "AccessDeniedException"] {
        let world = World::new().await;
        world.faults.script("UpdateItem", vec![refusal(exception); 8]);
        let ended = together(add_each(&world.coalescing, 1..=3)).await;
        for error in ended.into_iter().map(Result::unwrap_err) {
            let Error::Sdk(failure) = &error else { panic!("{error:?}") };
            assert_eq!(failure.code(), Some(exception));
        }
        world.faults.clear();
        assert!(
            world.written().len() <= 8,
            "a batch, and each for itself; twice where items may be forbidden"
        );
        world.assert_is_quiet().await;
    }
}

/// A refusal that may pass is nobody's fault either, but the sender has no attempts left for the others.
#[tokio::test(start_paused = true)]
async fn a_sender_that_gives_up_fails_alone() {
    let world = World::new().await;
    let table = &world.coalescing;
    let sender = table.clone().with_retry(dynalock::Retry::never());
    world.faults.script("UpdateItem", vec![refusal("ThrottlingException"); 3]);
    let ended = together([add(&sender, 1), add(table, 2), add(table, 3)]).await;
    let [sender, two, three] = ended.try_into().unwrap();
    assert!(sender.unwrap_err().is_retryable());
    assert_eq!(two.unwrap().entries, [2]);
    assert_eq!(three.unwrap(), Journal::after(1, &[2, 3]));
    assert!(world.faults.is_over());
    assert_eq!(world.requests(), (2, 4), "and the others share their write again");
}
