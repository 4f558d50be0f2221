//! A create that may have been applied is not sent again: others may have deleted the item, and a copy would bring it back.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::BeforeSerializationInterceptorContextRef;
use aws_sdk_dynamodb::config::retry::{ClassifyRetry, RetryAction, RetryConfig};
use aws_sdk_dynamodb::config::{self, ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::operation::get_item::GetItemOutput;
use aws_smithy_async::time::StaticTimeSource;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector};
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use dynalock::testing::Fault;
use dynalock::{Error, Result, Retry, Table, Transaction, transact};
use dynalock_tests::engines::retry_quota;
use dynalock_tests::middleware::{Middleware, operation};
use dynalock_tests::polling::{polled, together};
use dynalock_tests::runtimes::retry;

use crate::world::{Account, World, breakdown, breakdown_after, refusal, throttled};

/// Every way to create bob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Create,
    /// With a second item, whose reply arrives.
    CreateAll,
    UpdateOrCreate,
    /// By three callers who share the write.
    Coalesced,
    InTransaction,
    Transaction,
    Transact,
}

use Way::{Coalesced, CreateAll, InTransaction, Transact, UpdateOrCreate};

impl Way {
    /// By a `PutItem`, which DynamoDB does not recognize when it comes again.
    const ALONE: [Self; 4] = [Way::Create, CreateAll, UpdateOrCreate, Coalesced];

    /// Under a token.
    const RECOGNIZED: [Self; 3] = [InTransaction, Way::Transaction, Transact];

    fn operation(self) -> &'static str {
        if Self::ALONE.contains(&self) { "PutItem" } else { "TransactWriteItems" }
    }

    /// Creates bob, and returns each caller's answer and how often a closure ran.
    async fn run(self, client: &Client) -> (Vec<Result<()>>, u32) {
        let table = Table::<Account>::new(client, "accounts").with_retry(retry(&[]));
        let (mut bob, runs) = (Account::bob(), AtomicU32::new(0));
        let add = |table: &Table<Account>| {
            let change = |bob: &mut Account| {
                runs.fetch_add(1, Ordering::Relaxed);
                bob.balance += 5;
            };
            let call = table.update_or_create("bob", Account::bob, change).into_future();
            async { call.await.map(drop) }
        };
        let answers = match self {
            Self::Create => vec![table.create(&mut bob).await],
            CreateAll => {
                let mut carol = Account { id: "carol".into(), ..Account::bob() };
                let created = table.create_all([&mut bob, &mut carol]).concurrency(1).await;
                let [bob, carol] = created.into_iter().collect::<Vec<_>>().try_into().unwrap();
                assert!(carol.is_ok(), "{carol:?}");
                vec![bob]
            }
            UpdateOrCreate => vec![add(&table).await],
            Coalesced => {
                let table = table.coalescing();
                together([add(&table), add(&table), add(&table)]).await
            }
            InTransaction => vec![table.create(&mut bob).in_transaction().await],
            Self::Transaction => {
                let transaction = Transaction::new(client).create(&table, &mut bob);
                vec![transaction.retry(retry(&[])).commit().await]
            }
            Transact => {
                let (table, runs) = (&table, &runs);
                let run = |tx: dynalock::Tx| async move {
                    runs.fetch_add(1, Ordering::Relaxed);
                    assert!(tx.get(table, "bob").await?.is_none());
                    tx.create(table, Account::bob())
                };
                vec![transact(client, run).retry(retry(&[])).await]
            }
        };
        let raised = u64::from(answers[0].is_ok());
        if matches!(self, Self::Create | CreateAll | InTransaction | Self::Transaction) {
            assert_eq!(bob.version, raised, "{self:?}: the object changes on Ok only");
        }
        (answers, runs.into_inner())
    }
}

/// What the caller sees of a request that was carried out.
#[derive(Debug, Clone, Copy)]
enum Lost {
    Reset,
    Breakdown,
    Truncated,
    NoReply,
}

