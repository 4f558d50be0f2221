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
use crate::send::commit::{Commit, LONGEST};
use crate::send::retry::Retry;
use crate::send::store::Target;
use crate::send::trace::{Ended, observed};
use crate::table::Table;
use crate::table::save::raise;
use crate::versioned::{Versioned, snapshot};
use crate::write::condition::Condition;
use crate::write::{ConditionalWrite, Kind};

/// Writes of several items, in one table or in many, of which all are applied or none.
///
/// Each action has the condition of the [`Table`] call of the same name: nobody may have written the item since it was read.
/// [`commit`](Self::commit) sends them as one `TransactWriteItems`. For work that begins with reads, see
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
    /// A condition came before the first action.
    is_misplaced: bool,
}

/// One action, whose condition may yet grow.
struct Action<'a> {
    kind: Kind,
    target: Target,
    object: Result<Snapshot, Invalid>,
    condition: Option<Condition>,
    raise: Raise<'a>,
}

/// A transaction that can be sent.
struct Ready<'a> {
    commit: Commit,
    /// What is to be done to the objects once it went through.
    raises: Vec<(Raise<'a>, Option<u64>)>,
}

/// Gives the caller's object the version that was written.
type Raise<'a> = Box<dyn FnOnce(Option<u64>) + Send + 'a>;

impl<'a> Transaction<'a> {
    /// A transaction without actions. `client` sends it, so it must reach the tables of all actions.
    pub fn new(client: &Client) -> Self {
        Self { client: client.clone(), actions: Vec::new(), retry: Retry::default(), is_misplaced: false }
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

    /// Deletes the item, if the stored version is still the one in the object. Other than for [`Table::delete`], an item
    /// that is gone is a conflict.
    pub fn delete<T: Versioned>(self, table: &Table<T>, item: &T) -> Self {
        self.act(Kind::Delete, table, snapshot(item), |_| ())
    }

    /// Writes nothing, but refuses the transaction unless the stored version is still the one in the object.
    pub fn check<T: Versioned>(self, table: &Table<T>, item: &T) -> Self {
        self.act(Kind::Check, table, snapshot(item), |_| ())
    }

    fn write<T: Versioned>(self, kind: Kind, table: &Table<T>, item: &'a mut T) -> Self {
        self.act(kind, table, snapshot(item), move |version| raise(item, version))
    }

    fn act<T>(
        mut self,
        kind: Kind,
        table: &Table<T>,
        object: Result<Snapshot, Invalid>,
        raise: impl FnOnce(Option<u64>) + Send + 'a,
    ) -> Self {
        let (target, raise) = (table.target().clone(), Box::new(raise));
        self.actions.push(Action { kind, target, object, condition: None, raise });
        self
    }

    /// Adds a condition to the action before it, which is then refused unless this holds as well. May be given more than
    /// once for an action: all must hold.
    pub fn condition(mut self, condition: Condition) -> Self {
        match self.actions.last_mut() {
            Some(action) => Condition::join(&mut action.condition, condition),
            None => self.is_misplaced = true,
        }
        self
    }

    /// Retries the commit so. At most 5 minutes of the deadline count: DynamoDB recognizes a transaction that it got before
    /// for no longer than 10.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Applies all actions or none. On `Ok` every object has its new version; on any error all are as they were.
    ///
    /// Lost replies, timeouts, throttling, failed connections and other transactions on the same items
    /// (`TransactionConflict`) are retried with the identical request, under one
    /// [client token](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html), so that
    /// DynamoDB applies it once. It costs two write units for each unit of the items, checks included.
    ///
    /// # Errors
    ///
    /// - [`Conflict`](crate::Error::Conflict), [`AlreadyExists`](crate::Error::AlreadyExists): another writer was faster. Nothing was
    ///   written. [`Conflict::action`](crate::Conflict::action) and [`key`](crate::Conflict::key) tell which item it was,
    ///   [`others`](crate::Conflict::others) what else stood in the way. An item that is gone is a conflict without item.
    /// - [`ConditionFailed`](crate::Error::ConditionFailed): all versions are right, but a [`condition`](Self::condition) does not
    ///   hold. Nothing was written.
    /// - [`OutcomeUnknown`](crate::Error::OutcomeUnknown): a reply was lost, and DynamoDB could not be asked again in time, or only
    ///   what has no version stood in the way then. It tells of one item, which stands for all of them.
    /// - [`InvalidRequest`](crate::Error::InvalidRequest): no action, more than 100, more than 4 MB, or two for the same item.
    ///   Nothing was sent.
    /// - [`VersionOverflow`](crate::Error::VersionOverflow), [`InvalidItem`](crate::Error::InvalidItem): nothing was sent.
    /// - [`Sdk`](crate::Error::Sdk): DynamoDB refused, or could not be reached. Nothing was written. A table with multi-Region strong
    ///   consistency [has no transactions](crate::guide::tables#global-tables).
    pub async fn commit(self) -> Result<()> {
        let mut budget = Budget::start(self.retry.within(LONGEST));
        let target = Target::of_all(&self.client, self.actions.iter().map(|action| &action.target));
        observed("commit", &target.table, async {
            let Ready { commit, raises } = match self.ready(&target) {
                Ok(ready) => ready,
                Err(error) => return Ended::unsent(error),
            };
            let committed = target.commit(commit, &mut budget).await;
            if committed.is_ok() {
                for (raise, version) in raises {
                    raise(version);
                }
            }
            Ended::of(committed, *budget.tally())
        })
        .await
    }

    fn ready(self, target: &Target) -> Result<Ready<'a>> {
        if self.is_misplaced {
            let problem = "a condition was given before any action of the transaction";
            return Err(Invalid::request(problem).in_table(""));
        }
        let (mut writes, mut raises) = (Vec::new(), Vec::new());
        for Action { kind, target, object, condition, raise } in self.actions {
            let write = object
                .and_then(|object| ConditionalWrite::of(kind, object, condition.as_ref(), || target.now()))
                .map_err(|invalid| invalid.in_table(&target.table))?;
            raises.push((raise, write.next_version()));
            writes.push((target, write));
        }
        Ok(Ready { commit: Commit::of(target, writes)?, raises })
    }
}

/// Shows what is done to which tables, but no items.
impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let actions: Vec<_> = self.actions.iter().map(|action| (action.kind, &action.target.table)).collect();
        f.debug_struct("Transaction")
            .field("actions", &actions)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}
