//! The SDK's real HTTP client and a server that closes idle connections: what that leaves in doubt.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use dynalock::{Error, Result, Table, Versioned};
use dynalock_tests::engines::Store;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

#[derive(Debug, Serialize, Deserialize, Versioned)]
struct Token {
    #[dynalock(partition_key)]
    id: u32,
    #[dynalock(version)]
    version: u64,
}

/// When the server closes a connection.
#[derive(Debug, Clone, Copy)]
enum Close {
    /// At once; what it announces is that the client has noticed, and closed its end.
    Noticed,
    /// So long after its reply, which it announces.
    After(Duration),
}

/// Serves one request for each connection: answers it with an empty object, as a write that went well or a read that found
/// nothing, and closes the connection. So every create but the first finds a connection in the client's pool that is closed, or
/// about to be. Returns the server's table, and the names of the operations that came.
fn serve(close: Close) -> (Table<Token>, UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("the port"));
    let (closed, operations) = unbounded_channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(std::io::Result::ok) {
            let closed = closed.clone();
            // A thread for each, since the client may open one to spare.
            thread::spawn(move || {
                let Some(operation) = answer(&stream) else { return };
                match close {
                    Close::Noticed => {
                        let _ = stream.shutdown(Shutdown::Write);
                        let _ = (&stream).read_to_end(&mut Vec::new());
                    }
                    Close::After(idle) => {
                        let closing = Instant::now() + idle;
                        // Sleep comes too late by more than is measured here.
                        while Instant::now() < closing {
                            std::hint::spin_loop();
                        }
                    }
                }
                drop(stream);
                // The test may be over.
                let _ = closed.send(operation);
            });
        }
    });
    (Table::new(&Store::at(&url).client(), "tokens"), operations)
}

/// Reads a request and answers it; `None` if none comes.
fn answer(stream: &TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let (mut operation, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim().split_once(": ") else {
            if line.trim().is_empty() {
                break;
            }
            continue;
        };
        match &*name.to_ascii_lowercase() {
            "x-amz-target" => operation = value.rsplit_once('.').map(|(_, operation)| operation.to_owned()),
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }
    reader.read_exact(&mut vec![0; length]).ok()?;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: 2\r\n\r\n{}";
    (&mut &*stream).write_all(head.as_bytes()).ok()?;
    operation
}

async fn create(table: &Table<Token>, id: u32) -> Result<()> {
    table.create(&mut Token { id, version: 0 }).await
}

/// The client sends the request over another connection by itself.
#[tokio::test]
async fn a_connection_that_was_closed_while_idle_leaves_no_create_in_doubt() {
    let (table, mut operations) = serve(Close::Noticed);
    for id in 0..200 {
        create(&table, id).await.unwrap();
        assert_eq!(operations.recv().await.unwrap(), "PutItem");
    }
}

/// How many creates end in doubt because the server closes the connection just as they are sent. Prints the width of that
/// window: the time in which a request was written, and the close had not come yet.
///
/// `cargo test --release -p dynalock-tests --test engine idle -- --ignored --nocapture`
#[tokio::test]
#[ignore = "measures in real time"]
async fn creates_that_meet_a_closing_connection() {
    const IDLE: Duration = Duration::from_millis(2);
    for around in [Duration::from_millis(1), Duration::from_micros(200)] {
        let (table, mut operations) = serve(Close::After(IDLE));
        let (mut unknown, mut reads, rounds) = (0_u32, 0_u32, 2_000_u32);
        for id in 0..rounds {
            match create(&table, id).await {
                Ok(()) => {}
                Err(Error::OutcomeUnknown(_)) => unknown += 1,
                Err(error) => panic!("{error:?}"),
            }
            while let Ok(operation) = operations.try_recv() {
                reads += u32::from(operation == "GetItem");
            }
            let next = Instant::now() + IDLE.saturating_sub(around) + (2 * around).mul_f64(fastrand::f64());
            while Instant::now() < next {
                tokio::task::yield_now().await;
            }
        }
        let window = (2 * around).mul_f64(f64::from(unknown) / f64::from(rounds));
        println!(
            "{rounds} creates within {around:?} of the close: {unknown} unknown, {reads} reads: {window:?}"
        );
    }
}
