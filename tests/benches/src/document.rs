//! The report: figures as a page of Markdown.

pub mod backoff;
mod overload;

use std::fmt::{self, Write};

use crate::crowd::Load;
use crate::figures::{DistinctKeys, Figures, Instructions, Sheet, best_peer, row};
use crate::summary::{Clock, Setting, Summary};
use crate::target::Target;
use crate::way::Way;

/// How many tasks the ratios are about.
const CROWD: u32 = 100;

/// Writes the page.
///
/// # Errors
///
/// None: a `String` takes everything.
pub fn write(figures: &Figures) -> Result<String, fmt::Error> {
    let mut page = String::from(INTRODUCTION);
    if let Some(rows) = &figures.hot_key {
        page += IN_SHORT;
        ratios(&mut page, rows, Load::Burst)?;
        ratios(&mut page, rows, Load::Steady)?;
        page += HOT_KEY;
        for (clock, how) in [(Clock::Virtual, ""), (Clock::Real, HOT_KEY_REAL)] {
            page += how;
            for (load, how) in [(Load::Burst, BURST), (Load::Steady, STEADY)] {
                page += how;
                summaries(&mut page, rows, clock, load)?;
            }
        }
    }
    if let Some(rows) = &figures.processes {
        page += PROCESSES;
        for (load, how) in [(Load::Burst, BURST), (Load::Steady, STEADY)] {
            page += how;
            summaries(&mut page, rows, Clock::Virtual, load)?;
        }
        page += PROCESSES_REAL;
        summaries(&mut page, rows, Clock::Real, Load::Steady)?;
    }
    if let Some(trials) = &figures.backoff {
        backoff::write(&mut page, trials)?;
    }
    if let Some(figures) = &figures.overload {
        overload::write(&mut page, figures)?;
    }
    if let Some(distinct_keys) = &figures.distinct_keys {
        page += DISTINCT_KEYS;
        rounds(&mut page, distinct_keys)?;
    }
    if let Some(rows) = &figures.instructions {
        page += INSTRUCTIONS;
        instructions(&mut page, rows)?;
    }
    for sheet in &figures.sheets {
        self::sheet(&mut page, sheet)?;
    }
    targets(&mut page, &Target::all(figures))?;
    Ok(page)
}

const INTRODUCTION: &str = "\
# Benchmarks

What optimistic locking costs where many writers want one item, and where nobody disturbs it. Everything below was measured and
written by one command, and each run fails if a single update was lost or applied twice:

```sh
scripts/benchmarks
```

The ways that are compared:

