//! A testbed with one account, and tables of accounts with and without write stamps.

use std::ops::Deref;

use aws_sdk_dynamodb::config;
use dynalock::testing::{Fault, Reply};
use dynalock::{Table, Versioned};
pub(crate) use dynalock_tests::account::{Account, Refused};
use dynalock_tests::engines::Store;
pub(crate) use dynalock_tests::testbed::{DEADLINE, Testbed};
use serde::{Deserialize, Serialize};

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

/// A store with [`Account::alice`], on a testbed.
pub(crate) struct World {
    pub(crate) testbed: Testbed,
    pub(crate) table: Table<Account>,
    /// The same for items without stamps.
    pub(crate) bare: Table<Bare>,
    /// Which of the two the calls of this world are made on.
    pub(crate) stamps: Stamps,
    /// As a rival with a faultless network has it.
    pub(crate) rival: Table<Account>,
}

impl Deref for World {
    type Target = Testbed;

    fn deref(&self) -> &Testbed {
        &self.testbed
    }
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
        let world = Self::on(Testbed::with(Store::memory(), configure));
        world.prepare().await;
        world
    }

    /// Stores the account that every store begins with.
    pub(crate) async fn prepare(&self) {
        self.rival.create_table().await.unwrap();
        self.rival.create(&mut Account::alice()).await.unwrap();
    }

    /// A world on a testbed that is there.
    pub(crate) fn on(testbed: Testbed) -> Self {
        let (table, bare) = (testbed.table("accounts"), testbed.table("accounts"));
        let rival = testbed.rivals_table("accounts");
        Self { testbed, table, bare, stamps: Stamps::On, rival }
    }

    /// A table of this world's store for items of another struct.
    pub(crate) fn table_of<T: Versioned>(&self) -> Table<T> {
        self.testbed.table("accounts")
    }

    /// The same as a rival with a faultless network has it.
    pub(crate) fn rival_of<T: Versioned>(&self) -> Table<T> {
        self.testbed.rivals_table("accounts")
    }

    /// The account as the store has it.
    pub(crate) async fn stored(&self, id: &str) -> Option<Account> {
        self.rival.get(id).await.unwrap()
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