/// On the way to the store. The first request of `operation` is carried out, others update bob and delete him, and only then the
/// reply is lost.
#[derive(Debug, Clone)]
struct Overtaken {
    operation: &'static str,
    lost: Lost,
    rival: Table<Account>,
    has_struck: Arc<AtomicBool>,
}

impl Overtaken {
    /// The client of a world, with this on its way.
    fn client(world: &World, operation: &'static str, lost: Lost) -> Client {
        let network = Self { operation, lost, rival: world.rival.clone(), has_struck: Arc::default() };
        let inner = world.client.config().http_client().expect("the client's way to the store");
        client(world, |config| config.http_client(network.wrap(inner)))
    }

    async fn strike(&self, reply: HttpResponse) -> std::result::Result<HttpResponse, ConnectorError> {
        let bob = self.rival.update("bob", |bob| bob.balance -= 1).await.unwrap();
        self.rival.delete(&bob).await.unwrap();
        match self.lost {
            Lost::Reset => {
                Err(ConnectorError::io(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into()))
            }
            Lost::Breakdown => Ok(HttpResponse::new(500.try_into().unwrap(), "{}".into())),
            Lost::Truncated => Ok(HttpResponse::new(reply.status(), "{".into())),
            Lost::NoReply => std::future::pending().await,
        }
    }
}

impl Middleware for Overtaken {
    fn handle(&self, request: HttpRequest, inner: &SharedHttpConnector) -> HttpConnectorFuture {
        let is_struck =
            operation(&request) == self.operation && !self.has_struck.swap(true, Ordering::Relaxed);
        let (reply, network) = (inner.call(request), self.clone());
        HttpConnectorFuture::new(async move {
            let reply = reply.await?;
            if is_struck { network.strike(reply).await } else { Ok(reply) }
        })
    }
}

/// The client of a world, with a retry quota of its own and whatever else it is given.
fn client(world: &World, configure: impl FnOnce(config::Builder) -> config::Builder) -> Client {
    let config = world.client.config().to_builder().retry_partition(retry_quota());
    Client::from_conf(configure(config).build())
}

/// Nobody can tell any more, and the message says how not to get there.
#[track_caller]
fn assert_unknown(answer: &Result<()>) {
    let Err(error @ Error::OutcomeUnknown(unknown)) = answer else { panic!("{answer:?}") };
    assert_eq!((unknown.table(), unknown.expected(), unknown.intended()), ("accounts", 0, Some(1)));
    assert!(error.to_string().contains("`create(..).in_transaction()`"), "{error}");
}

/// Row 39.
pub(crate) async fn a_create_in_doubt_whose_item_others_deleted_does_not_come_back() {
    for way in Way::ALONE {
        for lost in [Lost::Reset, Lost::Breakdown, Lost::Truncated] {
            println!("{way:?} {lost:?}");
            let world = World::new().await;
            let (answers, runs) = way.run(&Overtaken::client(&world, way.operation(), lost)).await;
            answers.iter().for_each(assert_unknown);
            assert_eq!(world.stored("bob").await, None);
            let others = usize::from(way == CreateAll);
            assert_eq!(world.sent.count("PutItem"), 1 + others, "it leaves once");
            assert!(runs as usize <= answers.len(), "a closure ran again");
        }
    }
}

/// Row 40, for the ways that have a token.
pub(crate) async fn a_create_under_a_token_is_ok_though_others_deleted_the_item() {
    for way in Way::RECOGNIZED {
        for lost in [Lost::Reset, Lost::Breakdown, Lost::Truncated] {
            println!("{way:?} {lost:?}");
            let world = World::new().await;
            let (answers, runs) = way.run(&Overtaken::client(&world, way.operation(), lost)).await;
            assert!(matches!(answers[..], [Ok(())]), "{answers:?}");
            assert_eq!(world.stored("bob").await, None);
            assert_eq!((world.sent.count("TransactWriteItems"), world.sent.count("PutItem")), (2, 0));
            assert!(runs <= 1, "a closure ran again");
        }
    }
}

