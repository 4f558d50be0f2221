//! Futures that are under way together, in one task.

use std::collections::{BTreeSet, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Futures of one kind that are under way together, up to some number. Only those are polled that were woken, so that what one of
/// them costs does not depend on how many there are.
pub(crate) struct UnderWay<F> {
    most: usize,
    slots: Vec<Slot<F>>,
    free: Vec<usize>,
    /// The slots that are to be polled.
    due: VecDeque<usize>,
    woken: Arc<Woken>,
    /// How many futures were polled since this was last pending.
    polls: usize,
}

struct Slot<F> {
    future: Option<Pin<Box<F>>>,
    waker: Waker,
}

/// How many futures may be polled before the task lets others run on its thread, and looks who was woken meanwhile.
const POLLS_AT_ONCE: usize = 32;

impl<F: Future> UnderWay<F> {
    pub(crate) fn at_most(most: usize) -> Self {
        let (slots, free, due) = (Vec::new(), Vec::new(), VecDeque::new());
        Self { most, slots, free, due, woken: Arc::default(), polls: 0 }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.slots.len() - self.free.len() < self.most
    }

    pub(crate) fn add(&mut self, future: F) {
        let slot = self.free.pop().unwrap_or_else(|| {
            let slot = self.slots.len();
            let bell = Bell { slot, woken: Arc::clone(&self.woken) };
            self.slots.push(Slot { future: None, waker: Arc::new(bell).into() });
            slot
        });
        self.slots[slot].future = Some(Box::pin(future));
        self.due.push_back(slot);
    }

    /// What the next future has ended with; `None` if there is none.
    pub(crate) async fn next(&mut self) -> Option<F::Output> {
        poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<F::Output>> {
        if self.free.len() == self.slots.len() {
            return Poll::Ready(None);
        }
        // Whoever wakes itself while it is polled waits for the next time.
        let mut is_last_round = false;
        loop {
            while let Some(slot) = self.due.pop_front() {
                if self.polls == POLLS_AT_ONCE {
                    self.polls = 0;
                    self.due.push_front(slot);
                    self.due.extend(self.woken.take(context.waker()));
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                let Slot { future, waker } = &mut self.slots[slot];
                let Some(running) = future else { continue };
                self.polls += 1;
                if let Poll::Ready(output) = running.as_mut().poll(&mut Context::from_waker(waker)) {
                    *future = None;
                    self.free.push(slot);
                    return Poll::Ready(Some(output));
                }
            }
            if is_last_round {
                self.polls = 0;
                return Poll::Pending;
            }
            is_last_round = true;
            self.due.extend(self.woken.take(context.waker()));
        }
    }
}

/// The slots that were woken, and the task that is to look at them.
#[derive(Default)]
struct Woken(Mutex<(BTreeSet<usize>, Option<Waker>)>);

impl Woken {
    fn lock(&self) -> MutexGuard<'_, (BTreeSet<usize>, Option<Waker>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The slots that were woken since the last time. From now on `task` is woken with them.
    fn take(&self, task: &Waker) -> BTreeSet<usize> {
        let task = task.clone();
        let (slots, earlier) = {
            let (slots, waker) = &mut *self.lock();
            (std::mem::take(slots), waker.replace(task))
        };
        // Without the lock, since a waker may do anything when it is dropped.
        drop(earlier);
        slots
    }
}

/// Wakes one slot. A slot that has another future by now is polled once in vain.
struct Bell {
    slot: usize,
    woken: Arc<Woken>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let task = {
            let (slots, task) = &mut *self.woken.lock();
            slots.insert(self.slot);
            task.take()
        };
        if let Some(task) = task {
            task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Counts how often the task is woken.
    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Task {
        fn wakes(&self) -> usize {
            self.0.swap(0, Ordering::Relaxed)
        }

        fn poll<F: Future>(self: &Arc<Self>, under_way: &mut UnderWay<F>) -> Poll<Option<F::Output>> {
            pin!(under_way.next()).poll(&mut Context::from_waker(&Arc::clone(self).into()))
        }
    }

    /// Something that futures wait for: their wakers, and how often each was polled.
    #[derive(Default)]
    struct Signs {
        wakers: RefCell<[Option<Waker>; 4]>,
        polls: [Cell<usize>; 4],
        over: [Cell<bool>; 4],
    }

    impl Signs {
        async fn wait(&self, number: usize) -> usize {
            poll_fn(|context| {
                self.polls[number].set(self.polls[number].get() + 1);
                self.wakers.borrow_mut()[number] = Some(context.waker().clone());
                if self.over[number].get() { Poll::Ready(number) } else { Poll::Pending }
            })
            .await
        }

        fn wake(&self, number: usize) {
            self.wakers.borrow()[number].as_ref().unwrap().wake_by_ref();
        }

        fn polls(&self) -> [usize; 4] {
            self.polls.each_ref().map(Cell::take)
        }
    }

    #[test]
    fn only_those_are_polled_that_were_woken() {
        let (signs, task) = (Signs::default(), Arc::new(Task::default()));
        let mut under_way = UnderWay::at_most(4);
        for number in 0..4 {
            under_way.add(signs.wait(number));
        }
        assert!(!under_way.has_room());
        assert!(task.poll(&mut under_way).is_pending());
        assert_eq!(signs.polls(), [1, 1, 1, 1]);

        for _ in 0..3 {
            signs.wake(2);
        }
        signs.wake(1);
        assert_eq!(task.wakes(), 1, "the task needs to know only once");
        assert!(task.poll(&mut under_way).is_pending());
        assert_eq!(signs.polls(), [0, 1, 1, 0]);
        assert!(task.poll(&mut under_way).is_pending());
        assert_eq!(signs.polls(), [0; 4]);

        signs.over[2].set(true);
        signs.wake(2);
        assert_eq!(task.wakes(), 1);
        assert_eq!(task.poll(&mut under_way), Poll::Ready(Some(2)));
        assert!(under_way.has_room());
    }

    #[test]
    fn none_are_left_when_all_have_ended() {
        let (signs, task) = (Signs::default(), Arc::new(Task::default()));
        let mut under_way = UnderWay::at_most(2);
        assert_eq!(task.poll(&mut under_way), Poll::Ready(None));
        under_way.add(signs.wait(0));
        signs.over[0].set(true);
        assert_eq!(task.poll(&mut under_way), Poll::Ready(Some(0)));
        assert_eq!(task.poll(&mut under_way), Poll::Ready(None));
    }

    /// A waker outlives its future, as that of a timer does.
    #[test]
    fn a_late_wake_does_not_end_the_next_future() {
        let (signs, task) = (Signs::default(), Arc::new(Task::default()));
        let mut under_way = UnderWay::at_most(1);
        under_way.add(signs.wait(0));
        signs.over[0].set(true);
        assert_eq!(task.poll(&mut under_way), Poll::Ready(Some(0)));
        under_way.add(signs.wait(1));
        signs.wake(0);
        assert!(task.poll(&mut under_way).is_pending());
        signs.over[1].set(true);
        signs.wake(1);
        assert_eq!(task.poll(&mut under_way), Poll::Ready(Some(1)));
        signs.wake(0);
        assert_eq!(task.poll(&mut under_way), Poll::Ready(None));
    }

    /// As tokio's own do when they have had their share of the thread.
    #[test]
    fn whoever_wakes_itself_is_polled_once_a_time() {
        let (polls, task) = (Cell::new(0), Arc::new(Task::default()));
        let mut under_way = UnderWay::at_most(1);
        under_way.add(poll_fn(|context| {
            polls.set(polls.get() + 1);
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
        for time in 1..=3 {
            assert!(task.poll(&mut under_way).is_pending());
            assert!(polls.get() <= time + 1, "{} polls at time {time}", polls.get());
            assert_eq!(task.wakes(), 1);
        }
    }

    #[test]
    fn futures_that_never_wait_let_others_run() {
        let task = Arc::new(Task::default());
        let mut under_way = UnderWay::at_most(1);
        let mut ended = 0;
        for _ in 0..1000 {
            under_way.add(std::future::ready(()));
            while task.poll(&mut under_way).is_pending() {
                assert_eq!(task.wakes(), 1, "pending, and nobody would wake it");
                assert!(ended <= POLLS_AT_ONCE);
                ended = 0;
            }
            ended += 1;
        }
        assert!(ended <= POLLS_AT_ONCE, "{ended}");
    }

    /// A write whose answer is there comes before thousands that end without one.
    #[test]
    fn who_was_woken_does_not_wait_for_all_that_never_wait() {
        let (signs, task) = (Signs::default(), Arc::new(Task::default()));
        let signs = &signs;
        let future = |waits: bool| async move { if waits { signs.wait(0).await } else { 1 } };
        let mut under_way = UnderWay::at_most(2);
        under_way.add(future(true));
        assert!(task.poll(&mut under_way).is_pending());
        signs.over[0].set(true);
        signs.wake(0);
        let mut ended = 0;
        loop {
            if under_way.has_room() {
                under_way.add(future(false));
            }
            match task.poll(&mut under_way) {
                Poll::Ready(Some(0)) => break,
                Poll::Ready(_) => ended += 1,
                Poll::Pending => {}
            }
            assert!(ended <= 2 * POLLS_AT_ONCE, "{ended}");
        }
    }
}
