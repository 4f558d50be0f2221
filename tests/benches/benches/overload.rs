//! More calls than one item can serve, and a stall of the store: how many callers get an answer in time.
//!
//! `cargo bench -p dynalock-benches --bench overload` lets calls begin at a fixed rate, each of which adds 1 to one account on the
//! embedded engine, 4 to 6 ms away, by the virtual clock. The callers wait 300 ms: with a deadline, or until they drop the call. It
//! fails unless each addition that was answered with success is in the account once, and each of the others at most once.

use std::future::IntoFuture;
use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use dynalock::{Retry, Table};
use dynalock_benches::account::{self, Account, TABLE};
use dynalock_benches::contender::{Answer, Contender};
use dynalock_benches::figures::{OpenLoad, Overload};
use dynalock_benches::latency::Distant;
use dynalock_benches::raw::NaiveLoop;
use dynalock_benches::way::Way;
use dynalock_benches::{Failure, ended, results};
use dynalock_tests::engines::Store;
use dynalock_tests::load::{End, Ends, Load, Patience};
use dynalock_tests::middleware::Middleware;
use dynalock_tests::stalling::Stalling;
use tokio::time::sleep;

const KEY: &str = "alice";
/// At random, so that nobody keeps step with anybody.
const MILLISECONDS: RangeInclusive<u64> = 4..=6;
const WAIT: Duration = Duration::from_millis(300);
const DEADLINE: Patience = Patience::Deadline(WAIT);
const DROPPED: Patience = Patience::Dropped(WAIT);

/// Each way with each kind of patience that it has: the naive loop knows no deadline.
const WAYS: [(Way, Patience); 5] = [
    (Way::Queue, DEADLINE),
    (Way::Queue, DROPPED),
    (Way::Coalescing, DEADLINE),
    (Way::Coalescing, DROPPED),
    (Way::NaiveLoop, DROPPED),
];

/// From half to four times what turns can serve, and what sharing writes can.
const RATES: [u32; 5] = [100, 200, 400, 800, 10_000];
/// The first and the last second do not count: in the one the queue grows, and in the other nobody comes after those who wait.
const LASTS: Duration = Duration::from_secs(12);

fn main() -> ExitCode {
    ended(compare())
}

fn compare() -> Result<(), Failure> {
    let mut figures = Overload::default();
    println!("{}", OpenLoad::HEADS);
    for (way, patience) in WAYS {
        for rate in RATES {
            if rate > 800 && way != Way::Coalescing {
                continue;
            }
            let load = Load { rate, lasts: LASTS, span: Duration::from_secs(1), patience };
            let mut run = measure(way, load, None)?;
            run.ends.pop();
            run.ends.remove(0);
            println!("{run}");
            figures.rates.push(run);
        }
    }
    for (way, patience) in WAYS {
        let rate = if way == Way::Coalescing { 1_000 } else { 130 };
        let load = Load { rate, lasts: Duration::from_secs(5), span: Overload::SPAN, patience };
        let run = measure(way, load, Some(Overload::STALL))?;
        println!("{run}: {:?}", run.ends.iter().map(Ends::percent_ok).collect::<Vec<_>>());
        figures.stalls.push(run);
    }
    results::write("overload", &figures)
}

/// Offers a load to one way, around a stall of this length if there is one.
fn measure(way: Way, load: Load, stall: Option<Duration>) -> Result<OpenLoad, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    runtime.block_on(async {
        let store = Store::memory();
        let (distant, gate) = (Distant::new(MILLISECONDS), Stalling::new(Duration::ZERO));
        let config = store.config().http_client(gate.wrap(distant.wrap(store.http_client())));
        let client = Client::from_conf(config.build());
        account::open(&client, [KEY]).await?;
        let before = distant.traffic();
        let stalling = async {
            if let Some(time) = stall {
                sleep(Overload::STALL_BEGINS).await;
                gate.stall(time);
            }
        };
        let (ends, ()) = tokio::join!(offer(way, load, &client), stalling);

        let traffic = distant.traffic() - before;
        let all: Ends = ends.iter().sum();
        let stored = usize::try_from(account::read(&client, KEY).await?.balance)?;
        if stored < all.ok || stored > all.ok + all.unknown + all.dropped {
            return Err(format!("{stored} additions are stored after {all:?}").into());
        }
        #[allow(clippy::cast_precision_loss)] // some hundred thousand
        let writes_per_update = traffic.writes as f64 / all.ok as f64;
        Ok(OpenLoad { way, load, writes_per_update, ends })
    })
}

async fn offer(way: Way, load: Load, client: &Client) -> Vec<Ends> {
    if way == Way::NaiveLoop {
        let naive = NaiveLoop::new(client);
        return load.offer(|_| add(naive.clone())).await;
    }
    let accounts = Table::<Account>::new(client, TABLE);
    let accounts = if way == Way::Coalescing { accounts.coalescing() } else { accounts };
    let retry = match load.patience {
        Patience::Deadline(deadline) => Retry::default().deadline(deadline),
        Patience::Dropped(_) => Retry::default(),
    };
    load.offer(|_| accounts.update(KEY, |account| account.balance += 1).retry(retry).into_future()).await
}

/// One call of the naive loop. It cannot tell whether a write was applied that ended in an error.
async fn add(naive: NaiveLoop) -> End {
    match Contender::add(&naive, KEY).await {
        Ok(Answer::Added) => End::Ok,
        Ok(Answer::GaveUp) => End::Failed,
        Err(_) => End::Unknown,
    }
}
