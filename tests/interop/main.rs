//! dynalock and other clients on one table, over TCP. `tests/interop/run` installs what it needs and starts it.
//!
//! With each client the rules for sharing a table are checked one by one; then both write the same items at once, and keep what
//! they read, what they wrote, and what was refused. No reply is lost here, so every version must be written exactly once, and
//! the stored counts must be the number of writes. The last round is a control: a client that forgets its condition, which
//! must be noticed.

mod account;
mod ledger;
mod peer;
mod rules;
mod writers;

use std::error;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;
use std::{env, thread};

use aws_sdk_dynamodb::Client;
use dynalock::Table;
use dynalock_tests::engines::{self, Store, table_name};

use crate::account::Account;
use crate::ledger::{Ledger, Seen, Verdict, judge, refusals};
use crate::peer::Peer;
use crate::rules::Pair;

type Failure = Box<dyn error::Error + Send + Sync>;

/// The items that all write, and how many writers of each kind write how often.
const ITEMS: usize = 4;
const WRITERS: usize = 8;
const WRITES: usize = 40;

/// Another client: how it is called, its script, and how it writes.
struct Kind {
    name: &'static str,
    script: &'static str,
    way: &'static str,
}

const PYNAMODB_SAVE: Kind = Kind { name: "PynamoDB save", script: "pynamodb_peer.py", way: "save" };
const PYNAMODB_UPDATE: Kind = Kind { name: "PynamoDB update", script: "pynamodb_peer.py", way: "update" };
const BOTO3: Kind = Kind { name: "boto3 UpdateItem", script: "boto3_peer.py", way: "careful" };
const CARELESS: Kind = Kind { name: "boto3, no condition", script: "boto3_peer.py", way: "careless" };

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [python, folder] = &arguments[..] else {
        eprintln!("tests/interop/run starts it");
        return ExitCode::FAILURE;
    };
    let named = env::var("DYNALOCK_ENDPOINT").ok().filter(|url| !url.is_empty());
    let url = named.unwrap_or_else(engines::serve);
    let table = table_name();
    let client = Store::at(&url).client();
    let house = House { python, folder: Path::new(folder), url: &url, table: &table, client: &client };
    match house.run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("{failure:?}");
            ExitCode::FAILURE
        }
    }
}

/// Where the clients meet.
struct House<'a> {
    python: &'a str,
    folder: &'a Path,
    url: &'a str,
    table: &'a str,
    client: &'a Client,
}

/// How one round went.
struct Round {
    name: String,
    rules: Option<(usize, usize)>,
    ledger: Ledger,
    /// Of dynalock and of the others: how many, and how many of them since the other side was faster.
    refusals: [(usize, usize); 2],
    stored: u64,
    verdict: Verdict,
    seconds: f64,
}

