//! What a loop may do after a conflict.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use crate::backoff::Limits;

/// How a delay is drawn.
///
/// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Jitter {
    /// From zero to the limit, which doubles.
    Full,
    /// From half of the limit to the limit, which doubles.
    Equal,
    /// From the first limit to three times the delay before.
    Decorrelated,
}

/// Where the item comes from that is written after a delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// It is read after the delay.
    SleepThenRead,
    /// It is the one that came with the refusal, before the delay.
    ReadThenSleep,
}

/// After which delays the tries at once begin anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Renewal {
    /// After none: a call has so many in all.
    Never,
    /// After each, while other callers of the process wait for the item.
    IfOthersWait,
    /// After each.
    Always,
}

/// What a loop does once the SDK does not send a throttled write again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Throttled {
    /// Sends it again after the next delay.
    SendAgain,
    /// Sends it again after a delay of its own, of up to a second.
    SendAgainLater,
    /// Reads after the next delay: the write was not applied, and is likely to be outdated.
    Read,
}

impl Throttled {
    /// The limit of the delay of its own, in microseconds.
    pub(crate) const LATER: u64 = 1_000_000;
}

/// What a loop does after a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// How delays are drawn.
    pub jitter: Jitter,
    /// How often it tries at once, with the item that came with the refusal.
    pub immediate: u32,
    /// When it does so anew.
    pub renewal: Renewal,
    /// What it writes after a delay.
    pub order: Order,
    /// What it does where the item is written too often for DynamoDB.
    pub throttled: Throttled,
    /// The first limit of a delay, in milliseconds.
    pub first_ms: f64,
    /// The highest limit of a delay, in milliseconds.
    pub max_ms: f64,
    /// After how many tries it gives up.
    pub attempts: u32,
}

impl Policy {
    /// What dynalock does.
    pub const DYNALOCK: Self = Self {
        jitter: Jitter::Full,
        immediate: 2,
        renewal: Renewal::IfOthersWait,
        order: Order::SleepThenRead,
        throttled: Throttled::SendAgain,
        first_ms: 10.0,
        max_ms: 250.0,
        attempts: 512,
    };

    /// dynalock's policy, and those that differ from it in one point.
    #[must_use]
    pub fn variations() -> Vec<Self> {
        let ours = Self::DYNALOCK;
        let immediate = [0, 1, 3].map(|immediate| Self { immediate, ..ours });
        let jitter = [Jitter::Equal, Jitter::Decorrelated].map(|jitter| Self { jitter, ..ours });
        let renewal = [Renewal::Never, Renewal::Always].map(|renewal| Self { renewal, ..ours });
        let max = [100.0, 500.0, 1000.0].map(|max_ms| Self { max_ms, ..ours });
        let first = [5.0, 20.0].map(|first_ms| Self { first_ms, ..ours });
        let order = Self { order: Order::ReadThenSleep, ..ours };
        let throttled =
            [Throttled::SendAgainLater, Throttled::Read].map(|throttled| Self { throttled, ..ours });
        let attempts = Self { attempts: 64, ..ours };
        let mut all = vec![ours];
        all.extend(jitter.into_iter().chain(immediate).chain([order]).chain(renewal));
        all.extend(first.into_iter().chain(max).chain(throttled).chain([attempts]));
        all
    }

    /// Every jitter with every number of tries at once, in either order.
    #[must_use]
    pub fn combinations() -> Vec<Self> {
        let mut all = Vec::new();
        for jitter in [Jitter::Full, Jitter::Equal, Jitter::Decorrelated] {
            for immediate in 0..=3 {
                for order in [Order::SleepThenRead, Order::ReadThenSleep] {
                    all.push(Self { jitter, immediate, order, ..Self::DYNALOCK });
                }
            }
        }
        all
    }

    /// What a loop with this policy may wait and try.
    #[must_use]
    pub fn limits(self) -> Limits {
        let [first, max] =
            [self.first_ms, self.max_ms].map(|milliseconds| Duration::from_secs_f64(milliseconds / 1e3));
        Limits { first, max, attempts: self.attempts, ..Limits::USUAL }
    }

    /// The delays of one call.
    #[must_use]
    pub fn delays(self) -> Delays {
        Delays { policy: self, limit: self.first_ms, last: self.first_ms }
    }

    /// Whether it is one of the [`variations`](Self::variations).
    #[must_use]
    pub fn is_variation(&self) -> bool {
        Self::variations().contains(self)
    }

    /// What sets it apart from dynalock's.
    #[must_use]
    pub fn difference(&self) -> String {
        let ours = Self::DYNALOCK;
        if *self == ours {
            return "dynalock".to_owned();
        }
        let mut all = Vec::new();
        if self.jitter != ours.jitter {
            all.push(format!("{} jitter", self.jitter));
        }
        if self.immediate != ours.immediate {
            let tries = if self.immediate == 1 { "try" } else { "tries" };
            all.push(format!("{} {tries} at once", self.immediate));
        }
        if self.order != ours.order {
            all.push("read, then sleep".to_owned());
        }
        match self.renewal {
            Renewal::Never => all.push("tries at once never anew".to_owned()),
            Renewal::Always => all.push("tries at once always anew".to_owned()),
            Renewal::IfOthersWait => {}
        }
        match self.throttled {
            Throttled::SendAgainLater => all.push("up to 1 s after throttling".to_owned()),
            Throttled::Read => all.push("reads after throttling".to_owned()),
            Throttled::SendAgain => {}
        }
        if self.first_ms.total_cmp(&ours.first_ms).is_ne() {
            all.push(format!("first limit {} ms", self.first_ms));
        }
        if self.max_ms.total_cmp(&ours.max_ms).is_ne() {
            all.push(format!("limit up to {} ms", self.max_ms));
        }
        if self.attempts != ours.attempts {
            all.push(format!("{} attempts", self.attempts));
        }
        all.join(", ")
    }
}

impl fmt::Display for Jitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Full => "full",
            Self::Equal => "equal",
            Self::Decorrelated => "decorrelated",
        })
    }
}

impl fmt::Display for Renewal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Never => "never",
            Self::IfOthersWait => "if others wait",
            Self::Always => "always",
        })
    }
}

impl fmt::Display for Throttled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::SendAgain => "send again",
            Self::SendAgainLater => "send again later",
            Self::Read => "read",
        })
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::SleepThenRead => "sleep, then read",
            Self::ReadThenSleep => "read, then sleep",
        })
    }
}

/// Delays, one after the other, in microseconds.
#[derive(Debug, Clone)]
pub struct Delays {
    policy: Policy,
    limit: f64,
    last: f64,
}

impl Delays {
    /// Draws the next one.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // at most some seconds, and none negative
    pub fn next(&mut self, dice: &mut Rng) -> u64 {
        let Policy { jitter, first_ms, max_ms, .. } = self.policy;
        let limit = self.limit.min(max_ms);
        self.limit *= 2.0;
        let milliseconds = match jitter {
            Jitter::Full => limit * dice.f64(),
            Jitter::Equal => limit * (1.0 + dice.f64()) / 2.0,
            Jitter::Decorrelated => {
                self.last = max_ms.min(first_ms + (3.0 * self.last - first_ms) * dice.f64());
                self.last
            }
        };
        (1e3 * milliseconds) as u64
    }
}

#[cfg(test)]
mod tests {
    use dynalock::Retry;

    use super::*;

    #[test]
    fn the_default_is_what_is_compared_with_the_others() {
        let Limits { first, max, attempts, .. } = Policy::DYNALOCK.limits();
        assert_eq!(Retry::default().attempts(attempts).backoff(first, max), Retry::default());
    }
}
