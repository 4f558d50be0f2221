//! Row 32: a refusal rests on what is stored, not on what another call of this process left or wanted to write.

use dynalock::Table;
use tokio::time::timeout;

use crate::world::{Account, DEADLINE, Refused, World};

/// Takes 50 out of the account if it has them, and keeps what it saw.
async fn withdraw(table: &Table<Account>, seen: &mut Vec<i64>) -> Result<Account, Refused> {
    table
        .try_update("alice", |alice| {
            seen.push(alice.balance);
            if alice.balance < 50 {
                return Err(Refused::Overdrawn);
            }
            alice.balance -= 50;
            Ok(())
        })
        .await
}

async fn set(table: &Table<Account>, balance: i64) {
    table.update("alice", |alice| alice.balance = balance).await.unwrap();
}

pub(crate) async fn a_refusal_on_an_item_that_was_handed_over_is_read_and_run_again() {
    for rivals_balance in [110, 20] {
        let world = World::new().await;
        let writing = world.faults.hold_up("UpdateItem");
        let (mut before, mut seen) = (Vec::new(), Vec::new());
        let latecomer = async {
            writing.reached().await;
            let reading = world.faults.hold_up("GetItem");
            let go_on = async {
                writing.open();
                timeout(DEADLINE, reading.reached()).await.expect("nothing was read");
                set(&world.rival, rivals_balance).await;
                reading.open();
            };
            tokio::join!(withdraw(&world.table, &mut seen), go_on).0
        };
        let first = async { tokio::join!(set(&world.table, 10), withdraw(&world.table, &mut before)).1 };
        let (refused, latecomer) = tokio::join!(first, latecomer);
        assert!(matches!(refused, Err(Refused::Overdrawn)));
        assert_eq!(before, [10], "what it was handed was stored after it came");
        assert_eq!(seen, [10, rivals_balance], "what it was handed was stored before it came");
        let stored = world.stored("alice").await.unwrap().balance;
        match latecomer {
            Ok(alice) => assert_eq!((alice.balance, stored), (60, 60)),
            Err(Refused::Overdrawn) => assert_eq!((rivals_balance, stored), (20, 20)),
            Err(other) => panic!("{other:?}"),
        }
    }
}

pub(crate) async fn a_refusal_in_a_batch_that_then_fails_is_run_again() {
    for (rivals_balance, left) in [(200, 70), (95, 15)] {
        let world = World::new().await;
        let table = world.table.clone().coalescing();
        let writing = world.faults.hold_up("UpdateItem");
        let mut seen = Vec::new();
        let others = async {
            writing.reached().await;
            let go_on = async {
                writing.open();
                let batch = world.faults.hold_up("UpdateItem");
                timeout(DEADLINE, batch.reached()).await.expect("nothing was written");
                set(&world.rival, rivals_balance).await;
                batch.open();
            };
            let take_80 = table.update("alice", |alice| alice.balance -= 80).into_future();
            tokio::join!(take_80, withdraw(&table, &mut seen), go_on)
        };
        let ((), (taken, withdrawn, ())) = tokio::join!(set(&table, 90), others);
        assert_eq!(taken.unwrap().balance, rivals_balance - 80);
        assert_eq!(seen[0], 10, "it saw what the batch wanted to write");
        assert_eq!(seen.last(), Some(&(rivals_balance - 80)));
        assert_eq!(withdrawn.is_ok(), rivals_balance == 200);
        assert_eq!(world.stored("alice").await.unwrap().balance, left);
    }
}
