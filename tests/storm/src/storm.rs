//! One storm: starts everything, kills and stops it at random, and has the checker look at what is left.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dynalock::Table;
use dynalock_tests::engines::Store;
use tempfile::TempDir;

use crate::engine::Engine;
use crate::entry::{Entry, MONEY, TABLE, Use, generation};
use crate::log::{self, Answer, Call, Kind, Log, Record, Seen};
use crate::process::Process;
use crate::program::Setting;
use crate::proxy::{Counts, Proxy};
use crate::writer::GRACE;
use crate::{Failure, checker};

const WRITERS: u64 = 4;
const SHOWN: usize = 20;
const ENGINE: &str = "engine.db";
const LOG: &str = "storm.log";

/// Runs one storm, prints a line of figures, and returns them.
pub(crate) fn run(time: Duration, seed: u64, naive: bool) -> Result<Figures, Failure> {
    let folder = TempDir::with_prefix("dynalock-storm-")?;
    let longest = time + 4 * GRACE;
    let mut engine = Engine::start(&folder.path().join(ENGINE), longest)?;
    let last_generation = generation(time.as_secs());
    prepare(&engine, &folder.path().join(LOG), last_generation)?;
    let proxy = Proxy::start(seed, engine.address()?)?;
    let began = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let setting = |writer| Setting {
        url: proxy.url(),
        log: folder.path().join(LOG),
        writer,
        life: 0,
        seed,
        began: u64::try_from(began.as_millis()).unwrap_or_default(),
        last_generation,
        longest: longest.as_secs(),
        naive,
    };
    let mut writers =
        (0..WRITERS).map(|writer| Writer::start(setting(writer))).collect::<Result<Vec<_>, _>>()?;

    let mut dice = fastrand::Rng::with_seed(seed);
    let (mut kills, mut stops) = (0, 0);
    let until = Instant::now() + time;
    while Instant::now() < until {
        thread::sleep(Duration::from_millis(dice.u64(20..500)));
        let place = dice.usize(0..writers.len());
        let (short, long) =
            (Duration::from_millis(dice.u64(0..400)), Duration::from_millis(dice.u64(100..1_200)));
        match dice.u8(0..20) {
            0..8 => {
                writers[place].process.kill()?;
                thread::sleep(short);
                writers[place].restart()?;
                kills += 1;
            }
            8..14 => {
                writers[place].process.pause(long)?;
                stops += 1;
            }
            14..17 => {
                proxy.between_transactions(|| engine.kill())?;
                thread::sleep(short);
                engine.restart()?;
                proxy.moved(engine.address()?);
                kills += 1;
            }
            _ => {
                engine.pause(long)?;
                stops += 1;
            }
        }
    }

    for writer in &mut writers {
        writer.process.ask_to_end();
    }
    let mut found = Vec::new();
    for Writer { setting, process } in writers {
        if !process.end(GRACE)? {
            found.push(format!("hung or failed: writer {} in its life {}", setting.writer, setting.life));
        }
    }
    proxy.settle();
    // What was answered survives this as well.
    engine.kill()?;
    found.extend(check(folder.path())?);

    let figures = Figures::of(&log::read(&folder.path().join(LOG))?, proxy.counts());
    proxy.end();
    let figures = Figures { seconds: time.as_secs(), kills, stops, violations: found.len(), ..figures };
    println!("seed {seed}{}: {figures}{}", if naive { ", a loop by hand" } else { "" }, kinds(&found));
    if !found.is_empty() && !naive {
        found.iter().take(SHOWN).for_each(|violation| println!("  {violation}"));
        println!("  kept for `storm check`: {}", folder.keep().display());
    }
    Ok(figures)
}

/// What a storm was like.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Figures {
    seconds: u64,
    requests: u64,
    faults: u64,
    writes: u64,
    calls: usize,
    ok: usize,
    unknown: usize,
    kills: u32,
    stops: u32,
    pub(crate) violations: usize,
}

