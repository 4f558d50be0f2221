//! dynalock beside other libraries on one engine, over TCP. `tests/benches/peers/run` builds what it needs and starts it.
//!
//! The engine is a process of its own behind a [`Front`], which makes it distant and counts, so that all of them meet the same
//! conditions; those who write are another one. The figures are a table on standard output, and a [`Sheet`] for the report.

use std::fmt::{self, Display};
use std::io::stdin;
use std::iter::repeat_n;
use std::ops::RangeInclusive;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;
use std::{env, thread};

use aws_sdk_dynamodb::Client;
use dynalock::Table;
use dynalock_benches::account::{self, Account, TABLE};
use dynalock_benches::backoff::Limits;
use dynalock_benches::contender::{Adder, Answer};
use dynalock_benches::crowd::{self, Tally};
use dynalock_benches::document::significant;
use dynalock_benches::figures::Sheet;
use dynalock_benches::front::Front;
use dynalock_benches::latency::{Distant, Traffic};
use dynalock_benches::process::Process;
use dynalock_benches::way::Way;
use dynalock_benches::{Failure, ended, real_time, results};
use dynalock_tests::engines::{self, Store};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Mutex;

const KEY: &str = "alice";
const TIME: Duration = Duration::from_secs(4);
const WRITERS: [u32; 4] = [1, 10, 20, 50];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    ended(match arguments[..] {
        ["engine", job] => serve(job),
        ["dynalock", way, url, job, writers, seconds] => work(way, url, job, writers, seconds),
        [toasty, python, pynamodb] => compare(&Programs { toasty, python, pynamodb }),
        _ => Err("tests/benches/peers/run starts it".into()),
    })
}

/// What the writers do again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Job {
    /// Change the account that they hold, and save it.
    Save,
    /// Read the account, change and save it; on a conflict again.
    Update,
}

impl Job {
    const ALL: [Self; 2] = [Self::Save, Self::Update];

    fn named(name: &str) -> Result<Self, Failure> {
        let job = Self::ALL.into_iter().find(|job| job.to_string() == name);
        Ok(job.ok_or_else(|| format!("no job is called {name}"))?)
    }

    /// How many milliseconds the engine is away: the first job is about what the write itself takes.
    fn latency(self) -> RangeInclusive<u64> {
        match self {
            Self::Save => 0..=0,
            Self::Update => 3..=5,
        }
    }
}

impl Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Save => "save",
            Self::Update => "update",
        })
    }
}

/// What writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Library {
    Dynalock(Way),
    Toasty,
    PynamoDb,
}

impl Library {
    const ALL: [Self; 5] = [
        Self::Dynalock(Way::Apart),
        Self::Dynalock(Way::Queue),
        Self::Dynalock(Way::Coalescing),
        Self::Toasty,
        Self::PynamoDb,
    ];
}

impl Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Dynalock(way) => way.name(),
            Self::Toasty => "toasty 0.11",
            Self::PynamoDb => "PynamoDB 6.1",
        })
    }
}

/// Where the libraries are that are not built in.
struct Programs<'a> {
    toasty: &'a str,
    python: &'a str,
    pynamodb: &'a str,
}

impl Programs<'_> {
    fn command(&self, library: Library) -> Result<Command, Failure> {
        Ok(match library {
            Library::Dynalock(way) => {
                let mut command = Command::new(env::current_exe()?);
                command.arg("dynalock").arg(serde_json::to_string(&way)?);
                command
            }
            Library::Toasty => Command::new(self.toasty),
            Library::PynamoDb => {
                let Limits { first, max, attempts, deadline } = Limits::USUAL;
                let limits =
                    json!([first.as_secs_f64(), max.as_secs_f64(), attempts, deadline.as_secs_f64()]);
                let mut command = Command::new(self.python);
                command.arg(self.pynamodb).arg(limits.to_string());
                command
            }
        })
    }
}

