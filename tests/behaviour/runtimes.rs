//! One client on several of tokio's runtimes, and calls on none.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::pin::{Pin, pin};
use std::sync::mpsc::{self, Receiver, Sender};
use std::task::{Context, Poll, Waker};
use std::thread;

use dynalock::{Error, Result, Table, Transaction, transact};
use dynalock_tests::engines::Store;
use dynalock_tests::recording::Recording;
use tokio::runtime::{Builder, Runtime};

use crate::fixtures::{Account, alice};

/// A store over TCP that finds alice, accepts every write, and does not answer the second request of its first connection. It
/// reports each request but the first: whether that one has come.
fn silent_once() -> (String, Receiver<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("the port"));
    let (report, reports) = mpsc::channel();
    thread::spawn(move || {
        for (number, connection) in listener.incoming().enumerate() {
            let Ok(connection) = connection else { return };
            let report = report.clone();
            thread::spawn(move || serve(connection, number == 0, &report));
        }
    });
    (url, reports)
}

fn serve(connection: TcpStream, is_first: bool, report: &Sender<bool>) -> Option<()> {
    let mut answers = connection.try_clone().ok()?;
    let mut requests = BufReader::new(connection);
    for number in 0.. {
        let (mut length, mut operation) = (0, String::new());
        loop {
            let mut line = String::new();
            if requests.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim().to_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            } else if let Some(value) = line.strip_prefix("x-amz-target:") {
                value.rsplit('.').next()?.clone_into(&mut operation);
            } else if line.is_empty() {
                break;
            }
        }
        requests.read_exact(&mut vec![0; length]).ok()?;
        let is_silent = is_first && number == 1;
        if is_silent || !is_first {
            report.send(is_silent).ok()?;
        }
        if is_silent {
            continue;
        }
        let item = r#"{"id":{"S":"alice"},"balance":{"N":"100"},"version":{"N":"1"}}"#;
        let body = match &*operation {
            "getitem" => format!(r#"{{"Item":{item}}}"#),
            "batchgetitem" => format!(r#"{{"Responses":{{"accounts":[{item}]}}}}"#),
            _ => "{}".to_owned(),
        };
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0";
        write!(answers, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).ok()?;
    }
    None
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

/// Row 45: a client's connections live on the runtime that opened them, and may die with it while another runtime waits for an
/// answer.
#[test]
fn a_connection_that_dies_with_the_runtime_that_opened_it_costs_no_call() {
    let runs: [(&str, Run); 5] = [
        ("get", |accounts| Box::pin(async move { accounts.get("alice").await.map(drop) })),
        ("get_many", |accounts| Box::pin(async move { accounts.get_many(["alice"]).await.map(drop) })),
        ("save", |accounts| Box::pin(async move { accounts.save(&mut alice(1)).await })),
        ("delete", |accounts| Box::pin(async move { accounts.delete(&alice(1)).await.map(drop) })),
        ("update", |accounts| {
            Box::pin(async move { accounts.update("alice", |alice| alice.balance += 1).await.map(drop) })
        }),
    ];
    for (name, run) in runs {
        // Under load, the second call may begin before the client has its connection back, and then opens another one.
        let answer = (0..100).find_map(|_| over_a_connection_that_dies(run));
        let answer = answer.expect("the request comes over the connection that is there");
        assert!(answer.is_ok(), "{name}: {answer:?}");
    }
}

type Run = fn(Table<Account>) -> Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// What `run` answers whose connection dies while it waits for its reply; `None` if it went over a connection of its own.
fn over_a_connection_that_dies(run: Run) -> Option<Result<()>> {
    let (url, reports) = silent_once();
    let accounts = Table::<Account>::new(&Store::at(&url).client(), "accounts");
    let (first, second) = (runtime(), runtime());
    assert_eq!(first.block_on(accounts.get("alice").into_future()).unwrap(), Some(alice(1)));
    let call = second.spawn(run(accounts));
    let is_silent = reports.recv().expect("a second request");
    first.shutdown_background();
    let answer = second.block_on(call).unwrap();
    is_silent.then_some(answer)
}

/// The call that `future` is must end in an error at once.
fn assert_refused(name: &str, future: impl Future<Output = Result<()>>) {
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(answer) = pin!(future).poll(&mut context) else { panic!("{name} waits") };
    let error = answer.unwrap_err();
    assert!(matches!(error, Error::Sdk(_)) && !error.is_retryable(), "{name}: {error:?}");
    let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    assert!(
        causes.iter().any(|cause| cause.contains("tokio runtime that has time enabled")),
        "{name}: {causes:?}"
    );
}

/// Another executor's thread has no timers: nothing is sent, and the error says why.
#[test]
fn a_call_outside_of_tokio_is_an_error_and_no_panic() {
    let (store, sent) = (Store::memory(), Recording::default());
    let client = store.client_through(&sent);
    let accounts = Table::<Account>::new(&client, "accounts");
    assert_refused("get", async { accounts.get("alice").await.map(drop) });
    assert_refused("get_many", async { accounts.get_many(["alice"]).await.map(drop) });
    assert_refused("create", async { accounts.create(&mut alice(0)).await });
    assert_refused("save", async { accounts.save(&mut alice(1)).await });
    assert_refused("delete", async { accounts.delete(&alice(1)).await.map(drop) });
    assert_refused("update", async { accounts.update("alice", |_| ()).await.map(drop) });
    let coalescing = accounts.clone().coalescing();
    assert_refused("coalescing", async { coalescing.update("alice", |_| ()).await.map(drop) });
    assert_refused("create_table", accounts.create_table());
    assert_refused("save_all", async { accounts.save_all(&mut [alice(1)]).await.into_result().map(drop) });
    assert_refused("commit", async {
        Transaction::new(&client).save(&accounts, &mut alice(1)).commit().await
    });
    assert_refused("transact", async {
        transact(&client, async |tx| tx.get(&accounts, "alice").await.map(drop)).await
    });
    assert_eq!(sent.operations(), [""; 0]);
}
