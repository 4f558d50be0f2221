//! A store with one account, a table that reaches it through a network that fails by script, and one that never fails.

use std::time::Duration;

use aws_sdk_dynamodb::{
    Client,
    config::{
        self, HttpClient,
        retry::{RetryPartition, TokenBucket},
    },
};
use dynalock::testing::{Fault, Faults, Reply};
use dynalock::{Table, Versioned};
use dynalock_tests::{
    engines::{Store, table_name},
    middleware::Middleware,
    recording::Recording,
    runtimes::{retry, with_retries},
    transit::Transit,
};
use serde::{Deserialize, Serialize};

/// What a call may take that ends by its own limits and not by luck: the default deadline.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
pub(crate) struct Account {
    #[dynalock(partition_key)]
    pub(crate) id: String,
    pub(crate) balance: i64,
    #[dynalock(version)]
    pub(crate) version: u64,
}

impl Account {
    /// The account that every store begins with.
    pub(crate) fn alice() -> Self {
        Self { id: "alice".into(), balance: 100, version: 1 }
    }

    /// An account that no store begins with.
    pub(crate) fn bob() -> Self {
        Self { id: "bob".into(), balance: 7, version: 0 }
    }
}

/// Whether the struct of the items keeps write stamps: the default number, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stamps {
    On,
    Off,
}

/// Each of `cases` with stamps and without.
pub(crate) fn both<T: Clone>(cases: impl IntoIterator<Item = T>) -> Vec<(T, Stamps)> {
    let both = |case: T| [(case.clone(), Stamps::On), (case, Stamps::Off)];
    cases.into_iter().flat_map(both).collect()
}

/// An [`Account`] whose struct keeps some number of stamps.
pub(crate) trait Holder: Versioned<Key = String> + Clone + From<Account> + Into<Account> {
    fn add(&mut self, amount: i64);
}

macro_rules! holder {
    ($name:ident, stamps = $stamps:tt) => {
        #[derive(Debug, Clone, Serialize, Deserialize, Versioned)]
        #[dynalock(stamps = $stamps)]
        pub(crate) struct $name {
            #[dynalock(partition_key)]
            id: String,
            pub(crate) balance: i64,
            #[dynalock(version)]
            version: u64,
        }

        impl From<Account> for $name {
            fn from(Account { id, balance, version }: Account) -> Self {
                Self { id, balance, version }
            }
        }

        impl From<$name> for Account {
            fn from($name { id, balance, version }: $name) -> Self {
                Self { id, balance, version }
            }
        }

        impl Holder for $name {
            fn add(&mut self, amount: i64) {
                self.balance += amount;
            }
        }
    };
}

holder!(Bare, stamps = 0);
holder!(One, stamps = 1);
holder!(Two, stamps = 2);
holder!(Many, stamps = 32);

impl Holder for Account {
    fn add(&mut self, amount: i64) {
        self.balance += amount;
    }
}

pub(crate) struct World {
    pub(crate) store: Store,
    /// Every request that the SDK sent.
    pub(crate) sent: Recording,
    pub(crate) faults: Faults,
    /// What may hold requests up before they meet the faults.
    pub(crate) transit: Transit,
    /// Through the faults.
    pub(crate) client: Client,
    pub(crate) table: Table<Account>,
    /// The same for items without stamps.
    pub(crate) bare: Table<Bare>,
    /// Which of the two the calls of this world are made on.
    pub(crate) stamps: Stamps,
    /// As a rival with a faultless network has it.
    pub(crate) rival: Table<Account>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|config| config).await
    }

    pub(crate) async fn of(stamps: Stamps) -> Self {
        Self { stamps, ..Self::new().await }
    }

    /// A world whose faulty client is configured further.
    pub(crate) async fn with(configure: impl FnOnce(config::Builder) -> config::Builder) -> Self {
        let world = Self::on(Store::memory(), configure);
        world.prepare().await;
        world
    }

    /// Stores the account that every store begins with.
    pub(crate) async fn prepare(&self) {
        self.rival.create_table().await.unwrap();
        self.rival.create(&mut Account::alice()).await.unwrap();
    }

    /// A new world around a store that is there.
    pub(crate) fn on(store: Store, configure: impl FnOnce(config::Builder) -> config::Builder) -> Self {
        let http_client = store.http_client();
        Self::before(store, http_client, configure)
    }

    /// The same, where the faulty client has something between its faults and the store.
    pub(crate) fn before(
        store: Store,
        http_client: impl HttpClient + 'static,
        configure: impl FnOnce(config::Builder) -> config::Builder,
    ) -> Self {
        let faults = Faults::new(http_client);
        let (transit, sent) = (Transit::default(), Recording::default());
        let recorded = sent.wrap(transit.wrap(faults.clone()));
        // The SDK grants retries from one budget for the whole process, unless told otherwise.
        let retries = RetryPartition::custom(table_name()).token_bucket(TokenBucket::default()).build();
        let config = configure(with_retries(store.config()));
        let client = Client::from_conf(config.retry_partition(retries).http_client(recorded).build());
        let (table, bare) = (Self::table_on(&client), Self::table_on(&client));
        let rival = Table::new(&store.client(), "accounts");
        Self { store, sent, faults, transit, client, table, bare, stamps: Stamps::On, rival }
    }

    /// A table of this world's store for items of another struct.
    pub(crate) fn table_of<T: Versioned>(&self) -> Table<T> {
        Self::table_on(&self.client)
    }

    /// The same through another client.
    pub(crate) fn table_on<T: Versioned>(client: &Client) -> Table<T> {
        Table::new(client, "accounts").with_retry(retry(&[]))
    }

    /// The same as a rival with a faultless network has it.
    pub(crate) fn rival_of<T: Versioned>(&self) -> Table<T> {
        Table::new(&self.store.client(), "accounts")
    }

    /// The account as the store has it.
    pub(crate) async fn stored(&self, id: &str) -> Option<Account> {
        self.rival.get(id).await.unwrap()
    }

    /// Runs `call`, and lets `rival` overtake the first request of `operation` that it sends after the script is over.
    pub(crate) async fn overtaken<T>(
        &self,
        call: impl Future<Output = T>,
        operation: &'static str,
        rival: impl Future<Output = ()>,
    ) -> T {
        let gate = self.faults.hold_up(operation);
        let overtake = async {
            tokio::time::timeout(DEADLINE, gate.reached()).await.expect("the request never came");
            rival.await;
            gate.open();
        };
        tokio::join!(call, overtake).0
    }
}

/// As many faults as no call outlives.
pub(crate) fn always(fault: &Fault) -> Vec<Fault> {
    vec![fault.clone(); 5000]
}

/// A refusal by DynamoDB, before it did anything.
pub(crate) fn refusal(exception: &str) -> Fault {
    Fault::Instead(Reply::new(400, exception))
}

/// A fault of the server, before it did anything.
pub(crate) fn breakdown() -> Fault {
    Fault::Instead(Reply::internal_server_error())
}

/// A fault of the server, after it carried out the request.
pub(crate) fn breakdown_after() -> Fault {
    Fault::After(Reply::internal_server_error())
}

/// Whether a request that this strikes may have been applied, for all that its sender knows.
pub(crate) fn leaves_doubt(fault: &Fault) -> bool {
    match fault {
        Fault::Pass | Fault::ConnectionRefused => false,
        Fault::Instead(reply) => reply.status >= 500,
        _ => true,
    }
}

pub(crate) fn throttled() -> Fault {
    refusal("ThrottlingException")
}
