//! A testbed with one journal, tables of journals, and the calls that add to them.

use std::ops::Deref;
use std::pin::Pin;
use std::time::Duration;

use dynalock::{Error, Result, Table, Versioned};
use dynalock_tests::engines::Store;
pub(crate) use dynalock_tests::testbed::DEADLINE;
use dynalock_tests::testbed::{Testbed, reached};
use serde::{Deserialize, Serialize};

/// What the version grows by with each write.
pub(crate) const STEP: u64 = 10;

pub(crate) const MS: Duration = Duration::from_millis(1);

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Each call that succeeds adds an entry, so that the journal tells which of them were applied, how often, and in which
/// order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
pub(crate) struct Journal {
    #[dynalock(partition_key)]
    pub(crate) id: String,
    pub(crate) entries: Vec<u32>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) note: String,
    #[dynalock(version, step = 10)]
    pub(crate) version: u64,
}

impl Journal {
    pub(crate) fn empty(id: &str) -> Self {
        Self { id: id.into(), entries: vec![], note: String::new(), version: 0 }
    }

    /// The journal that every store begins with, after `writes` that left these `entries`.
    pub(crate) fn after(writes: u64, entries: &[u32]) -> Self {
        Self { entries: entries.to_vec(), version: 1 + STEP * writes, ..Self::empty("a") }
    }
}

/// The future of a call.
pub(crate) type Answer<'f, T = Journal, E = Error> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'f>>;

/// Adds an entry to the journal that is there.
pub(crate) fn add(table: &Table<Journal>, entry: u32) -> Answer<'static> {
    table.update("a", move |journal| journal.entries.push(entry)).into_future()
}

/// The same for each of `entries`, all with the same table.
pub(crate) fn add_each(
    table: &Table<Journal>,
    entries: impl IntoIterator<Item = u32>,
) -> impl Iterator<Item = Answer<'static>> {
    entries.into_iter().map(|entry| add(table, entry))
}

/// Why a closure did not change the journal.
#[derive(Debug)]
pub(crate) enum Refused {
    /// With the entries that it saw.
    By(Vec<u32>),
    Failed(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Refused {
    /// The entries on which the closure refused.
    pub(crate) fn saw(self) -> Vec<u32> {
        match self {
            Self::By(entries) => entries,
            Self::Failed(error) => panic!("{error:?}"),
        }
    }
}

/// Adds an entry if there are fewer than `most`, and leaves something behind before it refuses.
pub(crate) fn add_below(
    table: &Table<Journal>,
    most: usize,
    entry: u32,
) -> Answer<'static, Journal, Refused> {
    let change = move |journal: &mut Journal| {
        let seen = journal.entries.clone();
        journal.entries.push(entry);
        if seen.len() < most { Ok(()) } else { Err(Refused::By(seen)) }
    };
    table.try_update("a", change).into_future()
}

/// A store with one empty journal, on a testbed.
pub(crate) struct World {
    testbed: Testbed,
    /// Whose calls take turns.
    pub(crate) table: Table<Journal>,
    /// Whose calls share their writes.
    pub(crate) coalescing: Table<Journal>,
    /// Another program's, with a network that never fails.
    pub(crate) rival: Table<Journal>,
}

impl Deref for World {
    type Target = Testbed;

    fn deref(&self) -> &Testbed {
        &self.testbed
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        let world = Self::on(Store::memory());
        world.rival.create_table().await.unwrap();
        world.rival.create(&mut Journal::empty("a")).await.unwrap();
        world
    }

    /// Another program around a store that is there.
    pub(crate) fn on(store: Store) -> Self {
        let testbed = Testbed::on(store);
        let table: Table<Journal> = testbed.table("journals");
        let (coalescing, rival) = (table.clone().coalescing(), testbed.rivals_table("journals"));
        Self { testbed, table, coalescing, rival }
    }

    /// The journal as it is stored.
    pub(crate) async fn stored(&self) -> Journal {
        self.rival.get("a").await.unwrap().expect("the journal")
    }

    pub(crate) async fn rival_adds(&self, entry: u32) {
        add(&self.rival, entry).await.unwrap();
    }

    /// How many requests read, and how many write.
    pub(crate) fn requests(&self) -> (usize, usize) {
        let reads = self.sent.count("GetItem");
        (reads, self.sent.sent().len() - reads)
    }

    /// The entries that each request wrote, or tried to.
    pub(crate) fn written(&self) -> Vec<Vec<u32>> {
        let sent = self.sent.sent();
        let writes = sent.iter().filter(|sent| sent.operation != "GetItem");
        writes
            .map(|sent| {
                let values = sent.body["ExpressionAttributeValues"].as_object();
                let mut lists = values.into_iter().flat_map(|values| values.values());
                let list = lists.find_map(|value| value["L"].as_array());
                let list = list.or_else(|| sent.body["Item"]["entries"]["L"].as_array()).expect("entries");
                list.iter().map(|entry| entry["N"].as_str().unwrap().parse().unwrap()).collect()
            })
            .collect()
    }

    /// Lets a call on `table` add entry 0, and runs `others` while its request is under way: it arrives when `others` was
    /// polled once.
    pub(crate) async fn behind_a_write<T>(
        &self,
        table: &Table<Journal>,
        others: impl Future<Output = T>,
    ) -> T {
        let writing = self.faults.hold_up("UpdateItem");
        let others = async {
            reached(&writing).await;
            let go_on = async { writing.open() };
            tokio::join!(others, go_on).0
        };
        let (first, others) = tokio::join!(add(table, 0), others);
        assert_eq!(first.unwrap().entries.last(), Some(&0));
        others
    }

    /// Nothing is kept of any call, and the next one works.
    pub(crate) async fn assert_is_quiet(&self) {
        for table in [&self.table, &self.coalescing] {
            assert_eq!(busy(table), 0, "a queue is left behind");
            let before = self.stored().await.entries;
            let after = add(table, 999).await.unwrap().entries;
            assert_eq!(after, [&before[..], &[999]].concat());
        }
    }
}

/// Of how many items updates of `table` are under way.
pub(crate) fn busy(table: &Table<Journal>) -> usize {
    let shown = format!("{table:?}");
    let (_, busy) = shown.split_once("busy_items: ").expect("the number of items");
    busy.split(',').next().unwrap().parse().unwrap()
}
