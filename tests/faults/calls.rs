//! Every call that writes, in one form, so that one test can put all of them through one fault.

use dynalock::testing::Fault;
use dynalock::{Deleted, Error, Result, Retry, Table};
use dynalock_tests::runtimes::retry;

use crate::world::{Account, Holder, Stamps, World, leaves_doubt};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Create,
    Save,
    Replace,
    Touch,
    Delete,
    Update,
    TryUpdate,
    /// `update_or_create` of an item that is there.
    UpdateExisting,
    /// `update_or_create` of an item that is not.
    CreateFresh,
}

use Call::{Create, CreateFresh, Delete, Replace, Save, Touch, TryUpdate, Update, UpdateExisting};

/// A call, as it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) result: Result<Done>,
    /// The object that the caller held, before and after.
    pub(crate) held: (Account, Account),
    /// How often a closure ran.
    pub(crate) runs: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// The version that was written.
    Written(u64),
    Gone(Deleted),
}

impl Call {
    pub(crate) const ALL: [Self; 9] =
        [Create, Save, Replace, Touch, Delete, Update, TryUpdate, UpdateExisting, CreateFresh];

    /// The calls that leave a stamp.
    pub(crate) const STAMPED: [Self; 8] =
        [Create, Save, Replace, Touch, Update, TryUpdate, UpdateExisting, CreateFresh];

    /// The calls that raise the version of an item.
    pub(crate) const CHANGES: [Self; 6] = [Save, Replace, Touch, Update, TryUpdate, UpdateExisting];

    /// The DynamoDB operation that writes.
    pub(crate) fn operation(self) -> &'static str {
        match self {
            Create | Replace | CreateFresh => "PutItem",
            Delete => "DeleteItem",
            Save | Touch | Update | TryUpdate | UpdateExisting => "UpdateItem",
        }
    }

    pub(crate) fn reads_first(self) -> bool {
        matches!(self, Update | TryUpdate | UpdateExisting | CreateFresh)
    }

    pub(crate) fn creates(self) -> bool {
        matches!(self, Create | CreateFresh)
    }

    /// The operation by which the call goes on after `fault`: a create that is in doubt is not sent again, but looked for.
    pub(crate) fn next_after(self, fault: &Fault) -> &'static str {
        if self.creates() && leaves_doubt(fault) { "GetItem" } else { self.operation() }
    }

    /// Scripts `lost` for the request that writes, and `faults` for those by which the call goes on after that.
    pub(crate) fn strike(self, world: &World, lost: &Fault, faults: impl IntoIterator<Item = Fault>) {
        world.faults.script(self.operation(), [lost.clone()]);
        let next = self.next_after(lost);
        let before = usize::from(next == "GetItem" && self.reads_first());
        world.faults.script(next, std::iter::repeat_n(Fault::Pass, before).chain(faults));
    }

    /// The item that the call is about.
    pub(crate) fn id(self) -> &'static str {
        if self.creates() { "bob" } else { "alice" }
    }

    /// The balance that the call writes; `None` where it writes none.
    fn balance(self) -> Option<i64> {
        match self {
            Touch | Delete => None,
            Create => Some(7),
            CreateFresh => Some(12),
            _ => Some(105),
        }
    }

    /// How often the call was applied: 0 or 1. Anything else stored fails the test.
    pub(crate) async fn applies(self, world: &World) -> u32 {
        let stored = world.stored(self.id()).await;
        let before = if self.creates() { None } else { Some(Account::alice()) };
        if stored == before {
            return 0;
        }
        let after = match before {
            _ if self == Delete => None,
            None => {
                let balance = self.balance().unwrap();
                Some(Account { balance, version: 1, ..Account::bob() })
            }
            Some(alice) => {
                let balance = self.balance().unwrap_or(alice.balance);
                Some(Account { balance, version: 2, ..alice })
            }
        };
        assert_eq!(stored, after, "{self:?}: neither as before nor as written once");
        1
    }

    /// The object to write, as it was read and then changed by its caller.
    pub(crate) fn held(self) -> Account {
        match self {
            Create | CreateFresh => Account::bob(),
            Touch | Delete => Account::alice(),
            _ => Account { balance: 105, ..Account::alice() },
        }
    }

    pub(crate) async fn run(self, world: &World) -> Ended {
        self.run_with(world, retry(&[])).await
    }

    /// Runs the call into `faults`, one for each of its requests that write.
    pub(crate) async fn run_into(self, world: &World, faults: &[Fault]) -> Ended {
        world.faults.script(self.operation(), faults.iter().cloned());
        self.run_with(world, retry(faults)).await
    }

    pub(crate) async fn run_with(self, world: &World, retry: Retry) -> Ended {
        match world.stamps {
            Stamps::On => self.run_on(&world.table, retry).await,
            Stamps::Off => self.run_on(&world.bare, retry).await,
        }
    }

    pub(crate) async fn run_on<T: Holder>(self, table: &Table<T>, retry: Retry) -> Ended {
        let (mut held, mut runs) = (T::from(self.held()), 0);
        let result = self.send(table, retry, &mut held, &mut runs).await;
        Ended { result, held: (self.held(), held.into()), runs }
    }

    /// The call itself: with the caller's object, or with a closure that adds 5 and counts its runs.
    pub(crate) async fn send<T: Holder>(
        self,
        table: &Table<T>,
        retry: Retry,
        held: &mut T,
        runs: &mut u32,
    ) -> Result<Done> {
        let version = |account: T| -> u64 { account.into().version };
        let written = |account: T| Done::Written(version(account));
        let add = |account: &mut T| {
            *runs += 1;
            account.add(5);
        };
        match self {
            Create => table.create(held).retry(retry).await,
            Save => table.save(held).retry(retry).await,
            Replace => table.replace(held).retry(retry).await,
            Touch => table.touch(held).retry(retry).await,
            Delete => return table.delete(held).retry(retry).await.map(Done::Gone),
            Update => return table.update("alice", add).retry(retry).await.map(written),
            TryUpdate => {
                let mut add = add;
                let add = |account: &mut T| {
                    add(account);
                    Ok::<_, Error>(())
                };
                return table.try_update("alice", add).retry(retry).await.map(written);
            }
            UpdateExisting | CreateFresh => {
                let call = table.update_or_create(self.id(), || T::from(Account::bob()), add);
                return call.retry(retry).await.map(written);
            }
        }?;
        Ok(Done::Written(version(held.clone())))
    }
}

