//! One item that everybody changes: how many updates a second it takes, and what each of them costs.
//!
//! `cargo bench -p dynalock-benches --bench hot_key` lets 1, 10 and 100 tasks of one process add 1 to one account on the embedded
//! engine, 4 ms away, once each or for a while, by the virtual and by the real clock. It fails unless the account ends with as many
//! additions as were answered with success. With `RUSTFLAGS="--cfg dynalock_peers"` other crates take part.

use std::iter::repeat_n;
use std::process::ExitCode;
use std::time::Duration;

use dynalock_benches::crowd::{Load, Tally};
use dynalock_benches::latency::Distant;
use dynalock_benches::summary::{Clock, Setting, Summary};
use dynalock_benches::way::Way;
use dynalock_benches::{Failure, account, crowd, ended, results};
use dynalock_tests::engines::Store;

const KEY: &str = "alice";
const MILLISECONDS: u64 = 4;
const TASKS: [u32; 3] = [1, 10, 100];

fn main() -> ExitCode {
    ended(compare())
}

fn compare() -> Result<(), Failure> {
    let mut rows = Vec::new();
    println!("{}", Summary::HEADS);
    for clock in [Clock::Virtual, Clock::Real] {
        for load in [Load::Burst, Load::Steady] {
            for tasks in TASKS {
                for way in Way::ALL.into_iter().filter(|way| way.is_built()) {
                    let setting = Setting { clock, load, processes: 1, tasks, way };
                    eprintln!("{setting} ...");
                    let row = Summary::of(setting, &measure(setting)?);
                    println!("{row}");
                    rows.push(row);
                }
            }
        }
    }
    results::write("hot_key", &rows)
}

fn measure(setting: Setting) -> Result<Tally, Failure> {
    let (runtime, bursts, time) = match setting.clock {
        Clock::Virtual => {
            let mut one_thread = tokio::runtime::Builder::new_current_thread();
            (one_thread.enable_all().start_paused(true).build()?, 50, Duration::from_secs(30))
        }
        Clock::Real => {
            let mut threads = tokio::runtime::Builder::new_multi_thread();
            (threads.worker_threads(2).enable_all().build()?, 3, Duration::from_secs(4))
        }
    };
    runtime.block_on(async {
        let store = Store::memory();
        let distant = Distant::new(MILLISECONDS..=MILLISECONDS);
        let client = store.client_through(&distant);
        account::open(&client, [KEY]).await?;
        let contender = [setting.way.start(&client)?];
        let keys = || repeat_n(KEY, setting.tasks as usize);
        let tally = match setting.load {
            Load::Burst => crowd::bursts(bursts, &contender, keys, &distant).await?,
            Load::Steady => crowd::steady(&contender, keys(), &distant, time).await?,
        };
        account::check(&client, [KEY], tally.added).await?;
        Ok(tally)
    })
}
