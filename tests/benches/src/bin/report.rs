//! Turns what the benchmarks left behind into `docs/benchmarks.md` and its plots. `scripts/benchmarks` runs it last.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use dynalock_benches::contender::Way;
use dynalock_benches::crowd::Load;
use dynalock_benches::figures::Figures;
use dynalock_benches::plot::Plot;
use dynalock_benches::summary::{Clock, Setting, Summary};
use dynalock_benches::target::Target;
use dynalock_benches::{Failure, document, ended, results};

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
    Plot { title, across, up: "updates a second", lines }.draw(path)
}
