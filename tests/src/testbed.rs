//! A store, and a client that reaches it through a network that fails by script.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{self, HttpClient};
use dynalock::testing::{Faults, Gate};
use dynalock::{Table, Versioned};

use crate::engines::Store;
use crate::middleware::Middleware;
use crate::recording::Recording;
use crate::runtimes::{retry, with_retries};
use crate::transit::Transit;

/// How long a call may take: the default deadline.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// The store, and what the program under test has on its way there.
#[derive(Debug)]
pub struct Testbed {
    /// The store itself, where a rival has a client whose network never fails.
    pub store: Store,
    /// Every request that the SDK sent.
    pub sent: Recording,
    /// Requests whose connection broke, to be delivered later.
    pub transit: Transit,
    /// What goes wrong.
    pub faults: Faults,
    /// The client under test. Its requests are recorded, and then struck by the faults.
    pub client: Client,
}

impl Testbed {
    /// A new program around a store that is there. Its network has failed in nothing yet.
    #[must_use]
    pub fn on(store: Store) -> Self {
        Self::with(store, |config| config)
    }

    /// The same with a client that is configured further.
    #[must_use]
    pub fn with(store: Store, configure: impl FnOnce(config::Builder) -> config::Builder) -> Self {
        let http_client = store.http_client();
        Self::before(store, http_client, configure)
    }

    /// The same with `http_client` between the faults and the store.
    #[must_use]
    pub fn before(
        store: Store,
        http_client: impl HttpClient + 'static,
        configure: impl FnOnce(config::Builder) -> config::Builder,
    ) -> Self {
        let (sent, transit, faults) = (Recording::default(), Transit::default(), Faults::new(http_client));
        let way = sent.wrap(transit.wrap(faults.clone()));
        let config = configure(with_retries(store.config())).http_client(way);
        let client = Client::from_conf(config.build());
        Self { store, sent, transit, faults, client }
    }

    /// The table `name`, as the program under test has it.
    #[must_use]
    pub fn table<T: Versioned>(&self, name: &str) -> Table<T> {
        Table::new(&self.client, name).with_retry(retry(&[]))
    }

    /// The same as a rival has it.
    #[must_use]
    pub fn rivals_table<T: Versioned>(&self, name: &str) -> Table<T> {
        Table::new(&self.store.client(), name)
    }

    /// Holds up the next request of `operation` that is sent after the script is over, and lets it go on when `rival` is done.
    /// Nothing is held up before the future is polled.
    pub async fn overtake(&self, operation: &'static str, rival: impl Future<Output = ()>) {
        overtake(self.faults.hold_up(operation), rival).await;
    }

    /// Runs `call`, and lets `rival` overtake the next request of `operation` that is sent after the script is over.
    pub async fn overtaken<T>(
        &self,
        call: impl Future<Output = T>,
        operation: &'static str,
        rival: impl Future<Output = ()>,
    ) -> T {
        // Before the call is polled: its first poll may send the request.
        let gate = self.faults.hold_up(operation);
        tokio::join!(call, overtake(gate, rival)).0
    }
}

async fn overtake(gate: Gate, rival: impl Future<Output = ()>) {
    reached(&gate).await;
    rival.await;
    gate.open();
}

/// Waits until a request is at the gate.
///
/// # Panics
///
/// If none comes before the deadline of a call.
pub async fn reached(gate: &Gate) {
    tokio::time::timeout(DEADLINE, gate.reached()).await.expect("the request never came");
}
