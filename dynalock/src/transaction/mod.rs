//! Several items, of which all are written or none

mod run;
pub(crate) mod transact;
pub(crate) mod tx;

use std::fmt;

use aws_sdk_dynamodb::Client;

use crate::error::Result;
use crate::item::invalid::Invalid;
use crate::item::snapshot::Snapshot;
use crate::send::budget::Budget;
use crate::send::retry::Retry;
use crate::send::store::{self, Store};
use crate::send::trace::{Finished, traced};
use crate::send::{MAX_TRANSACTION_TIME, Request};
use crate::table::Table;
use crate::versioned::{Versioned, set_version, snapshot};
use crate::write::condition::Condition;
use crate::write::draft::{Draft, Kind};

/// Writes of several items, in one table or in many, which are all applied or none.
///
/// Each action has the version check of the [`Table`] call of the same name: nobody may have written the item since it was read.
/// [`commit`](Self::commit) sends all actions as one `TransactWriteItems`. For work that begins with reads, see
/// [`transact`](crate::transact()).
///
/// ```no_run
/// # use dynalock::{Table, Transaction, Versioned};
/// # #[derive(serde::Serialize, serde::Deserialize, Versioned)]
/// # struct Account { #[dynalock(partition_key)] id: String, balance: i64, #[dynalock(version)] version: u64 }
/// # async fn example(client: aws_sdk_dynamodb::Client, accounts: Table<Account>, mut from: Account, mut to: Account)
/// # -> dynalock::Result<()> {
/// from.balance -= 10;
/// to.balance += 10;
/// Transaction::new(&client).save(&accounts, &mut from).save(&accounts, &mut to).commit().await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is written until the transaction is committed"]
pub struct Transaction<'a> {
    client: Client,
    actions: Vec<Action<'a>>,
    retry: Retry,
    /// Whether a condition was given before the first action.
    has_misplaced_condition: bool,
}

/// One action. More conditions may be added to it.
struct Action<'a> {
    kind: Kind,
    store: Store,
    object: Result<Snapshot, Invalid>,
    condition: Option<Condition>,
    set_version: SetVersion<'a>,
}

/// A transaction that can be sent.
struct Ready<'a> {
    request: Request,
    /// The versions that the objects get once the transaction is applied.
    set_versions: Vec<(SetVersion<'a>, Option<u64>)>,
}

/// Sets the version that was written in the caller's object.
type SetVersion<'a> = Box<dyn FnOnce(Option<u64>) + Send + 'a>;

impl<'a> Transaction<'a> {
    /// Starts a transaction without actions. `client` sends it, so it must reach the tables of all actions.
    pub fn new(client: &Client) -> Self {
        let retry = Retry::default();
        Self { client: client.clone(), actions: Vec::new(), retry, has_misplaced_condition: false }
    }

    /// Stores a new item, if none has its key; see [`Table::create`].
    pub fn create<T: Versioned>(self, table: &Table<T>, item: &'a mut T) -> Self {
        self.write(Kind::Create, table, item)
    }

    /// Sets every attribute of the struct, if the stored version is still the one in the object; see [`Table::save`].
    pub fn save<T: Versioned>(self, table: &Table<T>, item: &'a mut T) -> Self {
        self.write(Kind::Save, table, item)
    }

    /// Stores the object in place of the item, if the stored version is still the one in the object; see
    /// [`Table::replace`].
    pub fn replace<T: Versioned>(self, table: &Table<T>, item: &'a mut T) -> Self {
        self.write(Kind::Replace, table, item)
    }

    /// Raises the version and changes nothing else, if the stored version is still the one in the object; see
    /// [`Table::touch`].
    pub fn touch<T: Versioned>(self, table: &Table<T>, item: &'a mut T) -> Self {
        self.write(Kind::Touch, table, item)
    }

    /// Deletes the item, if the stored version is still the one in the object. Unlike for [`Table::delete`], a missing item is a
    /// conflict.
    pub fn delete<T: Versioned>(self, table: &Table<T>, item: &T) -> Self {
        self.act(Kind::Delete, table, snapshot(item), |_| ())
    }

    /// Writes nothing, but makes the transaction fail unless the stored version is still the one in the object.
    pub fn check<T: Versioned>(self, table: &Table<T>, item: &T) -> Self {
        self.act(Kind::Check, table, snapshot(item), |_| ())
    }

    fn write<T: Versioned>(self, kind: Kind, table: &Table<T>, item: &'a mut T) -> Self {
        self.act(kind, table, snapshot(item), move |version| set_version(item, version))
    }

