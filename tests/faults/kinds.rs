//! Every kind of call, reads and transactions included, and the operations that it sends.

use dynalock::{Result, Retry, Transaction, transact};

use crate::calls::Call;
use crate::world::{Account, World};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Get,
    GetMany,
    Write(Call),
    /// Saves alice and creates bob.
    Commit,
    /// The same of what it read.
    Transact,
    /// Reads both and changes nothing.
    Look,
}

use Kind::{Commit, Get, GetMany, Look, Transact, Write};

impl Kind {
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Call::ALL.map(Write).to_vec();
        all.extend([Get, GetMany, Commit, Transact, Look]);
        all
    }

    /// The operations of the call, each once.
    pub(crate) fn operations(self) -> Vec<&'static str> {
        match self {
            Get => vec!["GetItem"],
            GetMany => vec!["BatchGetItem"],
            Write(call) if call.reads_first() => vec!["GetItem", call.operation()],
            Write(call) => vec![call.operation()],
            Commit => vec!["TransactWriteItems"],
            Transact => vec!["GetItem", "TransactWriteItems"],
            Look => vec!["GetItem", "TransactGetItems"],
        }
    }

    pub(crate) async fn run(self, world: &World, retry: Retry) -> Result<()> {
        let table = world.table.clone().with_retry(retry);
        let (mut alice, mut bob) = (Call::Save.held(), Account::bob());
        match self {
            Get => assert_eq!(table.get("alice").await?, Some(Account::alice())),
            GetMany => assert_eq!(table.get_many(["bob", "alice"]).await?, [None, Some(Account::alice())]),
            Write(call) => drop(call.run_with(world, retry).await.result?),
            Commit => {
                let both = Transaction::new(&world.client).save(&table, &mut alice).create(&table, &mut bob);
                both.retry(retry).commit().await?;
            }
            Transact | Look => {
                let both = transact(&world.client, async |tx| {
                    let read = (tx.get(&table, "alice").await?, tx.get(&table, "bob").await?);
                    assert_eq!(read, (Some(Account::alice()), None));
                    if self == Transact {
                        tx.save(&table, Call::Save.held())?;
                        tx.create(&table, Account::bob())?;
                    }
                    dynalock::Result::Ok(())
                });
                both.retry(retry).await?;
            }
        }
        Ok(())
    }

    /// The call was applied once, if it writes.
    pub(crate) async fn assert_done(self, world: &World) {
        match self {
            Get | GetMany | Look => assert_eq!(world.stored("alice").await, Some(Account::alice())),
            Write(call) => assert_eq!(call.applies(world).await, 1, "{call:?}"),
            Commit | Transact => {
                assert_eq!(Call::Save.applies(world).await, 1);
                assert_eq!(Call::Create.applies(world).await, 1);
            }
        }
    }
}
