//! The stores that the tests run against.
//!
//! `DYNALOCK_ENGINE` chooses one of `memory` (the default), `disk` and `tcp`. `DYNALOCK_ENDPOINT` names the URL of any other
//! store, such as another emulator, and goes first; `DYNALOCK_ENGINE` then says what answers there. `DYNALOCK_AWS=1` chooses
//! DynamoDB itself: `scripts/engines` starts that, since it also tells what it costs and deletes the tables.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{env, net, thread};

use aws_sdk_dynamodb::{
    Client,
    config::{
        self, BehaviorVersion, Credentials, HttpClient, Region, RuntimeComponents, SharedHttpClient,
        retry::{RetryConfig, RetryPartition, TokenBucket},
    },
};
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_types::retry::RetrySpec;
use dynalock::embedded::Engine;
use tempfile::TempDir;

use crate::journal;
use crate::middleware::Middleware;

/// A store, and the HTTP client that reaches it.
///
/// Clones, and all clients made from them, share one store. Each of `memory`, `disk` and `tcp` starts a new and empty
/// one, which ends with its last client.
#[derive(Clone, Debug)]
pub struct Store {
    config: config::Builder,
    http_client: SharedHttpClient,
}

impl Store {
    /// The store that the environment chooses.
    ///
    /// # Panics
    ///
    /// If `DYNALOCK_ENGINE` is none of the known ones, or DynamoDB is chosen and something is missing for it.
    #[must_use]
    pub fn chosen() -> Self {
        let mut store = match (env::var("DYNALOCK_AWS"), env::var("DYNALOCK_ENDPOINT")) {
            (Ok(_), url) => Self::aws(url.ok()),
            (Err(_), Ok(url)) => Self::at(&url),
            (Err(_), Err(_)) => match &*name() {
                "memory" => Self::memory(),
                "disk" => Self::disk(),
                "tcp" => Self::tcp(),
                other => panic!("DYNALOCK_ENGINE is {other}, not memory, disk or tcp"),
            },
        };
        store.http_client = journal::requests(store.http_client);
        store
    }

    /// The embedded engine, in memory.
    #[must_use]
    pub fn memory() -> Self {
        let engine = Engine::in_memory();
        Self { config: engine.config(), http_client: engine.http_client() }
    }

    /// The embedded engine, in a file of a folder that is removed afterwards.
    ///
    /// # Panics
    ///
    /// If no file can be made in the system's folder for such.
    #[must_use]
    pub fn disk() -> Self {
        let folder = TempDir::new().expect("a folder for the database");
        let engine = Engine::on_disk(folder.path().join("dynalock.db")).expect("a new database");
        let inner = engine.http_client();
        let http_client = SharedHttpClient::new(InFolder { inner, _folder: folder });
        Self { config: engine.config(), http_client }
    }

    /// The same emulator behind a socket: its own HTTP server, which checks and words requests by code of its own.
    ///
    /// Not for a paused clock, which runs on while a request is under way.
    ///
    /// # Panics
    ///
    /// If no port can be had.
    #[must_use]
    pub fn tcp() -> Self {
        Self::at(&serve())
    }

    /// Whatever answers at `url`, without TLS.
    #[must_use]
    pub fn at(url: &str) -> Self {
        let config = config::Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("tests", "tests", None, None, "tests"))
            .endpoint_url(url);
        Self { config, http_client: aws_smithy_http_client::Builder::new().build_http() }
    }

    /// DynamoDB, in the Region and with the credentials that the environment has; at `url`, if there is another way to it.
    #[cfg(feature = "aws")]
    fn aws(url: Option<String>) -> Self {
        use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

        let needed = |name: &str| {
            env::var(name).unwrap_or_else(|_| panic!("DYNALOCK_AWS needs {name}: start scripts/engines"))
        };
        // Without one of its own for each run, nobody could tell which tables are left.
        needed("DYNALOCK_TABLE_PREFIX");
        let (id, secret) = (needed("AWS_ACCESS_KEY_ID"), needed("AWS_SECRET_ACCESS_KEY"));
        let token = env::var("AWS_SESSION_TOKEN").ok();
        let config = config::Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(needed("AWS_REGION")))
            .credentials_provider(Credentials::new(id, secret, token, None, "environment"));
        let http = aws_smithy_http_client::Builder::new();
        match url {
            Some(url) => Self { config: config.endpoint_url(url), http_client: http.build_http() },
            None => {
                let http_client = http.tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
                Self { config, http_client }
            }
        }
    }

    #[cfg(not(feature = "aws"))]
    fn aws(_: Option<String>) -> Self {
        panic!("DYNALOCK_AWS needs the feature aws: start scripts/engines")
    }

    /// Returns the configuration of an SDK client, to add to. Its retries are the [chosen](sdk_retries) ones, from a
    /// [quota](retry_quota) of its own.
    #[must_use]
    pub fn config(&self) -> config::Builder {
        let config = self.config.clone().retry_config(sdk_retries()).retry_partition(retry_quota());
        config.http_client(self.http_client.clone())
    }

    /// Returns an SDK client.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::from_conf(self.config().build())
    }

    /// Returns an SDK client whose requests pass `middleware`.
    #[must_use]
    pub fn client_through(&self, middleware: &impl Middleware) -> Client {
        Client::from_conf(self.config().http_client(middleware.wrap(self.http_client())).build())
    }

    /// Returns the HTTP client, to wrap.
    #[must_use]
    pub fn http_client(&self) -> SharedHttpClient {
        self.http_client.clone()
    }
}

