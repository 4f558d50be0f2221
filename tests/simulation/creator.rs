//! The calls that create an item, on every way that there is.

use std::sync::atomic::{AtomicU32, Ordering};

use dynalock::{Error, transact};
use dynalock_tests::history::{Action, Way};

use crate::{document::Document, writer::Writer};

impl<D: Document> Writer<D> {
    pub(crate) async fn create(&mut self, key: &'static str, way: Way) {
        let open = self.begin(Action::Create(way), key, 0);
        let made = |key: &str| {
            let mut object = D::new(key);
            object.change(&open.call);
            object
        };
        // Nobody else knows of this item.
        let (mut object, mut other) = (made(key), made(&format!("with {}", open.call.id)));
        let (before, table, retry) = (object.clone(), self.table.clone(), self.retry());
        match way {
            Way::Alone => {
                let answer = self.wait(table.create(&mut object).into_future()).await;
                self.hand_over_changed(open, answer, &before, object);
            }
            Way::Batch => {
                let answers = self.wait(table.create_all([&mut object, &mut other]).into_future()).await;
                let answer = answers.and_then(|answers| answers.into_iter().next());
                // One that is answered has its version, though the batch is dropped.
                let before = if answer.is_none() { object.clone() } else { before };
                self.hand_over_changed(open, answer, &before, object);
            }
            Way::Transact | Way::TransactTwo => {
                let objects = if way == Way::Transact { vec![object] } else { vec![object, other] };
                let client = self.caller.client.clone();
                let run = transact(&client, |tx| {
                    let (table, objects) = (&table, objects.clone());
                    async move { objects.into_iter().try_for_each(|object| tx.create(table, object)) }
                });
                let answer = self.wait(run.retry(retry).into_future()).await;
                self.hand_back(open, answer);
            }
        }
    }

    /// Saves the item, or creates it, in a transaction that reads it first.
    pub(crate) async fn upsert(&mut self, key: &'static str) {
        let mut open = self.begin(Action::Upsert, key, 0);
        let (table, call, runs) = (self.table.clone(), open.call.clone(), AtomicU32::new(0));
        let (client, retry) = (self.caller.client.clone(), self.retry());
        let run = transact(&client, |tx| {
            let mut call = call.clone();
            call.runs = runs.fetch_add(1, Ordering::Relaxed) + 1;
            let table = &table;
            async move {
                let found = tx.get(table, key).await?;
                let exists = found.is_some();
                let mut object = found.unwrap_or_else(|| D::new(key));
                object.change(&call);
                if exists { tx.save(table, object) } else { tx.create(table, object) }
            }
        });
        let answer: Option<Result<(), Error>> = self.wait(run.retry(retry).into_future()).await;
        open.call.runs = runs.load(Ordering::Relaxed);
        self.hand_back(open, answer);
    }
}