impl Ended {
    /// Ended well: applied once, and told so.
    pub(crate) async fn assert_applied(&self, call: Call, world: &World) {
        let version = if call.creates() { 1 } else { 2 };
        match &self.result {
            Ok(Done::Written(written)) => assert_eq!(*written, version, "{call:?}"),
            Ok(Done::Gone(deleted)) => assert_eq!(*deleted, Deleted::Now, "{call:?}"),
            Err(error) => panic!("{call:?}: {error:?}"),
        }
        assert_eq!(call.applies(world).await, 1, "{call:?}");
        assert!(self.runs <= 1, "{call:?}: the closure ran {} times", self.runs);
        assert!(world.faults.is_over(), "{call:?}: not every fault struck");
        if !call.reads_first() && call != Delete {
            assert_eq!(self.held.1.version, version, "{call:?}: the object has another version");
        }
    }

    /// Applied, and the reply lost: a delete finds nothing left to delete, and every other call finds its stamp, a create with a
    /// read. Where items keep no stamps, it says that it doesn't know.
    pub(crate) async fn assert_lost(&self, call: Call, world: &World) {
        match &self.result {
            Ok(Done::Written(_)) if world.stamps == Stamps::On => {
                return self.assert_applied(call, world).await;
            }
            Ok(Done::Gone(Deleted::NowOrBefore)) if call == Delete => {}
            Err(Error::OutcomeUnknown(_)) if call != Delete && world.stamps == Stamps::Off => {}
            other => panic!("{call:?}: {other:?}"),
        }
        assert_eq!(call.applies(world).await, 1, "{call:?}");
        assert!(world.faults.is_over(), "{call:?}: not every fault struck");
        self.assert_untouched(call);
    }

    /// Refused with an error of which `expected` holds, and nothing was applied.
    pub(crate) async fn assert_refused(&self, call: Call, world: &World, expected: impl Fn(&Error) -> bool) {
        let error = self.result.as_ref().expect_err("no fault was left to refuse it");
        assert!(expected(error), "{call:?}: {error:?}");
        assert_eq!(call.applies(world).await, 0, "{call:?}");
        self.assert_untouched(call);
    }

    /// A create whose request was lost: it left once, and nobody can tell whether it arrived.
    pub(crate) async fn assert_sent_once(&self, call: Call, world: &World) {
        self.assert_refused(call, world, |error| matches!(error, Error::OutcomeUnknown(_))).await;
        assert_eq!(world.sent.count(call.operation()), 1, "{call:?}");
        assert_eq!(world.sent.count("GetItem"), 1 + usize::from(call.reads_first()), "{call:?}");
    }

    /// No closure was run again, and the caller's object is as it was.
    pub(crate) fn assert_untouched(&self, call: Call) {
        assert!(self.runs <= 1, "{call:?}: the closure ran {} times", self.runs);
        assert_eq!(self.held.0, self.held.1, "{call:?}: the object changed");
    }
}

/// The code of DynamoDB's refusal that a plain `Sdk` error carries.
pub(crate) fn sdk_code(error: &Error) -> Option<&str> {
    match error {
        Error::Sdk(failure) => failure.code(),
        _ => None,
    }
}

/// The code of DynamoDB's refusal that an unknown outcome has as its source.
pub(crate) fn unknown_because_of(error: &Error) -> Option<&str> {
    let Error::OutcomeUnknown(_) = error else { return None };
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<Error>() {
            return sdk_code(error);
        }
        source = cause.source();
    }
    None
}
