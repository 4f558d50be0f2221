//! Items that nobody else changes: what dynalock costs where it isn't needed.
//!
//! `cargo bench -p dynalock-benches --bench distinct_keys` lets 64 tasks add 1 to an account each, on the embedded engine without
//! any latency, so that only work counts. dynalock and a loop around the SDK that sends the same requests take turns. It fails
//! unless the accounts end with as many additions as were answered with success, for two requests each.

use std::process::ExitCode;
use std::time::Duration;

use dynalock_benches::figures::DistinctKeys;
use dynalock_benches::latency::Distant;
use dynalock_benches::way::Way;
use dynalock_benches::{Failure, account, crowd, ended, results};
use dynalock_tests::engines::Store;

const TASKS: u32 = 64;
const ROUNDS: usize = 9;
const TIME: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    ended(compare())
}

fn compare() -> Result<(), Failure> {
    let mut ratios = Vec::new();
    println!("updates/s:  {:>8}  {:>8}  {:>6}", "SDK", "dynalock", "ratio");
    for round in 1..=ROUNDS {
        eprintln!("round {round} of {ROUNDS} ...");
        // Whoever goes first has another machine than who goes second.
        let turns = if round % 2 == 0 { [Way::Queue, Way::FairLoop] } else { [Way::FairLoop, Way::Queue] };
        let rate = |way| Ok::<_, Failure>((way, measure(way)?));
        let rates = [rate(turns[0])?, rate(turns[1])?];
        let of = |way| rates.iter().find(|(turn, _)| *turn == way).map_or(f64::NAN, |(_, rate)| *rate);
        let (sdk, dynalock) = (of(Way::FairLoop), of(Way::Queue));
        println!("            {sdk:>8.0}  {dynalock:>8.0}  {:>6.3}", dynalock / sdk);
        ratios.push(dynalock / sdk);
    }
    let figures = DistinctKeys { ratios };
    println!("median ratio: {:.3}", figures.median());
    results::write("distinct_keys", &figures)
}

/// Updates a second.
fn measure(way: Way) -> Result<f64, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let store = Store::memory();
        let distant = Distant::new(0..=0);
        let client = store.client_through(&distant);
        let keys: Vec<String> = (0..TASKS).map(|number| format!("account-{number}")).collect();
        let keys = || keys.iter().map(String::as_str);
        account::open(&client, keys()).await?;
        let tally = crowd::steady(&[way.start(&client)?], keys(), &distant, TIME).await?;
        account::check(&client, keys(), tally.added).await?;
        #[allow(clippy::cast_precision_loss)] // some thousands
        let (updates, requests) = (tally.in_time as f64, tally.traffic.requests as f64);
        if (requests / updates - 2.0).abs() > 0.1 {
            return Err(format!("{requests} requests for {updates} updates").into());
        }
        Ok(updates / tally.seconds)
    })
}