- **dynalock, a table each**: `update`, and each task has a `Table` of its own, as if it were another application.
- **dynalock, one table**: the tasks share a `Table`, so that they take turns.
- **dynalock, coalescing**: they share one that is `coalescing()`, so that those who wait share a write.
- **SDK, dynalock's back-off**: a loop around aws-sdk-dynamodb that sends what dynalock sends and waits as dynalock waits; see
  [below](#after-a-conflict).
- **SDK, naive loop**: takes the item that a refusal returned, sleeps 5 ms and twice as long each time, and gives up after 10
  tries.
- **dynamodb-facade**, **modyne**: a loop around these crates, which leave it to the caller; it sleeps at random up to 10 ms,
  doubling to 1 s, as one often sees, and reads again.

The naive loop and these two crates are called peers. A write that is refused costs as much as one that is applied: the columns
*writes for an update* are the bill. The engine never throttles, where DynamoDB takes some 1,000 writes a second for an item, refused
ones included.
";

const IN_SHORT: &str = "
## In short

100 tasks of one process change one item. The clock is virtual, so that the machine does not matter; *alone* means one task that
nobody disturbs. In a **burst** each task makes one update, and what counts is when the last one is through. In a **steady** load
each task makes one update after the other for 30 s. There a loop that sleeps after a conflict looks fast: whoever was just through
goes first again, and the others sleep longer and longer. How uneven that is, *wait, 99 %* and *most by one task* tell: the part of
all updates that one of the 100 tasks made, which in turns is 1 %.
";

const HOT_KEY: &str = "
## One item, one process

![Updates a second by tasks, in bursts](benchmarks/hot_key_burst.svg)

![Updates a second by tasks, under a steady load](benchmarks/hot_key_steady.svg)

Each task adds 1 to the same item. The store is the embedded engine, 4 ms away. The clock is virtual: it moves on whenever all
tasks wait, so that work takes no time, and the figures are those of the protocol on any machine.
";

const HOT_KEY_REAL: &str = "
The same by the real clock, on a machine with two cores, which also carry the store.
";

const BURST: &str = "
In bursts, one after the other:

";

const STEADY: &str = "
Under a steady load:

";

const PROCESSES: &str = "
## One item, several processes

![Updates a second by processes](benchmarks/processes.svg)

20 tasks in each process. By the virtual clock, tables that share nothing stand for the processes; each request takes 3 to 5 ms, at
random, so that nobody keeps step with anybody.
";

const MISSED: &str = "
What is known about targets that are missed:

- **One table to the best peer**: turns make one write after the other, which is twice what one task makes alone, and more cannot be
  had of writes that each wait for the one before; sharing them can. In a burst the peers' loops make a little more than a quarter
  of that. Under a steady load they come close, and pay for it twice: in refused writes, and in waits of seconds for those who sleep.
- **create, to the SDK**: the same request by hand, with a timeout, an attempt counter and a stamp, takes nearly as many
  instructions; see *to those by hand*.
- **Distinct keys**: without latency all that counts is work, and the SDK loop has neither timeouts nor an attempt counter; see the
  instructions *to those by hand* for the same with them. Both send two requests for an update, so that with any distance to the
  store there is no difference. Rounds differ by more than the limit leaves.
";

const PROCESSES_REAL: &str = "
By the real clock they are processes, under a steady load, and the engine is one of its own, over TCP; each request takes 3 to 5 ms
longer than it has to. All of them share two cores.

";

const DISTINCT_KEYS: &str = "
## Items that nobody else changes

64 tasks, each with an item of its own, on the embedded engine without latency, on two threads: updates a second of dynalock (one
table) in relation to those of the SDK loop that sends the same requests. Rounds of one and the other alternate.

";

const INSTRUCTIONS: &str = "
## Instructions

Instructions for a call, counted by callgrind, over a client whose connector answers from memory. *SDK alone* has no condition, no
stamp and no timeout, so it keeps nobody apart; *by hand* is code that sends and watches all that dynalock does.

";

/// Relations of virtual figures, which are the same on each machine.
fn ratios(page: &mut String, rows: &[Summary], load: Load) -> fmt::Result {
    let here = |way, tasks| Setting { clock: Clock::Virtual, load, processes: 1, tasks, way };
    let alone = row(rows, here(Way::Queue, 1));
    let peer = best_peer(rows, load, CROWD);
    let name = peer.map_or("none", |peer| peer.setting.way.name());
    writeln!(
        page,
        "\n| {load} | updates/s, best peer ({name}) = 1 | updates/s, alone = 1 | requests for an update | writes for an update | \
         wait, 99 % | most by one task | gave up |\n|---|---:|---:|---:|---:|---:|---:|---:|"
    )?;
    for way in Way::ALL {
        let Some(row) = row(rows, here(way, CROWD)) else { continue };
        let to = |other: Option<&Summary>| {
            let to = |other: &Summary| significant(row.updates_per_second / other.updates_per_second);
            other.map_or("-".to_owned(), to)
        };
        writeln!(
            page,
            "| {} | {} | {} | {:.2} | {:.2} | {} ms | {} % | {} % |",
            way.name(),
            to(peer),
            to(alone),
            row.requests_per_update,
            row.writes_per_update,
            significant(row.p99_ms),
            significant(row.most_by_one),
            significant(row.gave_up),
        )?;
    }
    Ok(())
}

fn summaries(page: &mut String, rows: &[Summary], clock: Clock, load: Load) -> fmt::Result {
    page.push_str(
        "| processes x tasks | | updates/s | requests for an update | writes for an update | wait, median | \
         wait, 99 % | most by one task | gave up |\n|---|---|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for row in rows.iter().filter(|row| (row.setting.clock, row.setting.load) == (clock, load)) {
        writeln!(
            page,
            "| {} x {} | {} | {} | {:.2} | {:.2} | {} ms | {} ms | {} % | {} % |",
            row.setting.processes,
            row.setting.tasks,
            row.setting.way.name(),
            significant(row.updates_per_second),
            row.requests_per_update,
            row.writes_per_update,
            significant(row.p50_ms),
            significant(row.p99_ms),
            significant(row.most_by_one),
            significant(row.gave_up),
        )?;
    }
    Ok(())
}

fn rounds(page: &mut String, distinct_keys: &DistinctKeys) -> fmt::Result {
    let rounds: Vec<String> = distinct_keys.ratios.iter().map(|ratio| format!("{ratio:.3}")).collect();
    writeln!(
        page,
        "Median **{:.3}**, of {} rounds: {}.",
        distinct_keys.median(),
        rounds.len(),
        rounds.join(", ")
    )
}

fn instructions(page: &mut String, rows: &[Instructions]) -> fmt::Result {
    page.push_str(
        "| | SDK alone | by hand | dynalock | to SDK alone | to by hand |\n|---|---:|---:|---:|---:|---:|\n",
    );
    for Instructions { call, bare, by_hand, dynalock } in rows {
        let (to_bare, to_hand) = (dynalock / bare, dynalock / by_hand);
        writeln!(
            page,
            "| {} | {bare:.0} | {by_hand:.0} | {dynalock:.0} | {to_bare:.3} | {to_hand:.3} |",
            call.name()
        )?;
    }
    Ok(())
}

fn sheet(page: &mut String, sheet: &Sheet) -> fmt::Result {
    writeln!(page, "\n## {}\n\n{}\n", sheet.title, sheet.how)?;
    let lines: String =
        (0..sheet.heads.len()).map(|at| if holds_numbers(sheet, at) { "---:|" } else { "---|" }).collect();
    writeln!(page, "| {} |\n|{lines}", sheet.heads.join(" | "))?;
    sheet.rows.iter().try_for_each(|row| writeln!(page, "| {} |", row.join(" | ")))
}

/// Whether each cell of a column begins with a digit, or is `-`.
fn holds_numbers(sheet: &Sheet, column: usize) -> bool {
    let is_number = |cell: &String| cell == "-" || cell.starts_with(|first: char| first.is_ascii_digit());
    sheet.rows.iter().all(|row| row.get(column).is_some_and(is_number))
}

fn targets(page: &mut String, targets: &[Target]) -> fmt::Result {
    let met = targets.iter().filter(|target| target.is_met()).count();
    writeln!(page, "\n## Targets\n\n{met} of {} are met.\n", targets.len())?;
    page.push_str("| | measured | target | |\n|---|---:|---|---|\n");
    targets.iter().try_for_each(|target| writeln!(page, "{target}"))?;
    if met < targets.len() {
        page.push_str(MISSED);
    }
    Ok(())
}

/// Two digits at least, and all before the point.
#[must_use]
pub fn significant(number: f64) -> String {
    match number {
        10.0.. => format!("{number:.0}"),
        1.0.. => format!("{number:.1}"),
        0.005.. => format!("{number:.2}"),
        _ => "0".to_owned(),
    }
}
