//! The stores that the tests run against.
//!
//! `DYNALOCK_ENGINE` chooses one of `memory` (the default), `disk` and `tcp`; `DYNALOCK_ENDPOINT` names the URL of any
//! other store, such as another emulator, and goes first.

use std::{env, net, thread};

use aws_sdk_dynamodb::{
    Client,
    config::{self, BehaviorVersion, Credentials, HttpClient, Region, RuntimeComponents, SharedHttpClient},
};
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpConnector};
use dynalock::embedded::Engine;
use tempfile::TempDir;

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
    /// If `DYNALOCK_ENGINE` is none of the known ones.
    #[must_use]
    pub fn chosen() -> Self {
        if let Ok(url) = env::var("DYNALOCK_ENDPOINT") {
            return Self::at(&url);
        }
        match env::var("DYNALOCK_ENGINE").as_deref() {
            Err(_) | Ok("memory") => Self::memory(),
            Ok("disk") => Self::disk(),
            Ok("tcp") => Self::tcp(),
            Ok(other) => panic!("DYNALOCK_ENGINE is {other}, not memory, disk or tcp"),
        }
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

    /// Returns the configuration of an SDK client, to add to.
    #[must_use]
    pub fn config(&self) -> config::Builder {
        self.config.clone().http_client(self.http_client.clone())
    }

    /// Returns an SDK client.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::from_conf(self.config().build())
    }

    /// Returns the HTTP client, to wrap.
    #[must_use]
    pub fn http_client(&self) -> SharedHttpClient {
        self.http_client.clone()
    }
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

/// Returns the name of a table that no other test uses, for stores that outlive a test.
#[must_use]
pub fn table_name() -> String {
    format!("dynalock-{:016x}", fastrand::u64(..))
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
