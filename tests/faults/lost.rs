//! One request or one reply is lost, and the SDK or dynalock sends the request again.

use dynalock::Deleted;
use dynalock::testing::{Fault, Reply};
use dynalock_tests::runtimes::each;

use crate::calls::{Call, Done};
use crate::world::{Account, World, both, breakdown, breakdown_after, leaves_doubt, refusal, throttled};

/// Faults that strike before the store sees the request.
pub(crate) fn before_the_store() -> [Fault; 4] {
    [Fault::ConnectionRefused, Fault::RequestLost, Fault::ClosedByServer, breakdown()]
}

/// Faults that strike after the store carried out the request.
pub(crate) fn after_the_store() -> [Fault; 6] {
    let strange = Fault::After(Reply::new(400, "RequestAborted"));
    [Fault::ReplyLost, breakdown_after(), Fault::NeverReplies, Fault::BodyCutOff, Fault::Truncated, strange]
}

/// Loses the request of each call so many times. A create is sent again only where it is known not to have arrived.
async fn assert_sent_again(times: usize) {
    for call in Call::ALL {
        for fault in before_the_store() {
            let world = World::new().await;
            world.faults.script(call.operation(), vec![fault.clone(); times]);
            let ended = call.run(&world).await;
            println!("{call:?} {fault:?}");
            if call.creates() && leaves_doubt(&fault) {
                ended.assert_sent_once(call, &world).await;
                continue;
            }
            ended.assert_applied(call, &world).await;
            assert_eq!(world.sent.count(call.operation()), times + 1, "{call:?} {fault:?}");
        }
    }
}

/// Rows 1 and 2.
pub(crate) async fn a_request_lost_before_the_store_is_sent_again_and_applied_once() {
    assert_sent_again(1).await;
}

/// Rows 1 and 2, for longer than the SDK tries by itself.
pub(crate) async fn requests_lost_ten_times_in_a_row_are_sent_again_and_applied_once() {
    assert_sent_again(10).await;
}

/// Rows 3 to 6, 17 and 19: the stamp tells that the write was applied. Without stamps a lost reply leaves the outcome
/// unknown, but nothing is applied twice.
pub(crate) async fn a_reply_lost_after_the_store_never_applies_a_second_time() {
    each(both(Call::ALL), |(call, stamps)| async move {
        for fault in after_the_store() {
            let world = World::of(stamps).await;
            println!("{call:?} {fault:?}");
            let ended = call.run_into(&world, &[fault]).await;
            ended.assert_lost(call, &world).await;
            // A failed check tells the item, but for a delete there is none, and a create is looked for.
            let finds_out = call.creates() || call == Call::Delete;
            let reads = usize::from(call.reads_first()) + usize::from(finds_out);
            assert_eq!(world.sent.count("GetItem"), reads, "{call:?}");
        }
    })
    .await;
}

/// Rows 3 and 19, in every mixture with requests that were lost before or after. Of a create, no second one is sent.
pub(crate) async fn a_lost_reply_among_lost_requests_never_applies_a_second_time() {
    for (call, stamps) in both(Call::ALL.into_iter().filter(|call| !call.creates())) {
        for place in 0..8 {
            let world = World::of(stamps).await;
            let mut faults = vec![Fault::RequestLost; 8];
            faults[place] = Fault::ReplyLost;
            world.faults.script(call.operation(), faults);
            call.run(&world).await.assert_lost(call, &world).await;
        }
    }
}

/// Nothing clears a doubt: answers that are definite for their own attempt say nothing about an earlier one.
#[tokio::test(start_paused = true)]
async fn a_lost_reply_stays_in_doubt_behind_any_number_of_definite_answers() {
    for (call, stamps) in both(Call::ALL.into_iter().filter(|call| !call.creates())) {
        for after in [0, 1, 2, 3, 4, 7] {
            let world = World::of(stamps).await;
            let mut faults = vec![Fault::ConnectionRefused; after];
            faults.insert(0, Fault::ReplyLost);
            faults.push(refusal("TransactionConflictException"));
            world.faults.script(call.operation(), faults);
            call.run(&world).await.assert_lost(call, &world).await;
        }
    }
}

/// Row 17, behind definite failures: a create may come after any number of them, but not after its lost reply.
#[tokio::test(start_paused = true)]
async fn a_create_is_sent_again_after_definite_failures_and_never_after_a_lost_reply() {
    for (call, stamps) in both([Call::Create, Call::CreateFresh]) {
        let world = World::of(stamps).await;
        let definite = [Fault::ConnectionRefused, throttled(), refusal("TransactionConflictException")];
        world.faults.script(call.operation(), definite.into_iter().cycle().take(9).chain([Fault::ReplyLost]));
        call.run(&world).await.assert_lost(call, &world).await;
        assert_eq!(world.sent.count(call.operation()), 10, "{call:?}");
    }
}

/// After a doubt the re-send is the identical request; that of a create after definite failures.
#[tokio::test(start_paused = true)]
async fn every_request_of_one_write_is_identical() {
    for (call, stamps) in both(Call::ALL) {
        let world = World::of(stamps).await;
        let faults = if call.creates() {
            [throttled(), refusal("TransactionConflictException"), Fault::ConnectionRefused, throttled()]
        } else {
            [Fault::RequestLost, breakdown(), Fault::ConnectionRefused, Fault::RequestLost]
        };
        world.faults.script(call.operation(), faults.into_iter().cycle().take(9));
        call.run(&world).await.assert_applied(call, &world).await;
        let sent = world.sent.sent();
        let writes: Vec<_> = sent.iter().filter(|sent| sent.operation == call.operation()).collect();
        assert_eq!(writes.len(), 10);
        assert!(writes.windows(2).all(|pair| pair[0] == pair[1]), "{call:?}");
        assert_eq!(sent.len() - writes.len(), usize::from(call.reads_first()), "{call:?}: no other request");
    }
}

/// Row 50: whoever redeems something by deleting it can tell a doubt from what somebody else took.
pub(crate) async fn a_delete_says_whether_it_may_have_been_its_own() {
    for (faults, gone) in [
        (vec![], Deleted::AlreadyGone),
        (vec![Fault::ConnectionRefused, throttled()], Deleted::AlreadyGone),
        (vec![Fault::RequestLost], Deleted::NowOrBefore),
        (vec![breakdown(), throttled()], Deleted::NowOrBefore),
    ] {
        let world = World::new().await;
        let (alice, bob) = (Account::alice(), Account { version: 1, ..Account::bob() });
        world.faults.script("DeleteItem", faults.clone());
        assert_eq!(world.table.delete(&bob).await.unwrap(), gone, "{faults:?}");
        world.faults.script("DeleteItem", faults.clone());
        let deleted = world.table.delete_all([&bob, &alice]).concurrency(1).await.into_result();
        assert_eq!(deleted.unwrap(), [gone, Deleted::Now], "{faults:?}");
    }
    let world = World::new().await;
    world.faults.script("DeleteItem", [Fault::ReplyLost]);
    assert_eq!(world.table.delete(&Account::alice()).await.unwrap(), Deleted::NowOrBefore);
}

/// Row 7, for a delete: the first reply that is seen is a failed check, though an attempt that nobody saw was applied.
pub(crate) async fn a_delete_that_finds_nothing_is_already_gone() {
    let world = World::new().await;
    let failed = Fault::After(Reply::new(400, "ConditionalCheckFailedException"));
    world.faults.script("DeleteItem", [failed]);
    let ended = Call::Delete.run(&world).await;
    assert!(matches!(ended.result, Ok(Done::Gone(Deleted::AlreadyGone))), "{ended:?}");
}
