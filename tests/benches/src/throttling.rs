//! How much one item takes, and what the SDK does where it takes no more. Times are in microseconds.

use fastrand::Rng;

/// The partition that holds the item: it takes 1,000 write units a second, whether the writes are applied or refused.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html>
///
/// This is a token bucket. How much of what was not used before may pass at once, above the limit of a partition, DynamoDB does
/// not document; here it is what one second brings. Reads have a limit of their own, 3,000 units a second, which is not modelled:
/// they are fewer than the writes that come to the item.
#[derive(Debug)]
pub(crate) struct Partition {
    /// How long nothing was written, with what was written taken off.
    saved: u64,
    last: u64,
}

impl Partition {
    /// How long a write unit takes to come back.
    const UNIT: u64 = 1_000;
    const MOST_SAVED: u64 = 1_000 * Self::UNIT;

    /// Nothing was written for a while.
    pub(crate) fn rested() -> Self {
        Self { saved: Self::MOST_SAVED, last: 0 }
    }

    /// Takes a write of one unit, which is an item of up to 1 KB; `false` if it is throttled, which costs nothing.
    pub(crate) fn takes(&mut self, now: u64) -> bool {
        self.saved = Self::MOST_SAVED.min(self.saved + (now - self.last));
        self.last = now;
        let left = self.saved.checked_sub(Self::UNIT);
        self.saved = left.unwrap_or(self.saved);
        left.is_some()
    }
}

/// What the SDK's retries may cost: the standard mode of aws-smithy-runtime 1.16, as it is configured by default.
///
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html>
///
/// A process has one client, and so one quota. Simplified: nothing is lost here, so that only throttling makes the SDK retry;
/// and a process makes no other requests, whose success would bring tokens too.
#[derive(Debug)]
pub(crate) struct Quota {
    tokens: u32,
    /// Whether the last retry's tokens come back with the next success. There is one such retry for each client: the next
    /// retry takes its place, whoever's it is.
    is_lent: bool,
}

impl Quota {
    const MOST: u32 = 500;
    const RETRY: u32 = 5;
    const ATTEMPTS: u32 = 3;
    const FIRST: u64 = 1_000_000;
    const LONGEST: u64 = 20_000_000;

    /// No request failed so far.
    pub(crate) fn full() -> Self {
        Self { tokens: Self::MOST, is_lent: false }
    }

    /// A request succeeded. (A failed check is no success.)
    pub(crate) fn succeeded(&mut self) {
        let back = if std::mem::take(&mut self.is_lent) { Self::RETRY } else { 1 };
        self.tokens = Self::MOST.min(self.tokens + back);
    }

    /// After which delay a request that was throttled goes out again, having been sent so often; `None` if it does not.
    pub(crate) fn retry(&mut self, sent: u32, dice: &mut Rng) -> Option<u64> {
        if sent >= Self::ATTEMPTS {
            return None;
        }
        self.tokens = self.tokens.checked_sub(Self::RETRY)?;
        self.is_lent = true;
        let limit = Self::LONGEST.min(Self::FIRST << (sent - 1));
        Some(dice.u64(0..limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_takes_a_thousand_writes_a_second_and_what_one_second_saved() {
        let mut partition = Partition::rested();
        let mut taken = |times: std::ops::Range<u64>| times.filter(|time| partition.takes(*time)).count();
        // One each microsecond.
        assert_eq!(taken(0..1_000_000), 1_000 + 999);
        assert_eq!(taken(1_000_000..2_000_000), 1_000);
        // However long the rest was.
        assert_eq!(taken(10_000_000..10_000_500), 500);
        assert_eq!(taken(20_000_000..20_005_000), 1_004);
    }

    #[test]
    fn the_sdk_retries_twice_within_longer_and_longer_delays() {
        let mut dice = Rng::with_seed(7);
        for (sent, limit) in [(1, 1_000_000), (2, 2_000_000)] {
            let delays: Vec<u64> = (0..100).filter_map(|_| Quota::full().retry(sent, &mut dice)).collect();
            assert_eq!(delays.len(), 100);
            let longest = delays.into_iter().max().unwrap_or_default();
            assert!(longest < limit && longest > limit / 10 * 9, "{longest} of {limit}");
        }
        assert_eq!(Quota::full().retry(3, &mut dice), None);
    }

    #[test]
    fn the_sdk_retries_as_long_as_its_tokens_last() {
        let (mut quota, mut dice) = (Quota::full(), Rng::with_seed(7));
        let mut retries =
            |quota: &mut Quota| (0..1_000).filter(|_| quota.retry(1, &mut dice).is_some()).count();
        assert_eq!(retries(&mut quota), 100);
        // The last retry's tokens come back, and one for each success from then on.
        quota.succeeded();
        assert_eq!(retries(&mut quota), 1);
        (0..5).for_each(|_| quota.succeeded());
        assert_eq!((quota.tokens, retries(&mut quota)), (9, 1));
        (0..10_000).for_each(|_| quota.succeeded());
        assert_eq!(retries(&mut quota), 100);
    }
}
