//! The proxy of faults between writers and engine: it loses, delays, breaks off, doubles and replays what passes.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dynalock_tests::message::Message;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::RwLock;
use tokio::time::{sleep, timeout};

use crate::Failure;

/// Of a hundred requests, so many meet a fault.
const FAULTS_IN_A_HUNDRED: u8 = 22;
const MAX_REQUESTS_OF_A_CONNECTION: u32 = 10_000;
/// For a message of either side; the engine is never stopped for so long.
const IO: Duration = Duration::from_secs(10);
const HANG: Duration = Duration::from_secs(8);

/// What a request is, as far as it decides which faults keep the assumptions that dynalock rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nature {
    Read,
    /// A write that demands a version, and so is applied at most once however often it comes; it leaves a stamp.
    Fenced,
    /// A put that demands that there is no item. A copy of it that comes once others have deleted the item creates it again: no
    /// version prevents that, as the documentation says. So it is lost and delayed like others, but the proxy makes no copies and
    /// delivers none that was given up.
    Create,
    /// Demands a version and leaves no stamp. If it comes twice and only the second reply is shown, nobody can tell that it was
    /// applied (assumption A5). All other copies fail, since tickets count from the clock and no version comes again.
    Delete,
    /// The engine knows it by its token.
    Transaction,
}

impl Nature {
    fn of(request: &Message) -> Self {
        let creates = || request.body().windows(20).any(|part| part == b"attribute_not_exists");
        match &*request.operation {
            "PutItem" if creates() => Self::Create,
            "PutItem" | "UpdateItem" => Self::Fenced,
            "DeleteItem" => Self::Delete,
            "TransactWriteItems" => Self::Transaction,
            _ => Self::Read,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    SlowRequest,
    SlowReply,
    /// Refused and not applied, to be tried again.
    Throttle,
    /// The same, because of another's transaction.
    Clash,
    ErrorBefore,
    ResetBefore,
    HangBefore,
    // From here on it is applied.
    ErrorAfter,
    ResetAfter,
    HangAfter,
    Truncate,
    /// Delivered twice, nothing in between; one of the replies is shown.
    ShowFirst,
    ShowSecond,
    /// Delivered, and again later.
    Replay,
    /// The connection is reset, and the request arrives later.
    Late,
}

impl Fault {
    const ALL: [Self; 15] = [
        Self::SlowRequest,
        Self::SlowReply,
        Self::Throttle,
        Self::Clash,
        Self::ErrorBefore,
        Self::ResetBefore,
        Self::HangBefore,
        Self::ErrorAfter,
        Self::ResetAfter,
        Self::HangAfter,
        Self::Truncate,
        Self::ShowFirst,
        Self::ShowSecond,
        Self::Replay,
        Self::Late,
    ];

    fn suits(self, nature: Nature) -> bool {
        match self {
            Self::Clash => !matches!(nature, Nature::Read | Nature::Transaction),
            Self::ShowSecond => !matches!(nature, Nature::Create | Nature::Delete),
            Self::ShowFirst | Self::Replay | Self::Late => nature != Nature::Create,
            _ => true,
        }
    }
}

/// What the client gets.
enum Reply {
    Whole(Vec<u8>),
    Part(Vec<u8>),
    Reset,
    Nothing,
}

/// What has passed.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) requests: AtomicU64,
    pub(crate) faults: AtomicU64,
    /// Writes that the engine applied.
    pub(crate) writes: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Where the engine is, and how often it was started.
#[derive(Debug, Clone, Copy)]
struct Place {
    address: SocketAddr,
    life: u32,
}

/// What the engine knew of a transaction when it applied it, and in which life.
type Applied = (u32, Vec<u8>);

#[derive(Debug)]
struct Shared {
    engine: Mutex<Place>,
    dice: Mutex<fastrand::Rng>,
    /// Held alone for a request that is delivered twice, so that nothing overwrites the stamp in between.
    traffic: RwLock<()>,
    /// Held alone while the engine is killed.
    transactions: RwLock<()>,
    /// By token.
    applied: Mutex<HashMap<String, Applied>>,
    /// Copies that are still to be delivered.
    pending: AtomicUsize,
    counts: Counts,
}

/// A running proxy.
#[derive(Debug)]
pub(crate) struct Proxy {
    runtime: Runtime,
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl Proxy {
    pub(crate) fn start(seed: u64, engine: SocketAddr) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            engine: Mutex::new(Place { address: engine, life: 0 }),
            dice: Mutex::new(fastrand::Rng::with_seed(seed)),
            traffic: RwLock::default(),
            transactions: RwLock::default(),
            applied: Mutex::default(),
            pending: AtomicUsize::new(0),
            counts: Counts::default(),
        });
        runtime.spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { runtime, shared, address })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.shared.counts
    }

    /// Lets `kill` end the engine while no transaction is under way: the engine remembers their tokens as long as it lives, where
    /// DynamoDB does for ten minutes. What it answered, the proxy remembers from then on; of what it did not answer nobody would
    /// know.
    pub(crate) fn between_transactions<R>(&self, kill: impl FnOnce() -> R) -> R {
        let _alone = self.runtime.block_on(self.shared.transactions.write());
        kill()
    }

    /// The engine was started again.
    pub(crate) fn moved(&self, address: SocketAddr) {
        let mut engine = lock(&self.shared.engine);
        *engine = Place { address, life: engine.life + 1 };
    }

    /// Waits until all copies are delivered.
    pub(crate) fn settle(&self) {
        let until = Instant::now() + IO;
        while self.shared.pending.load(Ordering::SeqCst) > 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Closes all connections.
    pub(crate) fn end(self) {
        self.runtime.shutdown_timeout(Duration::from_secs(1));
    }
}

