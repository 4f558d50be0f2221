//! The two runtimes that the fault matrix holds on: one thread with a paused clock, and several threads with real time.

use std::time::Duration;

use aws_sdk_dynamodb::config::{self, retry::RetryConfig};
use dynalock::Retry;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::JoinSet;

use dynalock::testing::Fault;

use crate::engines::sdk_retries;

/// Makes two tests of each function that is named, one for each runtime. With the rows of the fault matrix that each of them
/// proves, also `ROWS`: all of these.
#[macro_export]
#[allow(clippy::crate_in_macro_def)] // the crate that has the tests
macro_rules! on_both_runtimes {
    ($($($row:literal),+ => $file:ident::$test:ident;)+) => {
        const ROWS: &[u32] = &[$($($row),+),+];

        $crate::on_both_runtimes! { $($file::$test;)+ }
    };
    ($($file:ident::$test:ident;)+) => {
        $(mod $test {
            #[tokio::test(start_paused = true)]
            async fn on_one_thread() {
                crate::$file::$test().await;
            }

            /// In a task, so that the threads of the runtime have it and not the one that waits for it.
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_several_threads() {
                tokio::spawn(crate::$file::$test()).await.unwrap();
            }
        })+
    };
}

/// Whether the clock of the running test is not paused: several threads have none that is.
#[must_use]
pub fn time_is_real() -> bool {
    Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread
}

/// How a call that runs into `faults` is tried: as by default, but where time is real with hardly a delay between attempts,
/// and not for long on a reply that hangs.
pub fn retry(faults: &[Fault]) -> Retry {
    let retry = Retry::default();
    if !time_is_real() {
        return retry;
    }
    let retry = retry.backoff(Duration::from_millis(1), Duration::from_millis(1));
    let hangs = faults.iter().any(|fault| matches!(fault, Fault::NeverReplies));
    if hangs { retry.attempt_timeout(Duration::from_secs(2)) } else { retry }
}

/// The same for the attempts that the SDK makes by itself.
#[must_use]
pub fn with_retries(config: config::Builder) -> config::Builder {
    let retries = sdk_retries();
    config.retry_config(if time_is_real() { hasty(retries, Duration::from_millis(1)) } else { retries })
}

/// The same retries after delays that begin with `backoff`, also where DynamoDB throttles.
#[must_use]
pub fn hasty(retries: RetryConfig, backoff: Duration) -> RetryConfig {
    let retries = retries.with_initial_backoff(backoff);
    match retries.retry_spec().cloned() {
        Some(spec) => retries.with_retry_spec(spec.with_non_throttling_initial_backoff(backoff)),
        None => retries,
    }
}

/// How many requests the SDK sends at most for one of dynalock's attempts.
#[must_use]
pub fn sdk_attempts() -> usize {
    sdk_retries().max_attempts() as usize
}

/// Runs `test` for all `cases` at once, so that where time is real, those that wait wait together.
pub async fn each<T, F>(cases: impl IntoIterator<Item = T>, test: impl Fn(T) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    cases.into_iter().map(test).collect::<JoinSet<_>>().join_all().await;
}
