//! Callers that are dropped at every poll: while they wait, read, send, or sleep, with or without a change in a write.

use std::future::{IntoFuture, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use dynalock::Table;
use dynalock::testing::{Fault, Reply};
use dynalock_tests::polling::{polled, together};
use dynalock_tests::runtimes::{each, retry, time_is_real};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::world::{Answer, Journal, MS, World, add, add_each};

/// How three callers fare, of whom one is dropped.
#[derive(Debug, Clone)]
struct Case {
    coalesces: bool,
    /// 1, 2 or 3: who also adds this entry.
    victim: u32,
    faults: Vec<Fault>,
    /// How many of their writes a rival overtakes, after the faults.
    rivals: u32,
}

/// What came of one drop.
struct Dropped {
    /// Whether it ended before.
    ended: bool,
    /// Whether its change was applied all the same.
    applied: bool,
    /// Whether its change had been sent.
    sent: bool,
}

impl Case {
    fn table<'w>(&self, world: &'w World) -> &'w Table<Journal> {
        if self.coalesces { &world.coalescing } else { &world.table }
    }

    /// Drops the victim after so many polls. The others must not notice.
    async fn drop_after(&self, polls: usize) -> Dropped {
        let world = World::new().await;
        world.faults.script("UpdateItem", self.faults.iter().cloned());
        // Not for long on a reply that hangs, because it is waited for again and again.
        let table = &self.table(&world).clone().with_retry(retry(&[]).attempt_timeout(50 * MS));
        let has_it = |entries: &Vec<u32>| entries.contains(&self.victim);
        let calls = (1..=3).map(|entry| {
            let world = &world;
            async move {
                if entry != self.victim {
                    return (Some(add(table, entry).await), false);
                }
                let ended = polled(add(table, entry), polls).await;
                (ended, world.written().iter().any(has_it))
            }
        });
        let rivals = async {
            for entry in 50..50 + self.rivals {
                world.overtake("UpdateItem", world.rival_adds(entry)).await;
            }
            std::future::pending::<()>().await;
        };
        let ended = tokio::select! {
            ended = together(calls) => ended,
            () = rivals => unreachable!("it never ends"),
        };
        let (mut victims, mut sent) = (None, false);
        for ((answer, was_sent), entry) in ended.into_iter().zip(1..) {
            if entry == self.victim {
                (victims, sent) = (answer, was_sent);
            } else {
                let journal =
                    answer.expect("not dropped").unwrap_or_else(|error| panic!("{self:?}: {error:?}"));
                assert_eq!(journal.entries.last(), Some(&entry), "{self:?}");
            }
        }
        let stored = world.stored().await.entries;
        let applied = has_it(&stored);
        let ours: Vec<u32> = stored.into_iter().filter(|entry| *entry < 50).collect();
        let all: Vec<u32> = (1..=3).filter(|entry| applied || *entry != self.victim).collect();
        assert_eq!(ours, all, "{self:?}, dropped after {polls} polls");
        // Where others share its write, the change of a closure that ran goes with theirs.
        if !sent && victims.is_none() && !self.coalesces {
            assert!(!world.written().iter().any(has_it), "{self:?}: sent after it was dropped");
        }
        if let Some(Err(error)) = &victims {
            panic!("{self:?}: {error:?}");
        }
        world.faults.clear();
        world.faults.hold_up("UpdateItem").open();
        world.assert_is_quiet().await;
        Dropped { ended: victims.is_some(), applied, sent }
    }

    /// Drops the victim after each number of polls until that is enough for it to end.
    async fn drop_at_every_poll(self) {
        // Of the drops: those before its change was sent, those of a write that was applied, and those of one that was not.
        let (mut unsent, mut applied, mut lost) = (0, 0, 0);
        for polls in 0..2000 {
            let dropped = self.drop_after(polls).await;
            if dropped.ended {
                // While a rival is busy, its own write may take no more than one poll.
                let hit = applied + lost > 0 || self.rivals > 0;
                // Where time is real, the machine decides where a call is at which poll.
                let met_all = time_is_real() || unsent > 2 && hit;
                assert!(met_all, "{self:?}: {unsent} unsent, {applied} applied, {lost} lost");
                return;
            }
            match dropped {
                Dropped { applied: true, .. } => applied += 1,
                Dropped { sent: true, .. } => lost += 1,
                _ => unsent += 1,
            }
        }
        panic!("{self:?} never ends");
    }
}

/// Every caller in each of `tables` that may be dropped, under `faults`.
fn cases(tables: &[bool], faults: &[Fault], rivals: u32) -> Vec<Case> {
    let of_table = |&coalesces: &bool| {
        let case = move |victim| Case { coalesces, victim, faults: faults.to_vec(), rivals };
        (1..=3).map(case)
    };
    tables.iter().flat_map(of_table).collect()
}

const BOTH: [bool; 2] = [false, true];

pub(crate) async fn a_caller_dropped_at_any_poll_holds_up_nobody() {
    each(cases(&BOTH, &[], 0), Case::drop_at_every_poll).await;
}

pub(crate) async fn a_caller_dropped_at_any_poll_of_a_lost_write_holds_up_nobody() {
    for faults in [[Fault::ReplyLost, Fault::NeverReplies], [Fault::RequestLost, Fault::Truncated]] {
        each(cases(&BOTH, &faults, 0), Case::drop_at_every_poll).await;
    }
}

