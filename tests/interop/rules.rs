//! The rules for sharing a table, one at a time.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use dynalock::{Deleted, Error, Table};

use crate::Failure;
use crate::account::Account;
use crate::ledger::Seen;
use crate::peer::{Peer, Refused};

const OURS: &str = "dynalock";
const THEIRS: &str = "the other";

/// A table, and two who write it.
pub(crate) struct Pair<'a> {
    pub(crate) client: &'a Client,
    pub(crate) accounts: &'a Table<Account>,
    pub(crate) peer: &'a mut Peer,
    /// Whether the peer puts whole items, without what its class doesn't know.
    pub(crate) puts: bool,
}

/// The names of the rules that hold, and of those that don't and why.
pub(crate) async fn check(mut pair: Pair<'_>) -> (Vec<&'static str>, Vec<String>) {
    let (mut hold, mut broken) = (Vec::new(), Vec::new());
    macro_rules! rules {
        ($($rule:ident;)*) => {$(
            match pair.$rule(stringify!($rule)).await {
                Ok(()) => hold.push(stringify!($rule)),
                Err(failure) => broken.push(format!("{}: {failure}", stringify!($rule))),
            }
        )*};
    }
    rules! {
        each_reads_what_the_other_created;
        neither_creates_over_the_item_of_the_other;
        a_stale_write_of_the_other_is_refused;
        a_write_after_a_touch_is_refused;
        a_stale_write_of_dynalock_is_refused;
        a_stale_delete_of_the_other_is_refused;
        a_stale_delete_of_dynalock_is_refused;
        a_deleted_item_is_not_resurrected;
        writes_go_on_whether_stamps_stay_or_not;
    }
    (hold, broken)
}

#[allow(clippy::needless_pass_by_value)] // what counts is that a rule can be read
fn expect<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), Failure> {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?}, not {expected:?}").into()) }
}

fn seen(id: &str, version: u64, last: &str) -> Seen {
    Seen { id: id.to_owned(), version, count: version, last: last.to_owned() }
}