/// Row 39, where the caller that sends the write of several is dropped at any poll, and those who go on have to look.
#[tokio::test(start_paused = true)]
async fn a_create_in_doubt_is_not_sent_again_by_those_who_go_on_with_it() {
    let add = |table: &Table<Account>| {
        let call = table.update_or_create("bob", Account::bob, |bob| bob.balance += 5).into_future();
        async { call.await.map(drop) }
    };
    let mut unknown = 0;
    for polls in 0.. {
        let world = World::new().await;
        let client = Overtaken::client(&world, "PutItem", Lost::NoReply);
        let table = Table::<Account>::new(&client, "accounts").coalescing();
        let others = together([add(&table), add(&table)]);
        let (sender, others) = tokio::join!(polled(add(&table), polls), others);
        assert_eq!(world.sent.count("PutItem"), 1, "after {polls} polls");
        if world.stored("bob").await.is_some() {
            // Dropped before the others could delete it.
            assert!(others.iter().all(Result::is_ok), "{others:?}");
            continue;
        }
        others.iter().chain(&sender).for_each(assert_unknown);
        unknown += 1;
        if sender.is_some() {
            break;
        }
    }
    assert!(unknown > 5, "{unknown}");
}

/// Calls everything retryable, what went well included. Reads that went well are not, since those would never end.
#[derive(Debug)]
struct Everything;

impl ClassifyRetry for Everything {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match context.output_or_error() {
            Some(Ok(output)) if output.downcast_ref::<GetItemOutput>().is_some() => {
                RetryAction::NoActionIndicated
            }
            _ => RetryAction::transient_error(),
        }
    }

    fn name(&self) -> &'static str {
        "Everything"
    }
}

/// Gives every call ten attempts, past the configuration.
#[derive(Debug)]
struct TenAttempts;

impl Intercept for TenAttempts {
    fn name(&self) -> &'static str {
        "TenAttempts"
    }

    fn read_before_serialization(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> std::result::Result<(), BoxError> {
        let quick = RetryConfig::standard().with_initial_backoff(Duration::from_millis(1));
        cfg.interceptor_state().store_put(quick.with_max_attempts(10));
        Ok(())
    }
}

type Configure = fn(config::Builder) -> config::Builder;

