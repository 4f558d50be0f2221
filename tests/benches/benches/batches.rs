//! What `save_all` costs beside a loop written by hand: a `JoinSet` that keeps as many saves under way.
//!
//! `cargo bench -p dynalock-benches --bench batches` saves 1,000 orders, 4 virtual milliseconds away, with more and more of them
//! under way, and then counts the instructions of each order, by callgrind. All sides run in one process image, over a client that
//! is answered from memory. It fails unless every order was saved.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use dynalock::Table;
use dynalock_benches::calls::Side;
use dynalock_benches::order::{Order, TABLE};
use dynalock_benches::sdk::{Care, Sdk};
use dynalock_benches::{Failure, callgrind, canned, ended};
use dynalock_tests::gauge::Gauge;
use dynalock_tests::middleware::Middleware;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::Instant;

const LATENCY: Duration = Duration::from_millis(4);
const ORDERS: u32 = 1000;
/// How many saves are under way where nothing else is said.
const DEFAULT: usize = 16;
const FEW: u32 = 100;
const MANY: u32 = 600;

fn main() -> ExitCode {
    ended(callgrind::work::<Work>().map_or_else(compare, |work| work.and_then(Work::run)))
}

fn compare() -> Result<(), Failure> {
    println!("{ORDERS} orders, {} ms away", LATENCY.as_millis());
    println!("{:<12} {:>10} {:>10} {:>12}", "under way", "by hand", "dynalock", "orders/s");
    for under_way in [1, 4, 8, DEFAULT, 32, 64, 128] {
        let work = |side| Work { side, under_way, orders: ORDERS };
        let (by_hand, dynalock) = (work(Side::ByHand).time()?, work(Side::Dynalock).time()?);
        let rate = f64::from(ORDERS) / dynalock.as_secs_f64();
        println!("{under_way:<12} {:>7} ms {:>7} ms {rate:>12.0}", by_hand.as_millis(), dynalock.as_millis());
    }
    if !callgrind::is_installed() {
        println!("valgrind is not installed: no instructions are counted");
        return Ok(());
    }
    println!("\ninstructions for each order");
    println!(
        "{:<12} {:>10} {:>10} {:>10}  {:>12}  {:>10}",
        "under way", "SDK alone", "by hand", "dynalock", "to SDK alone", "to by hand"
    );
    for under_way in [DEFAULT, 128] {
        let count = |side| instructions(side, under_way);
        let (bare, by_hand, dynalock) = (count(Side::Bare)?, count(Side::ByHand)?, count(Side::Dynalock)?);
        let (to_bare, to_hand) = (dynalock / bare, dynalock / by_hand);
        println!(
            "{under_way:<12} {bare:>10.0} {by_hand:>10.0} {dynalock:>10.0}  {to_bare:>12.3}  {to_hand:>10.3}"
        );
    }
    Ok(())
}

/// Instructions for each order.
fn instructions(side: Side, under_way: usize) -> Result<f64, Failure> {
    callgrind::instructions(FEW, MANY, |orders| Work { side, under_way, orders })
}

/// A batch.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Work {
    side: Side,
    under_way: usize,
    orders: u32,
}

impl Work {
    fn run(self) -> Result<(), Failure> {
        self.time().map(drop)
    }

    fn time(self) -> Result<Duration, Failure> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
        runtime.block_on(async {
            let client = canned::client();
            let near = client.config().http_client().ok_or("no HTTP client")?;
            let distant = client.config().to_builder().http_client(Gauge::new(LATENCY).wrap(near));
            let client = Client::from_conf(distant.build());
            let held = Order::held(self.orders);
            let began = Instant::now();
            let held = match self.side {
                Side::Bare => save_by_hand(Sdk::new(&client, Care::None), held, self.under_way).await?,
                Side::ByHand => save_by_hand(Sdk::new(&client, Care::Full), held, self.under_way).await?,
                Side::Dynalock => save_all(&client, held, self.under_way).await?,
            };
            let took = began.elapsed();
            if held.len() != usize::try_from(self.orders)? || held.iter().any(|order| order.version != 8) {
                return Err("not every order was saved".into());
            }
            Ok(took)
        })
    }
}

async fn save_all(client: &Client, mut held: Vec<Order>, under_way: usize) -> Result<Vec<Order>, Failure> {
    let orders = Table::<Order>::new(client, TABLE);
    orders.save_all(&mut held).concurrency(under_way).await.into_result()?;
    Ok(held)
}

/// What one writes without dynalock.
async fn save_by_hand(sdk: Sdk, held: Vec<Order>, under_way: usize) -> Result<Vec<Order>, Failure> {
    let sdk = Arc::new(sdk);
    let mut saved: Vec<Option<Order>> = held.iter().map(|_| None).collect();
    let mut rest = held.into_iter().enumerate();
    let mut tasks = JoinSet::new();
    loop {
        while tasks.len() < under_way
            && let Some((place, mut order)) = rest.next()
        {
            let sdk = Arc::clone(&sdk);
            tasks.spawn(async move { sdk.save(&mut order).await.map(|()| (place, order)) });
        }
        let Some(ended) = tasks.join_next().await else { break };
        let (place, order) = ended??;
        saved[place] = Some(order);
    }
    Ok(saved.into_iter().flatten().collect())
}
