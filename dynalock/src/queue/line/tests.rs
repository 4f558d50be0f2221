//! Tests of the line with callers on several threads, in thousands of interleavings.
//!
//! Each caller is answered once, no caller waits for ever, and only a change that was sent is applied.

use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use shuttle::future::block_on;
use shuttle::{check_pct, check_random, thread};

use super::*;
use crate::item::Item;
use crate::item::schema::Schema;
use crate::queue::desk::{AsOf, Flight, Group, UnderWay};
use crate::send::budget::Budget;
use crate::send::retry::Retry;
use crate::write::draft::Draft;

/// Some callers of one item, and the store that they write to.
struct World {
    line: Line,
    /// Changed only by the caller whose turn it is.
    store: Mutex<Store>,
}

#[derive(Default)]
struct Store {
    has_turn: bool,
    drafted: Vec<CallerId>,
    in_flight: Vec<CallerId>,
    applied: Vec<CallerId>,
    /// The callers whose changes must never be applied.
    given_up: Vec<CallerId>,
}

/// The way in which a caller ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    /// The caller waits for its answer.
    Stay,
    /// The caller is dropped while it waits for its turn.
    LeaveInLine,
    /// The caller is dropped during its turn.
    LeaveAtDesk,
    /// The caller is dropped after its closure ran.
    LeaveDrafted,
    /// The caller's time is up after its closure ran.
    GiveUpDrafted,
    /// The caller is dropped while its write is under way.
    LeaveInFlight,
}

const PLANS: [Plan; 6] = [
    Plan::Stay,
    Plan::LeaveInLine,
    Plan::LeaveAtDesk,
    Plan::LeaveDrafted,
    Plan::GiveUpDrafted,
    Plan::LeaveInFlight,
];

fn draft() -> Draft {
    let item = Item::from([("version".to_owned(), AttributeValue::N("1".into()))]);
    Draft::read(Schema::EXAMPLE, Item::new(), Some(item)).expect("a version")
}

fn intent() -> Intent {
    draft().into_write(None).expect("a write").intent()
}

fn as_of() -> AsOf {
    AsOf { arrivals: 0, begun: Instant::now() }
}

fn open() -> Desk {
    Desk::Open(Group::new(draft(), as_of()).into())
}

fn in_flight() -> Desk {
    let landing = UnderWay::new(std::future::pending());
    let delivery = Arc::default();
    let limits = Budget::start(Retry::default()).limits();
    let as_of = as_of();
    let flight = Flight { landing, intent: intent(), sender: 0, delivery, written: None, as_of, limits };
    Desk::InFlight(flight.into())
}