/// How users let the SDK retry.
fn settings() -> [(&'static str, Configure); 6] {
    [
        ("default", |config| config),
        ("10 attempts", |config| config.retry_config(RetryConfig::standard().with_max_attempts(10))),
        ("adaptive", |config| config.retry_config(RetryConfig::adaptive().with_max_attempts(10))),
        ("classifier", |config| {
            config.retry_classifier(Everything).retry_config(RetryConfig::standard().with_max_attempts(10))
        }),
        ("interceptor", |config| config.interceptor(TenAttempts)),
        ("both", |config| config.interceptor(TenAttempts).retry_classifier(Everything)),
    ]
}

/// Row 39, whatever the user's own retry settings are: a create in doubt leaves once.
pub(crate) async fn no_retry_settings_of_a_client_send_a_create_in_doubt_again() {
    for (name, configure) in settings() {
        for way in Way::ALONE {
            for fault in [Fault::Pass, Fault::ReplyLost, breakdown_after(), Fault::RequestLost, breakdown()] {
                println!("{name} {way:?} {fault:?}");
                let world = World::new().await;
                world.faults.script("PutItem", [fault.clone()]);
                let (answers, _) = way.run(&client(&world, configure)).await;
                let is_stored = world.stored("bob").await.is_some();
                for answer in answers {
                    match answer {
                        Ok(()) => assert!(is_stored, "{name} {way:?} {fault:?}"),
                        answer => {
                            assert!(!is_stored, "{name} {way:?} {fault:?}: {answer:?}");
                            assert_unknown(&answer);
                        }
                    }
                }
                let others = usize::from(way == CreateAll);
                assert_eq!(world.sent.count("PutItem"), 1 + others, "{name} {way:?} {fault:?}");
            }
        }
    }
}

/// What the client's retries are configured to do stays for the other failures of a create: dynalock repeats it.
#[tokio::test(start_paused = true)]
async fn a_create_is_sent_again_after_definite_failures_under_any_retry_settings() {
    for (name, configure) in settings() {
        for way in Way::ALONE {
            let world = World::new().await;
            world
                .faults
                .script("PutItem", [Fault::ConnectionRefused, refusal("TransactionConflictException")]);
            // An adaptive rate waits by a clock that is not paused.
            world.faults.script("PutItem", (name != "adaptive").then(throttled));
            let (answers, _) = way.run(&client(&world, configure)).await;
            assert!(answers.iter().all(Result::is_ok), "{name} {way:?}: {answers:?}");
            assert!(world.faults.is_over() && world.stored("bob").await.is_some(), "{name} {way:?}");
        }
    }
}

/// The read that looks for a create in doubt is retried; where it cannot be had, its failure is the cause.
#[tokio::test(start_paused = true)]
async fn a_create_in_doubt_is_looked_for_until_a_read_succeeds() {
    let causes = |error: &Error| {
        let chain = std::iter::successors(std::error::Error::source(error), |&cause| cause.source());
        chain.map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    let world = World::new().await;
    world.faults.script("PutItem", [Fault::ReplyLost]);
    world.faults.script("GetItem", vec![Fault::RequestLost; 20]);
    let mut bob = Account::bob();
    world.table.create(&mut bob).await.unwrap();
    assert_eq!((bob.version, world.faults.is_over()), (1, true));

    let world = World::new().await;
    world.faults.script("PutItem", [Fault::ReplyLost]);
    world.faults.script("GetItem", vec![refusal("AccessDeniedException"); 2]);
    let error = world.table.create(&mut Account::bob()).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown(_)), "{error:?}");
    assert!(causes(&error).contains("AccessDeniedException"), "{}", causes(&error));

    // Where no read is answered in time, that is the cause.
    let world = World::new().await;
    world.faults.script("PutItem", [breakdown_after()]);
    world.faults.script("GetItem", vec![Fault::NeverReplies; 100]);
    let short = Retry::default().deadline(Duration::from_secs(1));
    let error = world.table.create(&mut Account::bob()).retry(short).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown(_)), "{error:?}");
    assert!(causes(&error).contains("GetItem"), "{}", causes(&error));
}

#[derive(Debug, serde::Serialize, serde::Deserialize, dynalock::Versioned)]
struct Ticket {
    #[dynalock(partition_key)]
    id: String,
    #[dynalock(version, start = "clock")]
    version: u64,
}

/// Row 41: a create reads the clock when it is called. One that another create and delete overtake begins below the version that
/// the other one had, by the time in between, as the guide says.
#[tokio::test(start_paused = true)]
async fn a_create_that_is_overtaken_begins_at_its_own_clock_reading() {
    let world = World::new().await;
    let at = |config: config::Builder, seconds| {
        let config = config.time_source(StaticTimeSource::from_secs(seconds));
        Table::<Ticket>::new(&Client::from_conf(config.build()), "tickets")
    };
    let ours = at(world.client.config().to_builder(), 1_000);
    // Past the faults.
    let theirs = at(world.store.client().config().to_builder(), 1_010);
    ours.create_table().await.unwrap();
    let ticket = || Ticket { id: "a".into(), version: 0 };
    let (mut held_up, mut overtaking) = (ticket(), ticket());
    let gate = world.faults.hold_up("PutItem");
    let overtake = async {
        gate.reached().await;
        theirs.create(&mut overtaking).await.unwrap();
        theirs.delete(&overtaking).await.unwrap();
        gate.open();
    };
    let (created, ()) = tokio::join!(ours.create(&mut held_up).into_future(), overtake);
    created.unwrap();
    assert_eq!((held_up.version, overtaking.version), (1_000_000_000, 1_010_000_000));
    assert_eq!(ours.get("a").await.unwrap().unwrap().version, held_up.version);
}