fn compare(programs: &Programs<'_>) -> Result<(), Failure> {
    let mut sheet = Sheet {
        title: TITLE.to_owned(),
        how: HOW.trim().to_owned(),
        heads: HEADS.map(str::to_owned).into(),
        rows: Vec::new(),
    };
    let settings = [(Job::Save, 1)].into_iter().chain(WRITERS.map(|writers| (Job::Update, writers)));
    println!("{}", line(&HEADS));
    for (job, writers) in settings {
        for library in Library::ALL {
            // To save what one holds goes the same way in each table.
            if job == Job::Save && matches!(library, Library::Dynalock(Way::Queue | Way::Coalescing)) {
                continue;
            }
            eprintln!("{job}, {writers} x {library} ...");
            let row = measure(programs, job, writers, library)?;
            println!("{}", line(&row));
            sheet.rows.push(row);
        }
    }
    results::write("peers", &sheet)
}

const TITLE: &str = "Other libraries";

const HOW: &str = "
toasty 0.11 with `#[version]` and PynamoDB 6.1 with a `VersionAttribute`, beside dynalock and on the same engine. The engine is a
process of its own, reached over TCP, and requests are counted in front of it; the writers are tasks of another process, or in
Python its threads. (A process for each of them was no faster.) Both processes share one machine, by the real clock, and
each row is 4 s of a steady load.

- **save**: one writer saves the object that it holds, again and again. Nobody disturbs it, and the engine is as near as it can
  be, so that this is the write path alone. *Processor time* is what the writers' own process needs for an update.
- **update**: all writers read one item, add 1 and save it, until they succeed. The engine takes 3 to 5 ms longer than it has to,
  at random, and what timers round up.

toasty and PynamoDB leave the loop to the caller. It sleeps at random up to 10 ms, doubling to 1 s, as one often sees, and reads
again. toasty's reads are eventually consistent, at half the price, and there is no way to ask for others; this engine always
answers with the last write, so that toasty meets no conflicts from stale reads here. *Lost or doubled* is the difference between
what is stored in the end and the additions that were answered with success. No replies are lost here.
";

const HEADS: [&str; 12] = [
    "job",
    "writers",
    "",
    "updates/s",
    "requests for an update",
    "writes for an update",
    "wait, median",
    "wait, 99 %",
    "processor time",
    "most by one",
    "gave up",
    "lost or doubled",
];

/// A row of cells, aligned.
fn line(cells: &[impl AsRef<str>]) -> String {
    let widths = HEADS.map(str::len).map(|width| width.max(7));
    let cells = cells.iter().zip(widths).enumerate().map(|(at, (cell, width))| match (at, cell.as_ref()) {
        (2, cell) => format!("{cell:<22}"),
        (_, cell) => format!("{cell:>width$}"),
    });
    cells.collect::<Vec<_>>().join("  ")
}

fn measure(
    programs: &Programs<'_>,
    job: Job,
    writers: u32,
    library: Library,
) -> Result<Vec<String>, Failure> {
    let runtime = real_time()?;
    let mut engine = Process::of_this(["engine", &job.to_string()])?;
    let url = engine.line()?;
    let client = Store::at(&url).client();
    runtime.block_on(account::open(&client, [KEY]))?;

    let mut command = programs.command(library)?;
    command.args([&url, &job.to_string(), &writers.to_string(), &TIME.as_secs().to_string()]);
    let mut crowd = Process::start(&mut command)?;
    crowd.line()?;
    let before = (traffic(&mut engine)?, crowd.worked());
    crowd.tell("begin")?;
    thread::sleep(TIME);
    let traffic = traffic(&mut engine)? - before.0;
    let worked = crowd.worked().zip(before.1).map(|(now, before)| now.saturating_sub(before));
    let tally = Tally { traffic, ..serde_json::from_str(&crowd.line()?)? };

    let stored = runtime.block_on(account::read(&client, KEY))?.balance;
    let surplus = stored - i64::try_from(tally.added)?;
    if surplus != 0 && matches!(library, Library::Dynalock(_)) {
        return Err(format!("{library}: {} answered with success, {stored} stored", tally.added).into());
    }
    Ok(row(job, writers, library, &tally, worked, surplus))
}

