//! Turns what the benchmarks left behind into `docs/benchmarks.md` and its plots. `scripts/benchmarks` runs it last.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use dynalock_benches::crowd::Load;
use dynalock_benches::figures::{Figures, OpenLoad, Overload};
use dynalock_benches::plot::{Plot, Scale};
use dynalock_benches::summary::{Clock, Setting, Summary};
use dynalock_benches::target::Target;
use dynalock_benches::way::Way;
use dynalock_benches::{Failure, document, ended, results};
use dynalock_tests::load::Patience;

fn main() -> ExitCode {
    ended(report())
}

fn report() -> Result<(), Failure> {
    let figures = Figures::read()?;
    let docs = results::repository().join("docs");
    fs::create_dir_all(docs.join("benchmarks"))?;
    fs::write(docs.join("benchmarks.md"), document::write(&figures)?)?;
    let plot = |name: &str| docs.join("benchmarks").join(name).with_extension("svg");
    if let Some(trials) = &figures.backoff {
        fs::write(docs.join("benchmarks/backoff.csv"), document::backoff::csv(trials)?)?;
    }
    if let Some(rows) = &figures.hot_key {
        let title = "One item, 4 ms away, one process: updates a second";
        for load in [Load::Burst, Load::Steady] {
            let (title, name) = (format!("{title} ({load})"), format!("hot_key_{load}"));
            draw(rows, load, &title, "tasks", |setting| setting.tasks, &plot(&name))?;
        }
    }
    if let Some(rows) = &figures.processes {
        let title = "One item, 3 to 5 ms away, 20 tasks in each process: updates a second";
        draw(rows, Load::Steady, title, "processes", |setting| setting.processes, &plot("processes"))?;
    }
    if let Some(overload) = &figures.overload {
        draw_stall(overload, &plot("overload_stall"))?;
    }
    for target in Target::all(&figures) {
        println!("{target}");
    }
    Ok(())
}

/// Draws the updates a second by the virtual clock, against what `count` counts.
fn draw(
    rows: &[Summary],
    load: Load,
    title: &str,
    across: &str,
    count: fn(Setting) -> u32,
    path: &Path,
) -> Result<(), Failure> {
    let is_meant = |setting: Setting| (setting.clock, setting.load) == (Clock::Virtual, load);
    let line = |way| {
        let rows = rows.iter().filter(|row| is_meant(row.setting) && row.setting.way == way);
        let points = rows.map(|row| (f64::from(count(row.setting)), row.updates_per_second));
        (way, points.collect::<Vec<_>>())
    };
    let lines = Way::ALL.into_iter().map(line).filter(|(_, points)| !points.is_empty()).collect();
    Plot { title, across, up: "updates a second", scale: Scale::Logarithmic, lines }.draw(path)
}

/// Draws how many calls were answered with success around the stall, by their beginnings, where callers drop their calls.
#[allow(clippy::cast_precision_loss)] // small numbers
fn draw_stall(overload: &Overload, path: &Path) -> Result<(), Failure> {
    let line = |run: &OpenLoad| {
        let middles = (0..).map(|span| Overload::SPAN.as_secs_f64() * (f64::from(span) + 0.5));
        let points = middles.zip(run.ends.iter().map(|ends| ends.percent_ok() as f64));
        (run.way, points.collect())
    };
    let dropped = overload.stalls.iter().filter(|run| matches!(run.load.patience, Patience::Dropped(_)));
    let begin = Overload::STALL_BEGINS;
    let [begin, end] = [begin, begin + Overload::STALL].map(|time| time.as_secs_f64());
    let plot = Plot {
        title: &format!("One item: answered with Ok, around a stall from {begin} s to {end} s"),
        across: "when the call began, in seconds",
        up: "percent of the calls",
        scale: Scale::Linear,
        lines: dropped.map(line).collect(),
    };
    plot.draw(path)
}
