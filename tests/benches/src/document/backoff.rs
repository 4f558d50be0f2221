//! The section about what to do after a conflict.

use std::fmt::{self, Write};

use super::significant;
use crate::crowd::Load;
use crate::policy::Policy;
use crate::rivals::{Scene, Trial};

const INTRODUCTION: &str = "
## After a conflict

What dynalock does after a conflict was chosen from these tables. They come from a simulation of nothing but the requests, each 3 to
5 ms long, so that they are the same on each machine; `cargo bench -p dynalock-benches --bench backoff` repeats it, and
[backoff.csv](benchmarks/backoff.csv) has all scenes with each jitter, number of tries at once, and order.

By default, dynalock tries twice at once, with the item that came with the refusal. Then it sleeps at random up to 10 ms, doubling to
250 ms (*full jitter*), reads the item, and tries again, for 30 s or 512 times. While other callers of the same table wait for
the item, the tries at once begin anew after each sleep: whoever leads others stands for all of them.

As DynamoDB does, the simulated store takes 1,000 writes a second for an item, refused ones included, and those of one more second
if they were not used. It throttles what exceeds that, which costs nothing. The SDK then sends the write again, after up to 1 s and
after up to 2 s, as long as its retry quota lasts; after that dynalock does, after its next delay. A steady load lasts 120 s here.

- *Read, then sleep* wakes with an old item, fails again, and under a steady load is served either at once or never. Where DynamoDB throttles, it falls far behind.
- *Equal* and *decorrelated* jitter sleep longer where many come at once, and the last of a burst is through later.
- Without tries at once, an update takes the fewest writes of all that read after they slept, as long as nothing is throttled, and processes that take turns are unfair.
- A higher limit saves writes, but makes some wait long: with 1 s, the last of a burst is through after nearly twice the time. A lower one costs writes.
- The limit is reached by some 40 writers with a table each, and by 50 processes that take turns. The latter still make 250 updates/s,
  which is all that one item 4 ms away can take, and a twentieth of their writes is throttled. 100 writers with a table each lose
  little; of 500, more writes are throttled than taken, and the first calls give up.
- A delay of its own *after throttling*, of up to 1 s, changes nothing below some 500 writers with a table each: the SDK's own delays
  come first. To *read after throttling*, instead of sending the outdated write again, helps these as well, and no others.
";

const SCENES: [(&str, Scene); 6] = [
    (
        "A burst of 100 writers, with a table each",
        Scene { load: Load::Burst, processes: 1, writers: 100, queue: false },
    ),
    (
        "A steady load by 10 writers, with a table each",
        Scene { load: Load::Steady, processes: 1, writers: 10, queue: false },
    ),
    (
        "A burst of 5 processes with 50 writers each, which take turns",
        Scene { load: Load::Burst, processes: 5, writers: 50, queue: true },
    ),
    (
        "A steady load by 5 processes with 50 writers each, which take turns",
        Scene { load: Load::Steady, processes: 5, writers: 50, queue: true },
    ),
    (
        "A steady load by 50 processes with 10 writers each, which take turns",
        Scene { load: Load::Steady, processes: 50, writers: 10, queue: true },
    ),
    (
        "A steady load by 5 processes with 100 writers each, with a table each",
        Scene { load: Load::Steady, processes: 5, writers: 100, queue: false },
    ),
];

/// Writes the section.
pub(super) fn write(page: &mut String, trials: &[Trial]) -> fmt::Result {
    page.push_str(INTRODUCTION);
    for (title, scene) in SCENES {
        writeln!(
            page,
            "\n{title}:\n\n| | updates/s | requests for an update | writes for an update | throttled for an update | wait, \
             median | wait, 99 % | longest wait | gave up |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|"
        )?;
        for policy in Policy::variations() {
            let trial = trials.iter().find(|trial| trial.policy == policy && trial.scene == scene);
            trial.map_or(Ok(()), |trial| line(page, trial))?;
        }
    }
    grid(page, trials)
}

fn line(page: &mut String, trial: &Trial) -> fmt::Result {
    writeln!(
        page,
        "| {} | {} | {:.2} | {:.2} | {:.2} | {} ms | {} ms | {} ms | {} % |",
        trial.policy.difference(),
        significant(trial.updates_per_second),
        trial.requests_per_update,
        trial.writes_per_update,
        trial.throttled_per_update,
        significant(trial.p50_ms),
        significant(trial.p99_ms),
        significant(trial.longest_ms),
        significant(trial.gave_up),
    )
}

/// dynalock's own figures in all scenes: updates a second, and writes for each of them, with those that were throttled.
fn grid(page: &mut String, trials: &[Trial]) -> fmt::Result {
    page.push_str(
        "\ndynalock in all scenes, as updates/s and writes for an update, + throttled ones:\n\n| processes x writers | burst, a table \
         each | burst, one table a process | steady, a table each | steady, one table a process |\n|---|---:|---:|---:|---:|\n",
    );
    for processes in Scene::PROCESSES {
        for writers in Scene::writers(processes) {
            write!(page, "| {processes} x {writers} |")?;
            for load in [Load::Burst, Load::Steady] {
                for queue in [false, true] {
                    let scene = Scene { load, processes, writers, queue };
                    let is_meant = |trial: &&Trial| trial.policy == Policy::DYNALOCK && trial.scene == scene;
                    if let Some(trial) = trials.iter().find(is_meant) {
                        let updates = significant(trial.updates_per_second);
                        write!(page, " {updates}, {:.2}", trial.writes_per_update)?;
                        if trial.throttled_per_update >= 0.005 {
                            write!(page, " + {:.2}", trial.throttled_per_update)?;
                        }
                        page.push_str(" |");
                    }
                }
            }
            page.push('\n');
        }
    }
    Ok(())
}

/// All trials as comma-separated values.
///
/// # Errors
///
/// None: a `String` takes everything.
pub fn csv(trials: &[Trial]) -> Result<String, fmt::Error> {
    let mut table = String::from(
        "load,processes,writers,in_turn,jitter,tries_at_once,renewed,order,throttled,first_ms,max_ms,attempts,updates_per_second,\
         requests_per_update,writes_per_update,throttled_per_update,p50_ms,p99_ms,longest_ms,gave_up_percent\n",
    );
    for trial in trials {
        let Scene { load, processes, writers, queue } = trial.scene;
        let Policy { jitter, immediate, renewal, order, throttled, first_ms, max_ms, attempts } =
            trial.policy;
        writeln!(
            table,
            "{load},{processes},{writers},{queue},{jitter},{immediate},{renewal},\"{order}\",{throttled},{first_ms},{max_ms},{attempts},\
             {:.0},{:.2},{:.2},{:.2},{:.0},{:.0},{:.0},{:.2}",
            trial.updates_per_second,
            trial.requests_per_update,
            trial.writes_per_update,
            trial.throttled_per_update,
            trial.p50_ms,
            trial.p99_ms,
            trial.longest_ms,
            trial.gave_up,
        )?;
    }
    Ok(table)
}
