//! What calls tell `tracing`: what they cost and what came of them, and nothing of keys and items.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Once;
use std::task::Poll;
use std::time::Duration;

use dynalock::testing::Fault;
use dynalock::{Condition, Error, Retry, Table, Transaction, transact};
use serde_json::json;
use tracing::subscriber::set_global_default;
use tracing_subscriber::{Layer, filter::dynamic_filter_fn, fmt, layer::SubscriberExt, registry};

use crate::fixtures::{Account, Stage, alice};

thread_local! {
    /// What is shown on this thread, if a test looks.
    static SHOWN: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Keeps what dynalock shows on this thread.
struct Shown;

struct Lines;

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        SHOWN.with_borrow_mut(|shown| shown.get_or_insert_default().extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shown {
    /// From now on. The one subscriber is that of all threads: tracing keeps what subscribers want to see for the whole process.
    fn start() -> Self {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| {
            let is_wanted = dynamic_filter_fn(|metadata, _| {
                metadata.target() == "dynalock" && SHOWN.with_borrow(Option::is_some)
            });
            let lines = fmt::layer().with_ansi(false).without_time().with_writer(|| Lines);
            set_global_default(registry().with(lines.with_filter(is_wanted))).unwrap();
        });
        SHOWN.set(Some(Vec::new()));
        Self
    }

    /// What was shown since the last call, a line each.
    fn take(&self) -> Vec<String> {
        let Self = self;
        let lines = String::from_utf8(SHOWN.replace(Some(Vec::new())).unwrap()).unwrap();
        lines.lines().map(str::to_owned).collect()
    }

    /// What was shown at the end of calls.
    fn ends(&self) -> Vec<String> {
        self.take().into_iter().filter(|line| line.ends_with("ended")).collect()
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        SHOWN.set(None);
    }
}

async fn stage() -> (Stage, Table<Account>) {
    let (stage, accounts) = Stage::of_in_memory::<Account>().await;
    stage.put(json!({ "id": "alice", "balance": 100, "version": 1 })).await;
    (stage, accounts)
}

/// Lets another application write the item at `version` before the next `UpdateItem`.
fn rival_writes(stage: &Stage, version: u64) {
    stage.put_before("UpdateItem", json!({ "id": "alice", "balance": 0, "version": version }));
}

fn assert_fields(line: &str, fields: &[&str]) {
    for field in fields {
        assert!(line.contains(field), "{field} in {line}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_shows_what_it_cost_and_what_came_of_it() {
    let (stage, accounts) = stage().await;
    let shown = Shown::start();
    let table = format!("table=\"{}\"", stage.name);
    rival_writes(&stage, 2);
    accounts.update("alice", |account| account.balance += 1).await.unwrap();
    let cost = ["attempts=2", "conflicts=1", "queue_wait_ms=0", "batch=1"];
    let [line] = &shown.ends()[..] else { panic!("one call") };
    assert_fields(line, &[&["operation=\"update\"", &table, "outcome=\"ok\""], &cost[..]].concat());

    accounts.save(&mut alice(1)).await.unwrap_err();
    let [line] = &shown.ends()[..] else { panic!("one call") };
    assert_fields(line, &["operation=\"save\"", &table, "attempts=1", "conflicts=1", "outcome=\"conflict\""]);
}

/// Also one that never comes to a request.
#[tokio::test(start_paused = true)]
async fn a_call_that_has_no_turn_shows_how_long_it_waited() {
    let (_stage, accounts) = stage().await;
    let add = || accounts.update("alice", |account| account.balance += 1);
    let stalled = polled_once(add().into_future()).await;
    let shown = Shown::start();
    let late = add().retry(Retry::default().deadline(Duration::from_secs(2))).await;
    assert!(matches!(late, Err(Error::Busy { .. })), "{late:?}");
    let [line] = &shown.ends()[..] else { panic!("one call") };
    assert_fields(line, &["attempts=1", "queue_wait_ms=2000", "batch=0", "outcome=\"busy\""]);
    drop(stalled);
    assert!(add().await.is_ok());
}

/// A call that has begun, and is not polled any more.
async fn polled_once<F: Future + Unpin>(mut call: F) -> F {
    let polled = poll_fn(|context| Poll::Ready(Pin::new(&mut call).poll(context).is_ready())).await;
    assert!(!polled);
    call
}

#[tokio::test(start_paused = true)]
async fn every_call_shows_its_name_and_its_outcome() {
    let (stage, accounts) = stage().await;
    let shown = Shown::start();
    let mut bob = Account { id: "bob".into(), ..alice(0) };
    accounts.create(&mut bob).await.unwrap();
    accounts.create(&mut bob.clone()).await.unwrap_err();
    accounts.save(&mut bob).await.unwrap();
    accounts.replace(&mut bob).await.unwrap();
    accounts.touch(&mut bob).condition(Condition::new("balance = :b").value(":b", 1)).await.unwrap_err();
    accounts.get("bob").await.unwrap();
    accounts.get_many(["bob", "carol"]).await.unwrap();
    accounts.update("carol", |_| ()).await.unwrap_err();
    accounts.try_update("bob", |_| Err(Error::NotFound)).await.unwrap_err();
    accounts.update_or_create("carol", || Account { id: "carol".into(), ..alice(0) }, |_| ()).await.unwrap();
    Transaction::new(&stage.client).save(&accounts, &mut bob).commit().await.unwrap();
    let accounts = &accounts;
    let run = transact(&stage.client, move |tx| async move { tx.get(accounts, "bob").await });
    run.await.unwrap();
    accounts.delete(&bob).await.unwrap();
    let ends: Vec<_> = shown
        .ends()
        .iter()
        .map(|line| {
            let value = |name: &str| line.split(name).nth(1).unwrap().split('"').nth(1).unwrap().to_owned();
            format!("{} {}", value("operation="), value("outcome="))
        })
        .collect();
    assert_eq!(
        ends,
        [
            "create ok",
            "create already_exists",
            "save ok",
            "replace ok",
            "touch condition_failed",
            "get ok",
            "get_many ok",
            "update not_found",
            "try_update refused",
            "update_or_create ok",
            "commit ok",
            "transact ok",
            "delete ok",
        ]
    );
}

/// Also where nothing is sent, and where what came back does not fit.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_invalid_shows_the_name_of_its_error() {
    let (stage, accounts) = stage().await;
    stage.put(json!({ "id": "broken", "balance": "many", "version": 1 })).await;
    let nobody = || Account { id: String::new(), ..alice(1) };
    let shown = Shown::start();
    accounts.get("broken").await.unwrap_err();
    accounts.get_many(["broken"]).await.unwrap_err();
    accounts.update("broken", |_| ()).await.unwrap_err();
    accounts.get("").await.unwrap_err();
    accounts.get_many([""]).await.unwrap_err();
    accounts.update("", |_| ()).await.unwrap_err();
    accounts.save(&mut nobody()).await.unwrap_err();
    accounts.delete(&nobody()).await.unwrap_err();
    let _ = accounts.save_all(&mut [nobody()]).await;
    Transaction::new(&stage.client).check(&accounts, &nobody()).commit().await.unwrap_err();
    let ends = shown.ends();
    assert_eq!(ends.len(), 10, "{ends:?}");
    for line in &ends {
        assert_fields(line, &["outcome=\"invalid_item\""]);
    }
    let sent = ends.iter().filter(|line| line.contains("attempts=1")).count();
    assert_eq!(sent, 3, "the others never come to a request: {ends:?}");
}

#[tokio::test(start_paused = true)]
async fn each_item_of_a_batch_is_shown_as_a_call() {
    let (_stage, accounts) = stage().await;
    let shown = Shown::start();
    let mut held = [alice(1), Account { id: "bob".into(), ..alice(1) }];
    let _ = accounts.save_all(&mut held).await;
    let mut ends = shown.ends();
    ends.sort();
    let [bob, alice] = &ends[..] else { panic!("two calls: {ends:?}") };
    assert_fields(alice, &["operation=\"save\"", "attempts=1", "outcome=\"ok\""]);
    assert_fields(bob, &["operation=\"save\"", "attempts=1", "outcome=\"not_found\""]);
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_show_how_long_and_with_how_many_they_were_written() {
    let (stage, accounts) = stage().await;
    let accounts = accounts.coalescing();
    let shown = Shown::start();
    // Whoever comes while the first one writes waits for it.
    stage.wire.before("UpdateItem", tokio::time::sleep(Duration::from_millis(40)));
    let add = || accounts.update("alice", |account| account.balance += 1).into_future();
    let later = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        tokio::join!(add(), add())
    };
    let (first, (second, third)) = tokio::join!(add(), later);
    assert_eq!([first, second, third].map(|account| account.unwrap().balance), [101, 102, 103]);
    let ends = shown.ends();
    assert_eq!(ends.len(), 3);
    assert_fields(&ends[0], &["queue_wait_ms=0", "batch=1"]);
    for line in &ends[1..] {
        assert_fields(line, &["queue_wait_ms=30", "batch=2"]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_is_a_warning() {
    let (stage, accounts) = stage().await;
    let shown = Shown::start();
    stage.faults.script("UpdateItem", vec![Fault::ReplyLost; 200]);
    let error = accounts.save(&mut alice(1)).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown(_)));
    let warnings: Vec<_> = shown.take().into_iter().filter(|line| line.contains("WARN")).collect();
    let [line] = &warnings[..] else { panic!("one warning: {warnings:?}") };
    assert_fields(line, &["operation=\"save\"", &stage.name]);
}

#[tokio::test(start_paused = true)]
async fn no_key_and_no_item_is_shown() {
    let (stage, accounts) = stage().await;
    let shown = Shown::start();
    let mut account = Account { id: "S3CRET".into(), balance: 0, note: Some("S3CRET".into()), version: 0 };
    accounts.create(&mut account).await.unwrap();
    stage.faults.script("UpdateItem", [Fault::ReplyLost]);
    accounts.update("S3CRET", |account| account.note = Some("S3CRET too".into())).await.unwrap_err();
    accounts.save(&mut account).await.unwrap_err();
    Transaction::new(&stage.client).delete(&accounts, &account).commit().await.unwrap_err();
    let lines = shown.take();
    assert!(lines.len() > 3, "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("S3CRET")), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn a_conflict_tells_how_often_it_was_tried() {
    let (stage, accounts) = stage().await;
    for version in 2..=4 {
        rival_writes(&stage, version);
    }
    let add = accounts.update("alice", |account| account.balance += 1).retry(Retry::default().attempts(3));
    let Err(Error::Conflict(conflict)) = add.await else { panic!("a conflict") };
    assert_eq!(conflict.attempts(), 3);
    let Err(Error::Conflict(conflict)) = accounts.save(&mut alice(1)).await else { panic!("a conflict") };
    assert_eq!(conflict.attempts(), 1);
}