impl World {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Polls a caller once. It is dropped before it is polled again.
    async fn poll_once(&self, caller: CallerId) -> Option<Step> {
        std::future::poll_fn(|context| match self.line.poll(caller, context) {
            Poll::Ready(step) => Poll::Ready(Some(step)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    async fn step(&self, caller: CallerId) -> Step {
        let step = std::future::poll_fn(|context| self.line.poll(caller, context)).await;
        if matches!(step, Step::Turn(_)) {
            self.begin_turn();
        }
        step
    }

    fn begin_turn(&self) {
        let mut store = self.store();
        assert!(!store.has_turn, "two callers have the turn");
        store.has_turn = true;
    }

    fn end_turn(&self, desk: Option<Desk>) -> Option<Desk> {
        let mut store = self.store();
        assert!(std::mem::take(&mut store.has_turn), "the turn of another");
        if !desk.as_ref().is_some_and(Desk::holds_changes) {
            store.drafted.clear();
        }
        desk
    }

    fn leave(&self, caller: CallerId, desk: Option<Desk>) {
        let desk = desk.and_then(|desk| self.end_turn(Some(desk)));
        self.line.leave(caller, desk).wake();
    }

    /// Applies the write that is under way.
    fn land(&self) {
        let mut store = self.store();
        let landed = std::mem::take(&mut store.in_flight);
        store.applied.extend(landed);
        drop(store);
        self.line.applied(Some(2));
    }

    /// Sends the group at the desk.
    fn send(&self) -> Desk {
        let drafted = std::mem::take(&mut self.store().drafted);
        if self.line.mark_sent(intent()).is_none() {
            return Desk::Empty;
        }
        self.store().in_flight = drafted;
        in_flight()
    }

    /// Makes one call with the steps of `Turn`. Returns whether its change was applied, or `None` if the call got no answer.
    async fn call(&self, plan: Plan) -> (CallerId, Option<bool>) {
        let caller = self.line.join().expect("room");
        if plan == Plan::LeaveInLine {
            if let Some(Step::Turn(desk)) = self.poll_once(caller).await {
                self.begin_turn();
                self.leave(caller, Some(desk));
            } else {
                self.leave(caller, None);
            }
            return (caller, None);
        }
        let mut size = usize::MAX;
        let Step::Turn(mut desk) = self.step(caller).await else { panic!("an answer to nothing") };
        loop {
            // As in `begin`.
            desk = loop {
                desk = match desk {
                    Desk::Open(group) if self.line.members() >= group.size.min(size) => self.send(),
                    Desk::Open(_) => break desk,
                    Desk::InFlight(_) => {
                        self.land();
                        open()
                    }
                    Desk::Empty | Desk::Reading(_) => open(),
                };
            };
            if plan == Plan::LeaveAtDesk {
                // The group is dropped with the caller, as after a panic of its closure.
                self.leave(caller, Some(Desk::Empty));
                return (caller, None);
            }
            self.store().drafted.push(caller);
            self.line.draft(caller, Budget::start(Retry::default()).limits());
            self.end_turn(Some(open()));
            self.line.yield_turn(caller, desk);
            match plan {
                Plan::LeaveDrafted => {
                    self.leave(caller, None);
                    return (caller, None);
                }
                Plan::GiveUpDrafted => {
                    let status = self.line.give_up(caller);
                    if matches!(status, Status::Drafted(_)) {
                        self.store().given_up.push(caller);
                    }
                    self.leave(caller, None);
                    return (caller, None);
                }
                _ => {}
            }
            // As in `outcome`.
            let mut turn = None;
            let outcome = loop {
                match self.line.take_answer(caller) {
                    Some(Answer::Done(outcome)) => break outcome,
                    Some(answer) => panic!("{answer:?}"),
                    None => {}
                }
                turn = match turn.take() {
                    Some(Desk::Open(_)) => {
                        let desk = self.send();
                        if plan == Plan::LeaveInFlight && matches!(desk, Desk::InFlight(_)) {
                            self.leave(caller, Some(desk));
                            return (caller, None);
                        }
                        Some(desk)
                    }
                    Some(Desk::InFlight(_)) => {
                        self.land();
                        Some(open())
                    }
                    Some(other) => {
                        turn = Some(other);
                        break Outcome::Again;
                    }
                    None => match self.step(caller).await {
                        Step::Turn(desk) => Some(desk),
                        Step::Answered => None,
                    },
                };
            };
            match outcome {
                Outcome::Applied { .. } => {
                    match turn {
                        Some(desk) => self.leave(caller, Some(desk)),
                        None => self.leave(caller, None),
                    }
                    return (caller, Some(true));
                }
                Outcome::Smaller(half) => size = half,
                Outcome::Again => {}
            }
            desk = match turn {
                Some(desk) => desk,
                None => match self.step(caller).await {
                    Step::Turn(desk) => desk,
                    Step::Answered => panic!("an answer to nothing"),
                },
            };
        }
    }
}

/// Runs callers with these plans, each on a thread of its own.
fn run(plans: &[Plan]) {
    let world = Arc::new(World { line: Line::new(true), store: Mutex::default() });
    let threads: Vec<_> = plans
        .iter()
        .map(|&plan| {
            let world = Arc::clone(&world);
            thread::spawn(move || block_on(world.call(plan)))
        })
        .collect();
    let ended: Vec<_> = threads.into_iter().map(|thread| thread.join().expect("no panic")).collect();
    let store = world.store();
    for (caller, applied) in ended {
        let times = store.applied.iter().filter(|applied| **applied == caller).count();
        assert!(times <= 1, "applied {times} times");
        assert!(
            applied.is_none_or(|applied| applied == (times == 1)),
            "answered {applied:?}, applied {times} times"
        );
        assert!(times == 0 || !store.given_up.contains(&caller), "applied after it had given up");
    }
    assert!(!store.has_turn);
    let state = world.line.state();
    assert!(state.callers.is_empty() && state.waiting.is_empty() && state.turn.is_none());
}

/// Runs every plan between two callers that stay.
fn every_plan() {
    for plan in PLANS {
        run(&[Plan::Stay, plan, Plan::Stay]);
    }
}

/// Runs every pair of plans around a caller that stays.
fn every_pair() {
    for (place, first) in PLANS.into_iter().enumerate() {
        for second in PLANS.into_iter().skip(place) {
            run(&[first, Plan::Stay, second]);
        }
    }
}

/// Otherwise two of them would be taken for four, and for an overload.
#[test]
fn a_caller_whose_time_is_up_is_counted_once() {
    let give_up = || {
        let line = Line::new(false);
        let with_turn = line.join().expect("a place");
        let waiting = line.join().expect("a place");
        for caller in [waiting, with_turn] {
            line.note_giving_up(caller);
            line.leave(caller, None).wake();
        }
        assert_eq!(line.state().pace.gave_up.map(|(callers, _)| callers), Some(2));
    };
    check_random(give_up, 1);
}

#[test]
fn callers_on_threads_in_random_order_are_answered_once() {
    check_random(every_plan, 300);
    check_random(every_pair, 100);
}

#[test]
fn callers_on_threads_that_are_held_up_anywhere_are_answered_once() {
    check_pct(every_plan, 300, 4);
    check_pct(every_pair, 100, 4);
}
