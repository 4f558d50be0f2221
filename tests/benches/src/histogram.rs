//! How long callers waited.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Durations in microseconds, rounded down to three digits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram(BTreeMap<u64, u64>);

impl Histogram {
    /// Counts one more wait.
    pub fn record(&mut self, wait: Duration) {
        let micros = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        let unit = 10_u64.pow(micros.checked_ilog10().unwrap_or_default().saturating_sub(2));
        *self.0.entry(micros / unit * unit).or_default() += 1;
    }

    /// Adds the waits that another one counted.
    pub fn merge(&mut self, other: &Self) {
        for (micros, count) in &other.0 {
            *self.0.entry(*micros).or_default() += count;
        }
    }

    /// What `percent` of the waits were not longer than; zero if there were none.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Duration {
        let total: u64 = self.0.values().sum();
        let mut rank = (total * percent).div_ceil(100);
        for (micros, count) in &self.0 {
            if rank <= *count {
                return Duration::from_micros(*micros);
            }
            rank -= count;
        }
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(waits: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::default();
        waits.into_iter().for_each(|micros| histogram.record(Duration::from_micros(micros)));
        histogram
    }

    #[test]
    fn a_percentile_is_the_shortest_wait_that_so_many_did_not_exceed() {
        let waits = of(1..=200);
        assert_eq!([50, 99, 100].map(|percent| waits.percentile(percent).as_micros()), [100, 198, 200]);
        assert_eq!(of([]).percentile(50), Duration::ZERO);
        assert_eq!(of([0]).percentile(99), Duration::ZERO);
    }

    #[test]
    fn three_digits_are_kept() {
        let kept = |micros| of([micros]).percentile(50).as_micros();
        assert_eq!([999, 1_234, 123_456, 99_999_999].map(kept), [999, 1_230, 123_000, 99_900_000]);
    }

    #[test]
    fn merged_waits_count_as_if_recorded_together() {
        let mut merged = of(0..3000);
        merged.merge(&of(2000..9000));
        assert_eq!(merged, of((0..3000).chain(2000..9000)));
    }
}