#[allow(clippy::cast_precision_loss)] // counts of at most some millions
fn row(
    job: Job,
    writers: u32,
    library: Library,
    tally: &Tally,
    worked: Option<Duration>,
    surplus: i64,
) -> Vec<String> {
    let Tally { traffic, .. } = *tally;
    let [in_time, added, gave_up] = [tally.in_time, tally.added, tally.gave_up].map(|count| count as f64);
    let for_an_update = |count: u64| format!("{:.2}", count as f64 / in_time);
    let milliseconds = |seconds: f64| significant(seconds * 1e3) + " ms";
    let percentile = |percent| milliseconds(tally.waits.percentile(percent).as_secs_f64());
    vec![
        job.to_string(),
        writers.to_string(),
        match (job, library) {
            (Job::Save, Library::Dynalock(_)) => "dynalock".to_owned(),
            _ => library.to_string(),
        },
        significant(in_time / tally.seconds),
        for_an_update(traffic.requests),
        for_an_update(traffic.writes),
        percentile(50),
        percentile(99),
        worked.map_or_else(|| "-".to_owned(), |worked| milliseconds(worked.as_secs_f64() / in_time)),
        significant(100.0 * tally.most as f64 / added) + " %",
        significant(100.0 * gave_up / (added + gave_up)) + " %",
        match surplus {
            0 => "none".to_owned(),
            ..0 => format!("**{} lost**", -surplus),
            1.. => format!("**{surplus} doubled**"),
        },
    ]
}

/// The engine's process: tells its URL, and after each line what reached it so far.
fn serve(job: &str) -> Result<(), Failure> {
    let front = Front::new(&engines::serve(), Job::named(job)?.latency());
    let runtime = real_time()?;
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    println!("http://{}", listener.local_addr()?);
    let serving = front.clone();
    thread::spawn(move || ended(runtime.block_on(serving.serve(listener))));
    for line in stdin().lines() {
        line?;
        println!("{}", serde_json::to_string(&front.traffic())?);
    }
    Ok(())
}

fn traffic(engine: &mut Process) -> Result<Traffic, Failure> {
    engine.tell("traffic")?;
    Ok(serde_json::from_str(&engine.line()?)?)
}

/// The process that writes through dynalock; the other libraries' take the same arguments and tell the same.
fn work(way: &str, url: &str, job: &str, writers: &str, seconds: &str) -> Result<(), Failure> {
    real_time()?.block_on(async {
        let store = Store::at(url);
        let distant = Distant::new(0..=0);
        let client = store.client_through(&distant);
        let account = account::read(&client, KEY).await?;
        let contender = match Job::named(job)? {
            Job::Save => Box::new(Held::new(&client, account)),
            Job::Update => serde_json::from_str::<Way>(way)?.start(&client)?,
        };
        println!("ready");
        if stdin().lines().next().is_none() {
            return Ok(());
        }
        let (keys, time) = (repeat_n(KEY, writers.parse()?), Duration::from_secs(seconds.parse()?));
        let tally = crowd::steady(&[contender], keys, &distant, time).await?;
        println!("{}", serde_json::to_string(&tally)?);
        Ok(())
    })
}

/// The account that one task holds, and saves again and again.
#[derive(Debug, Clone)]
struct Held {
    accounts: Table<Account>,
    account: Arc<Mutex<Account>>,
}

impl Held {
    fn new(client: &Client, account: Account) -> Self {
        Self { accounts: Table::new(client, TABLE), account: Arc::new(Mutex::new(account)) }
    }
}

impl Adder for Held {
    async fn add(&self, _: &str) -> Result<Answer, Failure> {
        let mut account = self.account.lock().await;
        account.balance += 1;
        self.accounts.save(&mut account).await?;
        Ok(Answer::Added)
    }
}
