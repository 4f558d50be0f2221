//! What a user can plug into the SDK: interceptors, retry classifiers, credentials. None of them may break the promise.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
    FinalizerInterceptorContextMut, FinalizerInterceptorContextRef,
};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{
    self, ConfigBag, HttpClient, Intercept, RuntimeComponents, SharedHttpClient, timeout::TimeoutConfig,
};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpConnector};
use dynalock::testing::Fault;
use dynalock::{Error, Table};
use dynalock_tests::credentials::Once;

use crate::calls::{Call, Done};
use crate::world::{Account, World};

/// Where an interceptor fails, once, on a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hook {
    ReadBeforeTransmit,
    ReadAfterTransmit,
    ReadAfterDeserialization,
    ModifyBeforeAttemptCompletion,
    ReadAfterAttempt,
    ModifyBeforeCompletion,
    ReadAfterExecution,
}

use Hook::{
    ModifyBeforeAttemptCompletion, ModifyBeforeCompletion, ReadAfterAttempt, ReadAfterDeserialization,
    ReadAfterExecution, ReadAfterTransmit, ReadBeforeTransmit,
};

const AFTER_THE_STORE: [Hook; 6] = [
    ReadAfterTransmit,
    ReadAfterDeserialization,
    ModifyBeforeAttemptCompletion,
    ReadAfterAttempt,
    ModifyBeforeCompletion,
    ReadAfterExecution,
];

#[derive(Debug)]
struct Fails {
    at: Hook,
    after: AtomicUsize,
}

impl Fails {
    /// Fails at `at` when that comes for the time after `after` others.
    fn new(at: Hook, after: usize) -> Self {
        Self { at, after: after.into() }
    }

    fn reach(&self, hook: Hook) -> Result<(), BoxError> {
        if hook == self.at && self.after.fetch_sub(1, Ordering::SeqCst) == 0 {
            return Err("an interceptor of the user's".into());
        }
        Ok(())
    }
}

type Hooked = Result<(), BoxError>;

impl Intercept for Fails {
    fn name(&self) -> &'static str {
        "Fails"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Hooked {
        self.reach(ReadBeforeTransmit)
    }

    fn read_after_transmit(
        &self,
        _: &aws_sdk_dynamodb::config::interceptors::BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Hooked {
        self.reach(ReadAfterTransmit)
    }

    fn read_after_deserialization(
        &self,
        _: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Hooked {
        self.reach(ReadAfterDeserialization)
    }

    fn modify_before_attempt_completion(
        &self,
        _: &mut FinalizerInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Hooked {
        self.reach(ModifyBeforeAttemptCompletion)
    }

    fn read_after_attempt(
        &self,
        _: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Hooked {
        self.reach(ReadAfterAttempt)
    }

    fn modify_before_completion(
        &self,
        _: &mut FinalizerInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Hooked {
        self.reach(ModifyBeforeCompletion)
    }

    fn read_after_execution(
        &self,
        _: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Hooked {
        self.reach(ReadAfterExecution)
    }
}

/// No answer may deny what the store carried out.
async fn assert_true(call: Call, world: &World, result: &dynalock::Result<Done>, runs: u32) {
    assert_eq!(call.applies(world).await, 1, "{call:?}: {result:?}");
    assert!(matches!(result, Ok(_) | Err(Error::OutcomeUnknown(_))), "{call:?}: applied, and {result:?}");
    assert!(runs <= 1, "{call:?}: the closure ran {runs} times");
}

/// The reply came, and an interceptor drops it. The table itself has the hook, so the reads before pass it too.
async fn drop_replies(configure: impl Fn(config::Builder) -> config::Builder) {
    for call in Call::ALL {
        for hook in AFTER_THE_STORE {
            let fails = Fails::new(hook, usize::from(call.reads_first()));
            let world = World::with(|config| configure(config.interceptor(fails))).await;
            println!("{call:?} {hook:?}");
            let ended = call.run(&world).await;
            assert_true(call, &world, &ended.result, ended.runs).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_interceptor_that_fails_after_the_reply_denies_no_write() {
    drop_replies(|config| config).await;
}

/// The same where the client does not retry, so that dynalock sees the failure itself.
#[tokio::test(start_paused = true)]
async fn an_interceptor_that_fails_after_the_reply_denies_no_write_without_retries() {
    drop_replies(|config| config.retry_config(RetryConfig::disabled())).await;
}

/// An interceptor that fails before the request goes out may cost an answer, but no effect is ever denied.
#[tokio::test(start_paused = true)]
async fn an_interceptor_that_fails_before_the_request_leaves_the_object() {
    for call in Call::ALL {
        let fails = Fails::new(ReadBeforeTransmit, usize::from(call.reads_first()));
        let world = World::with(|config| config.interceptor(fails)).await;
        let ended = call.run(&world).await;
        let applies = call.applies(&world).await;
        assert!(applies == u32::from(ended.result.is_ok()), "{call:?}: {ended:?}");
        if ended.result.is_err() {
            ended.assert_untouched(call);
        }
    }
}

/// Nothing goes out without credentials: clean before, a doubt that stays after a lost reply.
#[tokio::test(start_paused = true)]
async fn credentials_that_fail_between_two_attempts_leave_doubt_only_where_a_reply_was_lost() {
    for call in [Call::Create, Call::Save, Call::Replace, Call::Touch] {
        for (lost, unknown) in [(Fault::ConnectionRefused, false), (Fault::ReplyLost, true)] {
            let world = World::with(|config| config.identity_cache(Once::default())).await;
            world.faults.script(call.operation(), [lost.clone()]);
            let ended = call.run(&world).await;
            match &ended.result {
                Err(Error::OutcomeUnknown(_)) if unknown => {}
                Err(Error::Sdk(_)) if !unknown => {}
                other => panic!("{call:?} {lost:?}: {other:?}"),
            }
            ended.assert_untouched(call);
            assert_eq!(call.applies(&world).await, u32::from(unknown), "{call:?}");
            assert_eq!(world.sent.count(call.operation()), 1, "{call:?}");
        }
    }
}

/// Keeps what the SDK asks of a connection.
#[derive(Debug, Clone)]
struct Asked(SharedHttpClient, Arc<Mutex<Vec<HttpConnectorSettings>>>);

impl HttpClient for Asked {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).push(settings.clone());
        self.0.http_connector(settings, components)
    }
}

/// What the client says about connecting and reading stays in force beside the timeout that dynalock adds.
#[tokio::test(start_paused = true)]
async fn the_clients_own_connection_timeouts_are_kept() {
    let world = World::new().await;
    let asked = Asked(world.store.http_client(), Arc::default());
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_millis(123))
        .read_timeout(Duration::from_millis(456))
        .build();
    let config = world.store.config().timeout_config(timeouts).http_client(asked.clone()).build();
    let table = Table::<Account>::new(&aws_sdk_dynamodb::Client::from_conf(config), "accounts");
    table.update("alice", |alice| alice.balance += 1).await.unwrap();
    let settings = asked.1.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(settings.len(), 2);
    for settings in &*settings {
        assert_eq!(settings.connect_timeout(), Some(Duration::from_millis(123)));
        assert_eq!(settings.read_timeout(), Some(Duration::from_millis(456)));
    }
}