    fn act<T>(
        mut self,
        kind: Kind,
        table: &Table<T>,
        object: Result<Snapshot, Invalid>,
        set_version: impl FnOnce(Option<u64>) + Send + 'a,
    ) -> Self {
        let store = table.store().clone();
        let set_version = Box::new(set_version);
        self.actions.push(Action { kind, store, object, condition: None, set_version });
        self
    }

    /// Adds a condition to the last action. The action is refused unless the condition holds as well. May be called more than
    /// once for an action: all conditions must hold.
    pub fn condition(mut self, condition: Condition) -> Self {
        match self.actions.last_mut() {
            Some(action) => Condition::join(&mut action.condition, condition),
            None => self.has_misplaced_condition = true,
        }
        self
    }

    /// Sets the retry policy of the commit. At most 5 minutes of the deadline count, since DynamoDB recognizes copies of a
    /// transaction for 10 minutes.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Applies all actions or none. On `Ok` every object has its new version. On any error all objects are unchanged.
    ///
    /// Lost replies, timeouts, throttling, failed connections and other transactions on the same items (`TransactionConflict`)
    /// are retried with the identical request, under one
    /// [client token](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html), so that
    /// DynamoDB applies it once. The transaction costs two write units for each unit of the items, checks included.
    ///
    /// # Errors
    ///
    /// - [`Conflict`](crate::Error::Conflict), [`AlreadyExists`](crate::Error::AlreadyExists): another writer was faster. Nothing
    ///   was written. After a lost reply, an `AlreadyExists` is valid
    ///   [as long as the item is there](crate::guide::what_ok_means#a-late-copy-of-a-create).
    ///   [`Conflict::action_index`](crate::Conflict::action_index) and [`key`](crate::Conflict::key) say which item was refused,
    ///   and [`other_refusals`](crate::Conflict::other_refusals) which others were. A missing item is a conflict without item.
    /// - [`ConditionFailed`](crate::Error::ConditionFailed): all versions are right, but a [`condition`](Self::condition) does
    ///   not hold. Nothing was written.
    /// - [`OutcomeUnknown`](crate::Error::OutcomeUnknown): a reply was lost, and no later attempt got an answer in time, or one
    ///   was refused by actions without a version only. The error names one item of the transaction, and the outcome is that of
    ///   all.
    /// - [`InvalidRequest`](crate::Error::InvalidRequest): the transaction has no action, more than 100 actions, more than 4 MB,
    ///   or two actions for the same item. Nothing was sent.
    /// - [`VersionOverflow`](crate::Error::VersionOverflow), [`InvalidItem`](crate::Error::InvalidItem): nothing was sent.
    /// - [`Sdk`](crate::Error::Sdk): DynamoDB refused the request, or could not be reached. Nothing was written. A table with
    ///   multi-Region strong consistency [has no transactions](crate::guide::tables#global-tables).
    pub async fn commit(self) -> Result<()> {
        let mut budget = Budget::start(self.retry.at_most(MAX_TRANSACTION_TIME));
        let client = self.client.clone();
        let tables = store::names(self.actions.iter().map(|action| &action.store));
        traced("commit", &tables, async {
            let Ready { mut request, set_versions } = match self.ready(&client, &tables) {
                Ok(ready) => ready,
                Err(error) => return Finished::unsent(error),
            };
            let settled = request.settle(&mut budget).await;
            if settled.is_ok() {
                for (set_version, version) in set_versions {
                    set_version(version);
                }
            }
            Finished::with(settled.map(drop), budget.stats())
        })
        .await
    }

    /// Builds the request, or refuses a transaction that DynamoDB would refuse.
    fn ready(self, client: &Client, tables: &str) -> Result<Ready<'a>> {
        if self.has_misplaced_condition {
            let problem = "a condition was given before any action of the transaction";
            return Err(Invalid::request(problem).in_table(""));
        }
        let mut writes = Vec::new();
        let mut set_versions = Vec::new();
        for Action { kind, store, object, condition, set_version } in self.actions {
            let write = object
                .and_then(|object| Draft::write_of(kind, object, condition.as_ref(), || store.now()))
                .map_err(|invalid| invalid.in_table(&store.table))?;
            set_versions.push((set_version, write.next_version()));
            writes.push((store, write));
        }
        Ok(Ready { request: Request::transaction(client, tables, writes)?, set_versions })
    }
}

/// Shows the kind and the table of each action, but no items.
impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let actions: Vec<_> = self.actions.iter().map(|action| (action.kind, &action.store.table)).collect();
        f.debug_struct("Transaction")
            .field("actions", &actions)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}
