//! One item that several processes change, with 20 tasks in each.
//!
//! `cargo bench -p dynalock-benches --bench processes` lets 1, 2 and 5 of them add 1 to one account: by the virtual clock as
//! tables that share nothing, and by the real clock as processes, which reach an engine in a process of its own over TCP. Every
//! request takes 3 to 5 ms longer than it has to, at random, so that nobody keeps step with anybody. It fails unless the account
//! ends with as many additions as were answered with success.

use std::io::Read;
use std::iter::repeat_n;
use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::time::Duration;

use dynalock_benches::crowd::{Load, Tally};
use dynalock_benches::latency::Distant;
use dynalock_benches::process::Process;
use dynalock_benches::summary::{Clock, Setting, Summary};
use dynalock_benches::way::Way;
use dynalock_benches::{Failure, account, crowd, ended, real_time, results};
use dynalock_tests::engines::{self, Store};

const KEY: &str = "alice";
const LATENCY: RangeInclusive<u64> = 3..=5;
const PROCESSES: [u32; 3] = [1, 2, 5];
const TASKS: u32 = 20;
const BURSTS: u32 = 50;
const VIRTUAL: Duration = Duration::from_secs(30);
const REAL: Duration = Duration::from_secs(5);
const WAYS: [Way; 4] = [Way::Apart, Way::Queue, Way::Coalescing, Way::FairLoop];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let result = match &arguments[1..] {
        [engine] if engine == "engine" => serve(),
        [worker, url, way] if worker == "worker" => work(url, way),
        _ => compare(),
    };
    ended(result)
}

fn compare() -> Result<(), Failure> {
    let mut rows = Vec::new();
    println!("{}", Summary::HEADS);
    for (clock, load) in
        [(Clock::Virtual, Load::Burst), (Clock::Virtual, Load::Steady), (Clock::Real, Load::Steady)]
    {
        for processes in PROCESSES {
            for way in WAYS {
                let setting = Setting { clock, load, processes, tasks: TASKS, way };
                eprintln!("{setting} ...");
                let tally = match clock {
                    Clock::Virtual => in_one_process(load, way, processes)?,
                    Clock::Real => in_processes(way, processes)?,
                };
                let row = Summary::of(setting, &tally);
                println!("{row}");
                rows.push(row);
            }
        }
    }
    results::write("processes", &rows)
}

/// What stands for processes shares no table.
fn in_one_process(load: Load, way: Way, processes: u32) -> Result<Tally, Failure> {
    let mut one_thread = tokio::runtime::Builder::new_current_thread();
    one_thread.enable_all().start_paused(true).build()?.block_on(async {
        let store = Store::memory();
        let distant = Distant::new(LATENCY);
        let client = store.client_through(&distant);
        account::open(&client, [KEY]).await?;
        let contenders = (0..processes).map(|_| way.start(&client)).collect::<Result<Vec<_>, _>>()?;
        let keys = || repeat_n(KEY, (processes * TASKS) as usize);
        let tally = match load {
            Load::Burst => crowd::bursts(BURSTS, &contenders, keys, &distant).await?,
            Load::Steady => crowd::steady(&contenders, keys(), &distant, VIRTUAL).await?,
        };
        account::check(&client, [KEY], tally.added).await?;
        Ok(tally)
    })
}

fn in_processes(way: Way, processes: u32) -> Result<Tally, Failure> {
    let runtime = real_time()?;
    let mut engine = Process::of_this(["engine"])?;
    let url = engine.line()?;
    let client = Store::at(&url).client();
    runtime.block_on(account::open(&client, [KEY]))?;

    let way = serde_json::to_string(&way)?;
    let start = |_| Process::of_this(["worker", &url, &way]);
    let mut workers = (0..processes).map(start).collect::<Result<Vec<_>, _>>()?;
    for worker in &mut workers {
        worker.line()?;
    }
    for worker in &mut workers {
        worker.tell("begin")?;
    }
    let mut all = Tally::default();
    for worker in &mut workers {
        all.beside(&serde_json::from_str(&worker.line()?)?);
    }
    runtime.block_on(account::check(&client, [KEY], all.added))?;
    Ok(all)
}

/// The engine's process.
fn serve() -> Result<(), Failure> {
    println!("{}", engines::serve());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// The process of 20 tasks.
fn work(url: &str, way: &str) -> Result<(), Failure> {
    real_time()?.block_on(async {
        let store = Store::at(url);
        let distant = Distant::new(LATENCY);
        let client = store.client_through(&distant);
        let contender = serde_json::from_str::<Way>(way)?.start(&client)?;
        account::read(&client, KEY).await?;
        println!("ready");
        if std::io::stdin().lines().next().is_none() {
            return Ok(());
        }
        let tally = crowd::steady(&[contender], repeat_n(KEY, TASKS as usize), &distant, REAL).await?;
        println!("{}", serde_json::to_string(&tally)?);
        Ok(())
    })
}