impl Pair<'_> {
    async fn each_reads_what_the_other_created(&mut self, id: &str) -> Result<(), Failure> {
        let mut ours = Account::new(id, OURS);
        self.accounts.create(&mut ours).await?;
        expect("it read", self.peer.read(id)?, Some(seen(id, 1, OURS)))?;
        let id = &format!("{id}-2");
        expect("it created", self.peer.create(id, THEIRS)?, Ok(()))?;
        expect("dynalock read", self.read(id).await?, Some(seen(id, 1, THEIRS)))
    }

    async fn neither_creates_over_the_item_of_the_other(&mut self, id: &str) -> Result<(), Failure> {
        self.accounts.create(&mut Account::new(id, OURS)).await?;
        expect("it created", self.peer.create(id, THEIRS)?, Err(Refused))?;
        expect("stored", self.read(id).await?, Some(seen(id, 1, OURS)))?;
        let id = &format!("{id}-2");
        expect("it created", self.peer.create(id, THEIRS)?, Ok(()))?;
        match self.accounts.create(&mut Account::new(id, OURS)).await {
            Err(Error::AlreadyExists(conflict)) => {
                let theirs: Account = conflict.current()?;
                expect("told", theirs.seen(), seen(id, 1, THEIRS))
            }
            other => Err(format!("dynalock created: {other:?}").into()),
        }
    }

    async fn a_stale_write_of_the_other_is_refused(&mut self, id: &str) -> Result<(), Failure> {
        self.accounts.create(&mut Account::new(id, OURS)).await?;
        self.peer.read(id)?;
        self.accounts.update(id, |account| account.written_by(OURS)).await?;
        expect("it wrote", self.peer.write(id, THEIRS)?, Err(Refused))?;
        expect("stored", self.read(id).await?, Some(seen(id, 2, OURS)))?;
        // With what is stored now it may.
        self.peer.read(id)?;
        expect("it wrote", self.peer.write(id, THEIRS)?, Ok(3))?;
        expect("stored", self.read(id).await?, Some(seen(id, 3, THEIRS)))
    }

    /// Nothing but the version tells that an item was touched.
    async fn a_write_after_a_touch_is_refused(&mut self, id: &str) -> Result<(), Failure> {
        let mut ours = Account::new(id, OURS);
        self.accounts.create(&mut ours).await?;
        self.peer.read(id)?;
        self.accounts.touch(&mut ours).await?;
        expect("it wrote", self.peer.write(id, THEIRS)?, Err(Refused))?;
        expect("stored", self.read(id).await?, Some(Seen { count: 1, ..seen(id, 2, OURS) }))
    }

    async fn a_stale_write_of_dynalock_is_refused(&mut self, id: &str) -> Result<(), Failure> {
        let mut ours = Account::new(id, OURS);
        self.accounts.create(&mut ours).await?;
        self.peer.read(id)?;
        expect("it wrote", self.peer.write(id, THEIRS)?, Ok(2))?;
        let (accounts, theirs) = (self.accounts, Some(seen(id, 2, THEIRS)));
        for write in ["save", "replace", "touch"] {
            let written = match write {
                "save" => accounts.save(&mut ours).await,
                "replace" => accounts.replace(&mut ours).await,
                _ => accounts.touch(&mut ours).await,
            };
            let Err(Error::Conflict(conflict)) = written else {
                return Err(format!("{write}: {written:?}").into());
            };
            expect("told", Some(conflict.current::<Account>()?.seen()), theirs.clone())?;
        }
        expect("stored", self.read(id).await?, theirs)?;
        let updated = accounts.update(id, |account| account.written_by(OURS)).await?;
        expect("updated", updated.seen(), seen(id, 3, OURS))
    }

    async fn a_stale_delete_of_the_other_is_refused(&mut self, id: &str) -> Result<(), Failure> {
        let mut ours = Account::new(id, OURS);
        self.accounts.create(&mut ours).await?;
        self.peer.read(id)?;
        self.accounts.touch(&mut ours).await?;
        expect("it deleted", self.peer.delete(id)?, Err(Refused))?;
        self.peer.read(id)?;
        expect("it deleted", self.peer.delete(id)?, Ok(()))?;
        expect("stored", self.read(id).await?, None)
    }

    async fn a_stale_delete_of_dynalock_is_refused(&mut self, id: &str) -> Result<(), Failure> {
        let mut ours = Account::new(id, OURS);
        self.accounts.create(&mut ours).await?;
        self.peer.read(id)?;
        expect("it wrote", self.peer.write(id, THEIRS)?, Ok(2))?;
        match self.accounts.delete(&ours).await {
            Err(Error::Conflict(conflict)) => expect("told", conflict.actual(), Some(2))?,
            other => return Err(format!("dynalock deleted: {other:?}").into()),
        }
        let theirs = self.accounts.get(id).await?.ok_or("it is gone")?;
        expect("dynalock deleted", self.accounts.delete(&theirs).await?, Deleted::Now)
    }

    async fn a_deleted_item_is_not_resurrected(&mut self, id: &str) -> Result<(), Failure> {
        let mut ours = Account::new(id, OURS);
        self.accounts.create(&mut ours).await?;
        self.peer.read(id)?;
        self.accounts.delete(&ours).await?;
        expect("it wrote", self.peer.write(id, THEIRS)?, Err(Refused))?;
        expect("it created", self.peer.create(id, THEIRS)?, Ok(()))?;
        let mut theirs = self.accounts.get(id).await?.ok_or("it is gone")?;
        self.peer.read(id)?;
        expect("it deleted", self.peer.delete(id)?, Ok(()))?;
        match self.accounts.save(&mut theirs).await {
            Err(Error::NotFound) => expect("stored", self.read(id).await?, None),
            other => Err(format!("dynalock saved: {other:?}").into()),
        }
    }

    async fn writes_go_on_whether_stamps_stay_or_not(&mut self, id: &str) -> Result<(), Failure> {
        let mut ours = Account::new(id, OURS);
        self.accounts.create(&mut ours).await?;
        self.accounts.touch(&mut ours).await?;
        expect("stamps", self.stamps(id).await?, 2)?;
        self.peer.read(id)?;
        // The count is no longer that of the versions, since a touch adds nothing to it.
        expect("it wrote", self.peer.write(id, THEIRS)?, Ok(3))?;
        expect("stamps", self.stamps(id).await?, if self.puts { 0 } else { 2 })?;
        let updated = self.accounts.update(id, |account| account.written_by(OURS)).await?;
        expect("updated", (updated.version, updated.count, &*updated.last), (4, 3, OURS))?;
        expect("stamps", self.stamps(id).await?, if self.puts { 1 } else { 3 })?;
        self.peer.read(id)?;
        expect("it wrote", self.peer.write(id, THEIRS)?, Ok(5))
    }

    async fn read(&self, id: &str) -> Result<Option<Seen>, Failure> {
        Ok(self.accounts.get(id).await?.map(|account| account.seen()))
    }

    /// How many write stamps the stored item has.
    async fn stamps(&self, id: &str) -> Result<usize, Failure> {
        let get = self.client.get_item().table_name(self.accounts.name()).consistent_read(true);
        let item = get.key("id", AttributeValue::S(id.to_owned())).send().await?.item.unwrap_or_default();
        Ok(item.keys().filter(|name| name.starts_with("_stamp")).count())
    }
}
