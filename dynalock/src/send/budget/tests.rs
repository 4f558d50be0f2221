//! Tests of the budget: how attempts and time are counted.

use super::*;
use crate::error::conflict::Conflict;
use crate::item::Item;
use crate::item::schema::Schema;
use crate::send::retry::A_CENTURY;
use crate::write::expectation::Expectation;

const MS: Duration = Duration::from_millis(1);

#[test]
fn delays_stay_under_a_limit_that_doubles_up_to_the_maximum() {
    for _ in 0..200 {
        let delays = Delays { limit: 10 * MS, max: 1000 * MS };
        let limits = [10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000];
        for (delay, limit) in delays.zip(limits) {
            assert!(delay <= limit * MS, "{delay:?} of {limit} ms");
        }
    }
}

/// Full jitter: each delay is anywhere from zero to the limit.
#[test]
fn delays_are_spread_over_the_whole_range() {
    let third = |_| Delays { limit: 10 * MS, max: 1000 * MS }.nth(2);
    let thirds: Vec<Duration> = (0..500).filter_map(third).collect();
    assert!(thirds.iter().any(|delay| *delay < 10 * MS));
    assert!(thirds.iter().any(|delay| *delay > 30 * MS));
}

#[test]
fn no_delay_is_too_long_to_be_doubled() {
    let longest = Delays { limit: Duration::MAX, max: Duration::MAX };
    assert_eq!(longest.take(100).count(), 100);
    let none = Delays { limit: Duration::ZERO, max: Duration::ZERO };
    assert!(none.take(100).all(|delay| delay.is_zero()));
    let high = Delays { limit: 100 * MS, max: 10 * MS };
    assert!(high.take(100).all(|delay| delay <= 10 * MS));
}

#[test]
fn the_shortest_limit_counts() {
    let retry = Retry::default().deadline(30 * MS).attempt_timeout(7 * MS);
    assert_eq!(retry.timeout_after(0), 7 * MS);
    assert_eq!(retry.attempt_timeout(40 * MS).timeout_after(0), 30 * MS);
    assert_eq!((retry.at_most(3 * MS), retry.at_most(90 * MS)), (retry.deadline(3 * MS), retry));
    let endless = retry.deadline(Duration::MAX).attempt_timeout(Duration::MAX);
    assert_eq!(endless.timeout_after(0), A_CENTURY);
}

/// A dead connection costs an attempt and not the call, and a new connection has the time it needs.
#[test]
fn an_attempt_gets_a_quarter_of_the_deadline_unless_the_caller_says_so() {
    let limits =
        [(100, 100), (250, 250), (600, 250), (1000, 250), (2500, 625), (12_000, 3000), (60_000, 4000)];
    for (deadline, attempt) in limits {
        let retry = Retry::default().deadline(deadline * MS);
        assert_eq!(retry.timeout_after(0), attempt * MS, "{deadline} ms");
        assert_eq!(retry.attempt_timeout(90 * MS).timeout_after(0), 90 * MS, "{deadline} ms");
    }
}

/// After several timeouts in a row, the store may just be far away.
#[tokio::test(start_paused = true)]
async fn an_attempt_after_one_that_ran_out_of_time_gets_longer_up_to_half_of_the_deadline() {
    let longer = |retry: Retry| (0..40).map(|timeouts| retry.timeout_after(timeouts)).collect::<Vec<_>>();
    let seconds = longer(Retry::default());
    assert_eq!(seconds[..4], [4, 8, 15, 15].map(Duration::from_secs));
    assert_eq!(seconds.last(), Some(&Duration::from_secs(15)));
    assert_eq!(longer(Retry::default().deadline(1000 * MS))[..3], [250, 500, 500].map(|ms| ms * MS));
    assert_eq!(longer(Retry::default().deadline(300 * MS))[..2], [250 * MS; 2]);
    assert_eq!(longer(Retry::default().attempt_timeout(90 * MS)), [90 * MS; 40]);

    let mut budget = Budget::start(Retry::default());
    budget.timed_out();
    assert_eq!(budget.attempt_timeout(), Duration::from_secs(8));
    budget.succeeded();
    assert_eq!(budget.attempt_timeout(), Duration::from_secs(4));
}

/// A request that is sent only once is not given up early, but the read that finds out its outcome keeps its share.
#[tokio::test(start_paused = true)]
async fn the_only_attempt_gets_all_but_the_share_of_a_read() {
    let budget = Budget::start(Retry::default().deadline(2500 * MS));
    assert_eq!(budget.only_attempt_timeout(), 1875 * MS);
    tokio::time::sleep(1500 * MS).await;
    assert_eq!(budget.only_attempt_timeout(), 625 * MS, "no less than any other attempt");
    tokio::time::sleep(800 * MS).await;
    assert_eq!(budget.only_attempt_timeout(), 200 * MS, "no more than there is left");
    let explicit = Budget::start(Retry::default().deadline(2500 * MS).attempt_timeout(400 * MS));
    assert_eq!(explicit.only_attempt_timeout(), 400 * MS);
}

#[tokio::test(start_paused = true)]
async fn an_error_is_worth_as_many_attempts_as_it_says_until_a_request_succeeds() {
    for (worth, attempts) in [(Worth::One, 1), (Worth::Two, 2), (Worth::Few, 4)] {
        let mut budget = Budget::start(Retry::default());
        for _ in 0..2 {
            let again = std::iter::from_fn(|| budget.permits(worth).then_some(())).count();
            assert_eq!(again + 1, attempts, "{worth:?}");
            budget.succeeded();
        }
    }
    let mut budget = Budget::start(Retry::default());
    assert!((0..1000).all(|_| budget.permits(Worth::All)));
}