/// Until the runtime is shut down.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            // Clients that went away are what a storm is about.
            let _ = shared.serve(BufReader::new(client)).await;
        });
    }
}

impl Shared {
    async fn serve(self: Arc<Self>, mut client: BufReader<TcpStream>) -> io::Result<()> {
        client.get_ref().set_nodelay(true)?;
        for _ in 0..MAX_REQUESTS_OF_A_CONNECTION {
            // Servers close connections that are idle. The next request may be under way by then.
            let idle = self.milliseconds(20..2_000);
            match timeout(idle, client.fill_buf()).await {
                Ok(Ok(begin)) if !begin.is_empty() => {}
                _ => return Ok(()),
            }
            let Some(request) = timeout(IO, Message::read(&mut client)).await?? else {
                return Ok(());
            };
            count(&self.counts.requests);
            match self.reply(request).await {
                Reply::Whole(reply) => client.write_all(&reply).await?,
                Reply::Part(reply) => return client.write_all(&reply).await,
                Reply::Reset => return client.get_ref().set_zero_linger(),
                Reply::Nothing => {
                    // Until the client gives up.
                    let _ = timeout(HANG, client.fill_buf()).await;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn reply(self: &Arc<Self>, request: Message) -> Reply {
        let nature = Nature::of(&request);
        let fault = self.draw(nature);
        if fault.is_some() {
            count(&self.counts.faults);
        }
        match fault {
            Some(Fault::SlowRequest) => sleep(self.milliseconds(1..300)).await,
            Some(Fault::Throttle) => {
                return Reply::Whole(refusal(400, "ProvisionedThroughputExceededException"));
            }
            Some(Fault::Clash) => return Reply::Whole(refusal(400, "TransactionConflictException")),
            Some(Fault::ErrorBefore) => return Reply::Whole(refusal(500, "InternalServerError")),
            Some(Fault::ResetBefore) => return Reply::Reset,
            Some(Fault::HangBefore) => return Reply::Nothing,
            Some(Fault::Late) => {
                self.deliver_later(request);
                return Reply::Reset;
            }
            _ => {}
        }
        let delivered = if let Some(Fault::ShowFirst | Fault::ShowSecond) = fault {
            let _alone = self.traffic.write().await;
            let first = self.deliver(&request, nature).await;
            let second = self.deliver(&request, nature).await;
            if fault == Some(Fault::ShowFirst) { first } else { second }
        } else {
            let _shared = self.traffic.read().await;
            self.deliver(&request, nature).await
        };
        // The engine was killed, before or after it applied the request.
        let Ok(reply) = delivered else {
            return Reply::Reset;
        };
        match fault {
            Some(Fault::ErrorAfter) => return Reply::Whole(refusal(500, "InternalServerError")),
            Some(Fault::ResetAfter) => return Reply::Reset,
            Some(Fault::HangAfter) => return Reply::Nothing,
            Some(Fault::Truncate) => {
                let kept = lock(&self.dice).usize(0..reply.len());
                return Reply::Part(reply[..kept].to_vec());
            }
            Some(Fault::SlowReply) => sleep(self.milliseconds(1..300)).await,
            Some(Fault::Replay) => self.deliver_later(request),
            _ => {}
        }
        Reply::Whole(reply)
    }

    fn deliver_later(self: &Arc<Self>, request: Message) {
        let shared = Arc::clone(self);
        shared.pending.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            sleep(shared.milliseconds(5..1_500)).await;
            let traffic = shared.traffic.read().await;
            // Nobody waits for the reply.
            let _ = shared.deliver(&request, Nature::of(&request)).await;
            drop(traffic);
            shared.pending.fetch_sub(1, Ordering::SeqCst);
        });
    }

    /// Delivers a request and returns the engine's reply.
    async fn deliver(&self, request: &Message, nature: Nature) -> io::Result<Vec<u8>> {
        if nature != Nature::Transaction {
            let place = *lock(&self.engine);
            return self.exchange(place, request, nature).await;
        }
        let _no_kill = self.transactions.read().await;
        let place = *lock(&self.engine);
        let token = token(request);
        if let Some((life, reply)) = lock(&self.applied).get(&token)
            && *life != place.life
        {
            return Ok(reply.clone());
        }
        let reply = self.exchange(place, request, nature).await?;
        if is_success(&reply) {
            lock(&self.applied).insert(token, (place.life, reply.clone()));
        }
        Ok(reply)
    }

    async fn exchange(&self, place: Place, request: &Message, nature: Nature) -> io::Result<Vec<u8>> {
        let exchange = async {
            let mut engine = BufReader::new(TcpStream::connect(place.address).await?);
            engine.get_ref().set_nodelay(true)?;
            engine.write_all(&request.bytes).await?;
            let reply = Message::read(&mut engine).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            // Thousands of connections would wait for their ports otherwise.
            engine.get_ref().set_zero_linger()?;
            Ok(reply.bytes)
        };
        let reply = timeout(IO, exchange).await?;
        if nature != Nature::Read && reply.as_ref().is_ok_and(|reply| is_success(reply)) {
            count(&self.counts.writes);
        }
        reply
    }

    fn draw(&self, nature: Nature) -> Option<Fault> {
        let mut dice = lock(&self.dice);
        if dice.u8(0..100) >= FAULTS_IN_A_HUNDRED {
            return None;
        }
        let suitable: Vec<Fault> = Fault::ALL.into_iter().filter(|fault| fault.suits(nature)).collect();
        dice.choice(suitable)
    }

    fn milliseconds(&self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(lock(&self.dice).u64(range))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_success(reply: &[u8]) -> bool {
    reply.starts_with(b"HTTP/1.1 200")
}

fn token(request: &Message) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Tokened {
        client_request_token: String,
    }
    let body: Result<Tokened, _> = serde_json::from_slice(request.body());
    body.map(|body| body.client_request_token).unwrap_or_default()
}

fn refusal(status: u16, code: &str) -> Vec<u8> {
    let body = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"a storm"}}"#);
    let (kind, length) = ("application/x-amz-json-1.0", body.len());
    format!("HTTP/1.1 {status} Fault\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(operation: &str, body: &str) -> Message {
        Message { bytes: body.as_bytes().to_vec(), head: 0, operation: operation.to_owned() }
    }

    #[test]
    fn a_create_is_neither_copied_nor_delivered_late() {
        let create = Nature::of(&request("PutItem", r#"{"ConditionExpression":"attribute_not_exists(#k)"}"#));
        let copies = [Fault::ShowFirst, Fault::ShowSecond, Fault::Replay, Fault::Late];
        assert_eq!(create, Nature::Create);
        assert!(copies.into_iter().all(|fault| !fault.suits(create)));
        assert!(Fault::ResetAfter.suits(create));
    }

    #[test]
    fn of_a_doubled_delete_the_first_reply_is_shown() {
        let delete = Nature::of(&request("DeleteItem", "{}"));
        assert!(Fault::ShowFirst.suits(delete) && !Fault::ShowSecond.suits(delete));
        let save = Nature::of(&request("PutItem", r##"{"ConditionExpression":"#v = :v"}"##));
        assert!(Fault::ShowSecond.suits(save));
    }

    #[test]
    fn a_transaction_is_known_by_its_token() {
        let body = r#"{"TransactItems":[],"ClientRequestToken":"abc"}"#;
        assert_eq!(token(&request("TransactWriteItems", body)), "abc");
    }
}
