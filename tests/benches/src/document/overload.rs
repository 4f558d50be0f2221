//! The section about more calls than an item can serve, and about a stall of the store.

use std::fmt::{self, Write};
use std::time::Duration;

use dynalock_tests::load::Ends;

use super::significant;
use crate::figures::{OpenLoad, Overload, percent};

const INTRODUCTION: &str = "
## More calls than can be served

";

/// Writes the section.
pub(super) fn write(page: &mut String, figures: &Overload) -> fmt::Result {
    page.push_str(INTRODUCTION);
    page.push_str(
        "| | patience | calls/s | goodput, Ok/s | busy | unknown | dropped |\n|---|---|---:|---:|---:|---:|---:|\n",
    );
    figures.rates.iter().try_for_each(|run| rate(page, run))
}

fn rate(page: &mut String, run: &OpenLoad) -> fmt::Result {
    let ends = run.all();
    let [busy, unknown, dropped] =
        [ends.busy, ends.unknown, ends.dropped].map(|count| significant(percent(count, &ends)));
    writeln!(
        page,
        "| {} | {} | {} | {} | {busy} % | {unknown} % | {dropped} % |",
        run.way.name(),
        run.patience(),
        run.load.rate,
        significant(run.goodput()),
    )
}
