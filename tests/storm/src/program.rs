//! What the tasks of a writer share: its client, its tables and its log.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{retry::RetryConfig, timeout::TimeoutConfig};
use dynalock::{Retry, Table};
use dynalock_tests::engines::Store;
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::entry::{Entry, TABLE, generation};
use crate::log::{Answer, Call, Log, Record};

/// What a writer is started with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Setting {
    pub(crate) url: String,
    pub(crate) log: PathBuf,
    pub(crate) writer: u64,
    /// How often it was started before.
    pub(crate) life: u64,
    pub(crate) seed: u64,
    /// When the storm began, in milliseconds since 1970.
    pub(crate) began: u64,
    pub(crate) last_generation: u64,
    /// Seconds after which it ends, whatever happens.
    pub(crate) longest: u64,
    pub(crate) naive: bool,
}

pub(crate) struct Program {
    pub(crate) setting: Setting,
    log: Log,
    calls: AtomicU64,
    pub(crate) client: Client,
    pub(crate) plain: Table<Entry>,
    pub(crate) coalescing: Table<Entry>,
    pub(crate) retry: Retry,
    pub(crate) stop: Arc<AtomicBool>,
}

impl Program {
    /// Each with a configuration of its own, as applications differ.
    pub(crate) fn new(
        setting: Setting,
        stop: Arc<AtomicBool>,
        dice: &mut fastrand::Rng,
    ) -> Result<Self, Failure> {
        let mode = if dice.u8(0..4) == 0 { RetryConfig::adaptive() } else { RetryConfig::standard() };
        let attempts = [1, 3, 4, 10][dice.usize(0..4)];
        let first = Duration::from_millis([25, 50, 1_000][dice.usize(0..3)]);
        let mut config = Store::at(&setting.url)
            .config()
            .retry_config(mode.with_max_attempts(attempts).with_initial_backoff(first));
        // A loop by hand has no deadline of its own.
        if setting.naive || dice.bool() {
            let short = Duration::from_millis(dice.u64(200..1_000));
            config = config.timeout_config(TimeoutConfig::builder().operation_attempt_timeout(short).build());
        }
        let client = Client::from_conf(config.build());
        let deadline = Duration::from_millis(dice.u64(1_000..8_000));
        let mut retry = Retry::default().deadline(deadline);
        if dice.u8(0..4) > 0 {
            retry = retry.attempt_timeout(Duration::from_millis(dice.u64(150..1_500)));
        }
        let table = || Table::new(&client, TABLE).with_retry(retry);
        let (plain, coalescing) = (table(), table().coalescing());
        let log = Log::open(&setting.log)?;
        Ok(Self { setting, log, calls: AtomicU64::new(0), client, plain, coalescing, retry, stop })
    }

    /// The id of another call.
    pub(crate) fn next_id(&self) -> String {
        let Setting { writer, life, .. } = self.setting;
        format!("{writer}.{life}.{}", self.calls.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn generation(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let age = now.saturating_sub(Duration::from_millis(self.setting.began));
        generation(age.as_secs()).min(self.setting.last_generation)
    }

    /// Makes a call between its two lines in the log.
    pub(crate) async fn logged(&self, call: &Call, act: impl Future<Output = Answer>) -> Result<(), Failure> {
        self.log.write(&Record::Begin(call.clone()))?;
        let answer = act.await;
        Ok(self.log.write(&Record::End { id: call.id.clone(), answer })?)
    }
}
