//! The unit of versions with `start = "clock"`: microseconds since 1970.

use std::time::{SystemTime, UNIX_EPOCH};

/// `time` in microseconds since 1970; 0 for an earlier time.
pub(crate) fn microseconds(time: SystemTime) -> u64 {
    let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_micros()).unwrap_or(u64::MAX)
}