/// Returns the SDK's own retries, as a client has them without further settings: those that were the default until
/// November 2026, or those since, if `DYNALOCK_SDK_RETRIES` is `2026`. The SDK chooses between them only where an application
/// loads its configuration from the environment, which tests do not.
///
/// # Panics
///
/// If `DYNALOCK_SDK_RETRIES` is anything else.
#[must_use]
pub fn sdk_retries() -> RetryConfig {
    match env::var("DYNALOCK_SDK_RETRIES").as_deref() {
        Ok("2026") => retries_of_2026(),
        Err(_) => RetryConfig::standard(),
        Ok(other) => panic!("DYNALOCK_SDK_RETRIES is {other}, not 2026"),
    }
}

/// Returns the SDK's retries for DynamoDB since November 2026: 4 attempts, after delays that begin with 25 ms, and with 1 s
/// where DynamoDB throttles.
#[must_use]
pub fn retries_of_2026() -> RetryConfig {
    let spec = RetrySpec::v2_1().with_non_throttling_initial_backoff(Duration::from_millis(25));
    RetryConfig::standard().with_max_attempts(4).with_retry_spec(spec)
}

/// Returns a quota for the SDK's retries that no other client has. Otherwise all clients of a process share one, and a test
/// that uses it up changes what others see.
#[must_use]
pub fn retry_quota() -> RetryPartition {
    static QUOTAS: AtomicU64 = AtomicU64::new(0);
    let name = format!("tests-{}", QUOTAS.fetch_add(1, Ordering::Relaxed));
    RetryPartition::custom(name).token_bucket(TokenBucket::default()).build()
}

/// Serves an empty emulator over TCP, as long as the process lives; returns its URL.
///
/// # Panics
///
/// If no port can be had.
#[must_use]
pub fn serve() -> String {
    let listener = net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a listener for tokio");
    let address = listener.local_addr().expect("the port");
    // On a thread of its own: a test's runtime ends with the test, and its clock may stand still.
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime for the server").block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("the listener");
            let database = dynoxide::Database::memory().expect("an empty database");
            dynoxide::server::serve_on(listener, database).await;
        });
    });
    format!("http://{address}")
}

/// Returns a client of the [chosen](Store::chosen) store, once that answers.
///
/// # Panics
///
/// If it doesn't answer.
pub async fn client() -> Client {
    let client = Store::chosen().client();
    client.list_tables().limit(1).send().await.expect("the chosen store answers");
    client
}

/// Returns the name of a table that no other test uses, for stores that outlive a test. It begins with what
/// `DYNALOCK_TABLE_PREFIX` says.
#[must_use]
pub fn table_name() -> String {
    let prefix = env::var("DYNALOCK_TABLE_PREFIX");
    format!("{}{:016x}", prefix.as_deref().unwrap_or("dynalock-"), fastrand::u64(..))
}

/// Returns what the chosen store is called, such as `memory`; `aws` is DynamoDB itself.
#[must_use]
pub fn name() -> String {
    let chosen = |variable| env::var_os(variable).is_some();
    match env::var("DYNALOCK_ENGINE") {
        _ if chosen("DYNALOCK_AWS") => "aws".to_owned(),
        Ok(name) => name,
        Err(_) if chosen("DYNALOCK_ENDPOINT") => "endpoint".to_owned(),
        Err(_) => "memory".to_owned(),
    }
}

/// Whether the chosen store runs on this machine's own code, where a request takes well under a millisecond.
#[must_use]
pub fn is_fast() -> bool {
    ["memory", "disk", "tcp"].contains(&&*name())
}

/// `dynalite` leaves out the item that `ReturnValuesOnConditionCheckFailure` asks for, so that dynalock reads it.
pub const TELLS_NO_ITEM: &str = "a refused check tells no item";

/// `dynalite` knows no `TransactWriteItems`.
pub const NO_TRANSACTIONS: &str = "there are no transactions";

/// `ministack` takes -0 and 0 for two keys, where DynamoDB keeps a number and not its notation.
pub const KEEPS_NOTATIONS: &str = "a number is kept in its notation";

/// DynamoDB may answer an eventually consistent read with an older state.
pub const MAY_READ_OLD: &str = "an eventually consistent read may miss what was just written";

/// Whether the running test does not hold on the chosen store, which is one of `engines`, for this `reason`. Then it is
/// noted as skipped, and must end.
#[must_use]
pub fn skipped(engines: &[&str], reason: &str) -> bool {
    let skipped = engines.contains(&&*name());
    if skipped {
        journal::skipped(reason);
    }
    skipped
}

/// Keeps the folder for as long as its database is open, and no longer: fields are dropped in their order.
#[derive(Debug)]
struct InFolder {
    inner: SharedHttpClient,
    _folder: TempDir,
}

impl HttpClient for InFolder {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.inner.http_connector(settings, components)
    }
}