/// While it sleeps, between the attempts of a write and between two writes.
#[tokio::test(start_paused = true)]
async fn a_caller_dropped_at_any_poll_of_its_back_off_holds_up_nobody() {
    let refusal = Fault::Instead(Reply::new(400, "TransactionConflictException"));
    each(cases(&BOTH, &[refusal], 3), Case::drop_at_every_poll).await;
}

/// The next one goes on with it, where it was and as it was.
pub(crate) async fn a_batch_whose_sender_is_dropped_is_sent_again_as_it_was() {
    for fault in [Fault::NeverReplies, Fault::Delay(10_000 * MS)] {
        let world = World::new().await;
        let table = &world.coalescing;
        world.faults.script("UpdateItem", [fault]);
        let sent = Notify::new();
        let sender = async {
            tokio::select! {
                answer = add(table, 1) => panic!("{answer:?}"),
                () = sent.notified() => {}
            }
        };
        let watch = async {
            while world.sent.count("UpdateItem") == 0 {
                tokio::time::sleep(MS).await;
            }
            // Until the store has carried it out, if ever it does.
            tokio::time::sleep(20 * MS).await;
            sent.notify_one();
        };
        let (ended, (), ()) = tokio::join!(together([add(table, 2), add(table, 3)]), sender, watch);
        let entries = world.stored().await.entries;
        assert_eq!(entries, [2, 3, 1], "the sender is the first to come round again");
        let [two, three] = ended.try_into().unwrap();
        assert_eq!(two.unwrap().entries, [2]);
        assert_eq!(three.unwrap().entries, [2, 3]);
        let sent = world.sent.sent();
        assert_eq!((sent.len(), &sent[1].body), (3, &sent[2].body), "the identical request");
        world.assert_is_quiet().await;
    }
}

/// Drops a call as soon as its closure has run, if it has not ended by then.
async fn until_it_ran(call: Answer<'_>, ran: &AtomicBool) {
    let mut call = pin!(call);
    poll_fn(|context| match call.as_mut().poll(context) {
        Poll::Pending if !ran.load(Ordering::Relaxed) => Poll::Pending,
        _ => Poll::Ready(()),
    })
    .await;
}

/// Row 44: callers that give up between their closure and the send, again and again. Their changes go with those of the others.
#[tokio::test(start_paused = true)]
async fn the_writes_of_others_go_out_whoever_is_dropped_before_them() {
    let world = World::new().await;
    let table = &world.coalescing;
    let mut runs = 0;
    for round in 0..100 {
        let ran = AtomicBool::new(false);
        let impatient = table.update("a", |journal| {
            ran.store(true, Ordering::Relaxed);
            journal.note.push('x');
        });
        let patient = table.update("a", |journal| {
            runs += 1;
            journal.note = format!("{} {round}", journal.entries.len());
        });
        let others = async {
            tokio::join!(until_it_ran(impatient.into_future(), &ran), patient.into_future()).1.unwrap();
        };
        world.behind_a_write(table, others).await;
    }
    assert_eq!(runs, 100, "each closure of a patient caller ran once");
    assert_eq!(world.sent.count("UpdateItem"), 200);
    world.assert_is_quiet().await;
}

/// A read belongs to those who wait for it, and not to the one that began it.
#[tokio::test(start_paused = true)]
async fn a_read_outlives_the_caller_that_began_it() {
    for coalesces in [false, true] {
        let world = World::new().await;
        let table = if coalesces { &world.coalescing } else { &world.table };
        let reading = world.faults.hold_up("GetItem");
        let mut leader = add(table, 0);
        assert!(polled(&mut leader, 10).await.is_none());
        for entry in 1..50 {
            let mut next = add(table, entry);
            assert!(polled(&mut next, 1).await.is_none());
            drop(std::mem::replace(&mut leader, next));
            assert!(polled(&mut leader, 10).await.is_none());
        }
        reading.open();
        assert_eq!(leader.await.unwrap().entries, [49]);
        assert_eq!(world.requests(), (1, 1));
        world.assert_is_quiet().await;
    }
}

/// Tasks that are aborted at any moment, on several threads while they run.
pub(crate) async fn tasks_that_are_aborted_hold_up_nobody() {
    for round in 0..40 {
        let world = World::new().await;
        let table = if round % 2 == 0 { &world.table } else { &world.coalescing };
        let mut tasks = JoinSet::new();
        let handles: Vec<_> = add_each(table, 0..12).map(|call| tasks.spawn(call)).collect();
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        for aborted in handles.iter().step_by(3) {
            aborted.abort();
        }
        let mut done = vec![];
        while let Some(ended) = tasks.join_next().await {
            match ended {
                Ok(journal) => done.extend(journal.unwrap().entries.last().copied()),
                Err(error) => assert!(error.is_cancelled()),
            }
        }
        let stored = world.stored().await.entries;
        for entry in 0..12 {
            let times = stored.iter().filter(|stored| **stored == entry).count();
            let is_sure = entry % 3 != 0 || done.contains(&entry);
            assert!(times == 1 || times == 0 && !is_sure, "{entry}: {times} times");
        }
        world.assert_is_quiet().await;
    }
}
