//! A socket in front of a served engine, some milliseconds away, that counts what reaches it: for clients that are not Rust,
//! or not of this SDK.

use std::ops::RangeInclusive;
use std::sync::Arc;

use dynalock_tests::message::Message;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::Failure;
use crate::latency::{Counts, Traffic, ways};

/// The socket. Clones count together.
#[derive(Debug, Clone)]
pub struct Front {
    engine: Arc<str>,
    latency: RangeInclusive<u64>,
    counts: Arc<Counts>,
}

impl Front {
    /// In front of the engine at `url`, as many milliseconds away as `latency` says: for each request any number of these.
    #[must_use]
    pub fn new(url: &str, latency: RangeInclusive<u64>) -> Self {
        let engine = url.trim_start_matches("http://").into();
        Self { engine, latency, counts: Arc::default() }
    }

    /// What reached it so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.counts.traffic()
    }

    /// Serves whoever connects, without end.
    ///
    /// # Errors
    ///
    /// If nobody can connect any more.
    pub async fn serve(self, listener: TcpListener) -> Result<(), Failure> {
        loop {
            let (client, _) = listener.accept().await?;
            let front = self.clone();
            tokio::spawn(async move {
                if let Err(failure) = front.relay(client).await {
                    eprintln!("in front of the engine: {failure}");
                }
            });
        }
    }

    /// Each connection has one of its own to the engine.
    async fn relay(&self, client: TcpStream) -> Result<(), Failure> {
        let engine = TcpStream::connect(&*self.engine).await?;
        for stream in [&client, &engine] {
            stream.set_nodelay(true)?;
        }
        let (mut client, mut engine) = (BufReader::new(client), BufReader::new(engine));
        while let Some(request) = Message::read(&mut client).await? {
            self.counts.count(&request.operation);
            let [there, back] = ways(&self.latency);
            if !there.is_zero() {
                sleep(there).await;
            }
            engine.write_all(&request.bytes).await?;
            let response = Message::read(&mut engine).await?.ok_or("no response")?;
            if !back.is_zero() {
                sleep(back).await;
            }
            client.write_all(&response.bytes).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use dynalock_tests::engines::{self, Store};

    use super::*;
    use crate::account;
    use crate::latency::Distant;

    #[tokio::test]
    async fn it_passes_everything_on_and_counts_what_was_sent() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("the port"));
        let front = Front::new(&engines::serve(), 0..=2);
        tokio::spawn(front.clone().serve(listener));

        let store = Store::at(&url);
        let sent = Distant::new(0..=0);
        let client = store.client_through(&sent);
        account::open(&client, ["alice", "bob"]).await.expect("accounts");
        account::check(&client, ["alice", "bob"], 0).await.expect("empty accounts");

        assert!(sent.traffic().writes >= 3);
        assert_eq!(front.traffic(), sent.traffic());
    }
}