impl Figures {
    fn of(records: &[Record], counts: &Counts) -> Self {
        let [requests, faults, writes] =
            [&counts.requests, &counts.faults, &counts.writes].map(|count| count.load(Ordering::Relaxed));
        let mut figures = Self { requests, faults, writes, ..Self::default() };
        for record in records {
            match record {
                Record::Begin(_) => figures.calls += 1,
                Record::End { answer: Answer::Ok(_) | Answer::Total(_) | Answer::Deleted, .. } => {
                    figures.ok += 1;
                }
                Record::End { answer: Answer::Unknown { .. }, .. } => figures.unknown += 1,
                Record::End { .. } => {}
            }
        }
        figures
    }
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        *self = Self {
            seconds: self.seconds + other.seconds,
            requests: self.requests + other.requests,
            faults: self.faults + other.faults,
            writes: self.writes + other.writes,
            calls: self.calls + other.calls,
            ok: self.ok + other.ok,
            unknown: self.unknown + other.unknown,
            kills: self.kills + other.kills,
            stops: self.stops + other.stops,
            violations: self.violations + other.violations,
        };
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seconds, requests, faults, writes, calls, ok, unknown, kills, stops, violations } = self;
        write!(
            f,
            "{seconds} s, {requests} requests, {faults} faults, {writes} writes, {calls} calls, {ok} Ok, \
             {unknown} unknown, {kills} kills, {stops} stops, {violations} violations"
        )
    }
}

/// Looks at what a storm left in a folder. The engine's file is opened, not changed.
pub(crate) fn check(folder: &Path) -> Result<Vec<String>, Failure> {
    let engine = Engine::start(&folder.join(ENGINE), GRACE * 4)?;
    let stored = runtime()?.block_on(stored(&engine))?;
    let records = log::read(&folder.join(LOG))?;
    Ok(checker::violations(&records, &stored))
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

async fn stored(engine: &Engine) -> Result<Vec<Entry>, Failure> {
    let client = Store::at(&engine.url()).client();
    let table = Table::<Entry>::new(&client, TABLE);
    let mut items = client.scan().table_name(TABLE).consistent_read(true).into_paginator().items().send();
    let mut stored = Vec::new();
    while let Some(item) = items.next().await {
        stored.push(table.parse(item?)?);
    }
    Ok(stored)
}

/// Makes the table and the accounts, without faults.
fn prepare(engine: &Engine, log: &Path, last_generation: u64) -> Result<(), Failure> {
    let log = Log::open(log)?;
    let client = Store::at(&engine.url()).client();
    let table = Table::<Entry>::new(&client, TABLE);
    runtime()?.block_on(async {
        table.create_table().await?;
        let keys: Vec<String> = (0..=last_generation).flat_map(|number| Use::Account.keys(number)).collect();
        let share = MONEY / i64::try_from(Use::Account.keys(0).len())?;
        for key in keys {
            let id = format!("prepare.{key}");
            let mut entry = Entry::new(&key, &id, share);
            log.write(&Record::Begin(Call {
                id: id.clone(),
                kind: Kind::Create,
                keys: vec![key],
                held: None,
            }))?;
            table.create(&mut entry).await?;
            log.write(&Record::End { id, answer: Answer::Ok(vec![Seen::of(&entry)]) })?;
        }
        Ok(())
    })
}

/// A writer's process.
struct Writer {
    setting: Setting,
    process: Process,
}

impl Writer {
    fn start(setting: Setting) -> Result<Self, Failure> {
        let process = Process::start(&["writer", &serde_json::to_string(&setting)?])?;
        Ok(Self { setting, process })
    }

    fn restart(&mut self) -> Result<(), Failure> {
        self.setting.life += 1;
        *self = Self::start(self.setting.clone())?;
        Ok(())
    }
}

/// How many violations there are of each kind, which their first word names.
fn kinds(found: &[String]) -> String {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for violation in found {
        *kinds.entry(violation.split(':').next().unwrap_or_default()).or_default() += 1;
    }
    let kinds: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) }
}