/// Counts the attempts of a budget that fails each time, the first one included.
async fn attempts(mut budget: Budget) -> u32 {
    let mut attempts = 1;
    while budget.wait().await {
        attempts += 1;
    }
    attempts
}

#[tokio::test(start_paused = true)]
async fn attempts_are_counted_with_the_first() {
    for (allowed, made) in [(0, 1), (1, 1), (2, 2), (7, 7)] {
        assert_eq!(attempts(Budget::start(Retry::default().attempts(allowed))).await, made);
    }
    let begun = Instant::now();
    assert_eq!(attempts(Budget::start(Retry::none())).await, 1);
    assert!(begun.elapsed().is_zero(), "there is no wait for an attempt that is not made");
}

#[tokio::test(start_paused = true)]
async fn attempts_at_once_and_after_a_delay_count_together() {
    let mut budget = Budget::start(Retry::default().attempts(3));
    assert!(budget.take());
    assert!(budget.wait().await);
    assert!(!budget.take());
    assert!(!budget.wait().await);
}

#[tokio::test(start_paused = true)]
async fn no_attempt_is_made_at_or_after_the_deadline() {
    for deadline in [Duration::ZERO, MS, 55 * MS, 10_000 * MS] {
        let begun = Instant::now();
        let retry = Retry::default().attempts(u32::MAX).deadline(deadline).backoff(10 * MS, 100 * MS);
        let mut budget = Budget::start(retry);
        while budget.wait().await {
            assert!(begun.elapsed() < deadline);
        }
        assert!(begun.elapsed() <= deadline, "{:?} of {deadline:?}", begun.elapsed());
    }
    let mut budget = Budget::start(Retry::default().deadline(50 * MS));
    tokio::time::sleep(50 * MS).await;
    assert!(!budget.take());
}

/// A call whose attempts all fail at once is ended by its deadline, and not by the number of its attempts.
#[tokio::test(start_paused = true)]
async fn the_default_lasts_for_its_30_seconds() {
    let begun = Instant::now();
    let made = attempts(Budget::start(Retry::default())).await;
    assert!((150..=400).contains(&made), "{made} attempts");
    assert!(begun.elapsed() > Duration::from_secs(29));
    assert!(begun.elapsed() <= Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_budget_keeps_the_limits_of_its_policy() {
    let begun = Instant::now();
    let budget = Budget::start(Retry::default().attempt_timeout(7 * MS).deadline(10 * MS));
    assert_eq!((budget.attempt_timeout(), budget.deadline()), (7 * MS, begun + 10 * MS));
    assert_eq!(budget.retry(), Retry::default().attempt_timeout(7 * MS).deadline(10 * MS));
}

#[tokio::test(start_paused = true)]
async fn attempts_and_conflicts_are_counted_separately() {
    let conflict = || {
        let conflict =
            Conflict::new("orders", Schema::EXAMPLE, Expectation::Version(1), Item::new(), Some(Item::new()));
        Error::Conflict(Box::new(conflict))
    };
    let mut budget = Budget::start(Retry::default());
    assert_eq!((budget.stats().attempts, budget.stats().conflicts), (1, 0));
    for made in 1..=3 {
        let Error::Conflict(conflict) = budget.refused(conflict()) else { panic!("still a conflict") };
        assert_eq!(conflict.attempts(), made);
        assert!(budget.take());
        assert_eq!((budget.stats().attempts, budget.stats().conflicts), (made + 1, made));
    }
    budget.refused(Error::Busy { table: "orders".into(), problem: "it took too long" });
    assert_eq!(budget.stats().conflicts, 3, "only conflicts are counted");
}

/// A call that runs out of time during an attempt returns the error of the attempt before.
#[tokio::test(start_paused = true)]
async fn without_a_next_attempt_the_error_of_the_last_one_is_returned() {
    let failed = |problem| Error::Busy { table: "orders".into(), problem };
    let problem_of = |error| match error {
        Error::Busy { problem, .. } => problem,
        other => panic!("{other:?}"),
    };
    let mut budget = Budget::start(Retry::default().attempts(3));
    assert!(budget.wait_after(failed("first")).await.is_ok());
    assert_eq!(problem_of(budget.out_of_time(failed("cut off"))), "first");
    assert!(budget.take_after(failed("second")).is_ok());
    assert_eq!(problem_of(budget.out_of_time(failed("cut off"))), "second");
    assert_eq!(problem_of(budget.out_of_time(failed("cut off"))), "cut off");
    assert_eq!(problem_of(budget.take_after(failed("third")).unwrap_err()), "third");
    assert_eq!(problem_of(budget.wait_after(failed("third")).await.unwrap_err()), "third");

    budget.renew();
    assert!(budget.take_after(failed("fourth")).is_ok(), "attempts are counted from 1 again");
    budget.succeeded();
    assert_eq!(problem_of(budget.out_of_time(failed("cut off"))), "cut off");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_too_far_away_for_the_clock_never_comes() {
    let mut budget = Budget::start(Retry::default().deadline(Duration::MAX));
    assert!(budget.deadline() > Instant::now() + Duration::from_hours(24));
    assert!(budget.wait().await);
    let mut budget =
        Budget::start(Retry::default().deadline(Duration::MAX).backoff(Duration::MAX, Duration::MAX));
    let _ = tokio::time::timeout(MS, budget.wait()).await;
}
