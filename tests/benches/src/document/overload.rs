//! The section about more calls than an item can serve, and about a stall of the store.

use std::fmt::{self, Write};
use std::ops::Range;

use dynalock_tests::load::Ends;

use super::significant;
use crate::figures::{OpenLoad, Overload, percent};

const INTRODUCTION: &str = "
## More calls than can be served

![Percent of the calls that end in Ok, around a stall](benchmarks/overload_stall.svg)

For applications whose callers wait less than a second, such as web handlers: how many of them get their answer in time if too
many come, or if the store stops for a moment. Calls begin at a fixed rate, whether or not the earlier ones have ended, and each
adds 1 to the same item. The store is the embedded engine, and each request takes 4 to 6 ms, at random. It never throttles and loses
no reply: with a deadline of 300 ms, either makes most of the calls fail that it strikes (see *Timeouts* on the guide's page
`contention`). The clock is virtual. A turn is one write, so that callers who take turns make at most 200 updates a second.

Each caller waits 300 ms. *Deadline* means `Retry::deadline`, which ends in an answer. *Dropped* means that the caller drops its
call after that time, as `tokio::time::timeout` does. The naive loop has no deadline of its own.

Calls begin for 12 s, and the table is about those of the 10 s in the middle. *Goodput* is how many calls of a second end in
`Ok`. A *busy* call was not applied. One that is *unknown* or *dropped* may have been.

- Callers that take turns get as many updates a second at four times the capacity as at the capacity, for one write each. With a
  deadline, the others know that their updates were not applied. Where callers drop their calls, one write in 20 is for a caller
  that has left.
- All callers that share writes are served, at 10,000 calls a second as well, where one write serves 50 of them.
- The naive loop loses more than a third of the updates at the capacity itself, and takes nearly 5 writes for each of the others. At
  four times the capacity it takes more than 20 of them. That is 4,000 writes a second, far beyond what DynamoDB takes for an
  item; this engine never throttles.

";

const STALL: &str = "
The plot and the next table show a stall. From 1.0 s to 1.7 s after the load begins, the store receives no request; those that are
sent meanwhile arrive at the end, unless they were given up. 130 calls begin in each second, two thirds of what turns can serve, and
1,000 where callers share writes. The columns are the percentage of calls that end in `Ok`, by the time at which they begin. The
plot shows the callers that drop their calls.

- Callers that begin when the stall is over are served, in turns and where they share writes. Nobody can serve a caller
  that gives up before the stall ends: of those that begin during it, 43 % wait until then.
- Of these, nearly all are served where callers drop their calls, and fewer where they have deadlines. This concerns the stall
  alone. In turns, deadlines that pass are a sign of overload, so that the newest caller goes first, and the turns that are left are
  too few for the older ones. A caller that is dropped while it has the turn is no such sign. Here each of them is, so that the order
  stays that of arrival, and turns are faster than calls come. Where callers share writes, the turn that ends the stall has taken so
  long that a caller with less than about 120 ms left is `Busy`. Of a call that is going to be dropped, nobody knows that.
- The few calls that end unknown had sent their write when their deadlines came.
- The naive loop recovers too, since its callers give up, but without a stall as well it does not serve all of them in time.

";

/// Spans of time around the stall, by the tenths of a second.
const TIMES: [(&str, Range<usize>); 4] = [
    ("before it", 0..10),
    ("during it", 10..17),
    ("in the second after it", 17..27),
    ("later than 2 s after it", 37..50),
];

/// Writes the section.
pub(super) fn write(page: &mut String, figures: &Overload) -> fmt::Result {
    page.push_str(INTRODUCTION);
    page.push_str(
        "| | patience | calls/s | goodput, Ok/s | writes for an Ok | busy | unknown | dropped |\n|---|---|---:|---:|---:|---:|---:|---:|\n",
    );
    figures.rates.iter().try_for_each(|run| rate(page, run))?;
    page.push_str(STALL);
    let heads = TIMES.map(|(name, _)| name).join(" | ");
    writeln!(page, "| | patience | calls/s | {heads} | unknown |\n|---|---|---:|---:|---:|---:|---:|---:|")?;
    figures.stalls.iter().try_for_each(|run| stall(page, run))
}

fn rate(page: &mut String, run: &OpenLoad) -> fmt::Result {
    let ends = run.all();
    let [busy, unknown, dropped] =
        [ends.busy, ends.unknown, ends.dropped].map(|count| significant(percent(count, &ends)));
    writeln!(
        page,
        "| {} | {} | {} | {} | {:.2} | {busy} % | {unknown} % | {dropped} % |",
        run.way.name(),
        run.patience(),
        run.load.rate,
        significant(run.goodput()),
        run.writes_per_update,
    )
}

fn stall(page: &mut String, run: &OpenLoad) -> fmt::Result {
    write!(page, "| {} | {} | {} |", run.way.name(), run.patience(), run.load.rate)?;
    for (_, time) in TIMES {
        let ends: Ends = run.ends[time].iter().sum();
        write!(page, " {} % |", significant(percent(ends.ok, &ends)))?;
    }
    let all = run.all();
    writeln!(page, " {} % |", significant(percent(all.unknown, &all)))
}