impl House<'_> {
    /// Whether every rule holds.
    async fn run(&self) -> Result<bool, Failure> {
        let accounts = Table::<Account>::new(self.client, self.table);
        accounts.create_table().await?;
        let mut rounds = Vec::new();
        let mut problems = Vec::new();
        let all: [(&str, &[Kind]); 5] = [
            (PYNAMODB_SAVE.name, &[PYNAMODB_SAVE]),
            (PYNAMODB_UPDATE.name, &[PYNAMODB_UPDATE]),
            (BOTO3.name, &[BOTO3]),
            ("all three", &[PYNAMODB_SAVE, PYNAMODB_UPDATE, BOTO3]),
            (CARELESS.name, &[CARELESS]),
        ];
        for (number, (name, kinds)) in all.iter().enumerate() {
            eprintln!("{name} ...");
            let (round, broken) = self.round(&accounts, number, name, kinds).await?;
            problems.extend(broken.into_iter().map(|rule| format!("{name}: {rule}")));
            if *name == CARELESS.name {
                if round.verdict.lost == 0 || round.verdict.misread == 0 {
                    problems.push(format!("{name}: no lost update was noticed"));
                }
            } else {
                let writes = ITEMS + (1 + kinds.len()) * WRITERS * WRITES;
                problems.extend(wrong(&round, writes));
            }
            rounds.push(round);
        }
        self.client.delete_table().table_name(self.table).send().await?;
        print(&rounds);
        for problem in &problems {
            println!("BROKEN: {problem}");
        }
        Ok(problems.is_empty())
    }

    async fn round(
        &self,
        accounts: &Table<Account>,
        number: usize,
        name: &str,
        kinds: &[Kind],
    ) -> Result<(Round, Vec<String>), Failure> {
        let start = Instant::now();
        let mut peers = Vec::new();
        for kind in kinds {
            let script = self.folder.join(kind.script);
            peers.push(Peer::start(self.python, &script, &[self.url, self.table, kind.way])?);
        }
        let (mut rules, mut broken) = (None, Vec::new());
        if let ([kind], [peer]) = (kinds, &mut peers[..])
            && kind.name != CARELESS.name
        {
            let puts = kind.way == PYNAMODB_SAVE.way;
            let (hold, not) = rules::check(Pair { client: self.client, accounts, peer, puts }).await;
            self.clear(accounts).await?;
            rules = Some((hold.len(), hold.len() + not.len()));
            broken = not;
        }

        let items: Vec<String> = (0..ITEMS).map(|item| format!("round-{number}-{item}")).collect();
        let mut ledger = self.create(accounts, &mut peers, &items).await?;
        let ours: Vec<String> = (0..WRITERS).map(|writer| format!("dynalock-{writer}")).collect();
        let mut theirs = Vec::new();
        for (number, mut peer) in peers.into_iter().enumerate() {
            let writers: Vec<String> = (0..WRITERS).map(|writer| format!("peer-{number}-{writer}")).collect();
            let items = items.clone();
            theirs.push(thread::spawn(move || peer.hammer(&items, &writers, WRITES)));
        }
        ledger.append(writers::hammer(self.client, self.table, &items, &ours, WRITES).await?);
        for peer in theirs {
            ledger.append(peer.join().expect("no thread panics")?);
        }

        let mut stored: Vec<Seen> = Vec::new();
        for item in accounts.get_many(items.iter().map(String::as_str)).await? {
            stored.push(item.ok_or("an item is gone")?.seen());
        }
        let is_ours = |writer: &str| writer.starts_with("dynalock");
        let round = Round {
            name: name.to_owned(),
            rules,
            refusals: [refusals(&ledger, is_ours), refusals(&ledger, |writer| !is_ours(writer))],
            stored: stored.iter().map(|item| item.count).sum(),
            verdict: judge(&ledger, &stored),
            ledger,
            seconds: start.elapsed().as_secs_f64(),
        };
        Ok((round, broken))
    }

    /// Makes the items, half of them with dynalock.
    async fn create(
        &self,
        accounts: &Table<Account>,
        peers: &mut [Peer],
        items: &[String],
    ) -> Result<Ledger, Failure> {
        let mut ledger = Ledger::default();
        for (number, id) in items.iter().enumerate() {
            let writer = if number % 2 == 0 {
                accounts.create(&mut Account::new(id, "dynalock-0")).await?;
                "dynalock-0"
            } else {
                let peer = number / 2 % peers.len();
                peers[peer].create(id, "peer-0-0")?.map_err(|refused| format!("{refused:?}"))?;
                "peer-0-0"
            };
            ledger.wrote.push(ledger::Write { id: id.clone(), version: 1, writer: writer.to_owned() });
        }
        Ok(ledger)
    }

    /// Deletes all items, so that the next client finds none of those that the rules are about.
    async fn clear(&self, accounts: &Table<Account>) -> Result<(), Failure> {
        let items = self.client.scan().table_name(self.table).send().await?.items.unwrap_or_default();
        for item in items {
            if !item["id"].as_s().is_ok_and(|id| id.starts_with("round-")) {
                accounts.delete(&accounts.parse(item)?).await?;
            }
        }
        Ok(())
    }
}

/// What is wrong with a round of so many writes that should be without fault.
fn wrong(round: &Round, writes: usize) -> Vec<String> {
    let mut problems = Vec::new();
    let wrote = round.ledger.wrote.len();
    if wrote != writes {
        problems.push(format!("{}: {wrote} writes, not {writes}", round.name));
    }
    if round.verdict != Verdict::default() {
        problems.push(format!("{}: {:?}", round.name, round.verdict));
    }
    let sides = [("dynalock", "the other"), ("the other", "dynalock")];
    for ((side, rival), (_, by_rival)) in sides.into_iter().zip(round.refusals) {
        if by_rival == 0 {
            problems.push(format!("{}: {side} was never refused because of {rival}", round.name));
        }
    }
    problems
}

fn print(rounds: &[Round]) {
    println!("Two sides write {ITEMS} items, {WRITERS} writers of each client, {WRITES} writes a writer.\n");
    println!(
        "| dynalock and | checks | writes Ok | stored | versions reused | skipped | reads checked | wrong \
         | refused of dynalock (for the other) | refused of the other (for dynalock) | unfounded | time |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    for round in rounds {
        let Round { name, ledger, stored, verdict, seconds, .. } = round;
        let rules = round.rules.map_or("-".to_owned(), |(hold, all)| format!("{hold} of {all}"));
        let [ours, theirs] = round.refusals.map(|(all, by_other)| format!("{all} ({by_other})"));
        println!(
            "| {name} | {rules} | {} | {stored} | {} | {} | {} | {} | {ours} | {theirs} | {} | {seconds:.1} s |",
            ledger.wrote.len(),
            verdict.reused,
            verdict.skipped,
            ledger.read.len(),
            verdict.misread,
            verdict.unfounded,
        );
    }
    println!(
        "\nThe last row is the control: without its condition the other client must lose updates, here {}.",
        rounds.last().map_or(0, |round| round.verdict.lost)
    );
}
