//! How far a way has come, as a bar that fills.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::distance::Distance;

const WIDTH: u32 = 40;

/// What one way has done.
pub(crate) struct Lane {
    pub(crate) name: &'static str,
    length: u32,
    distance: Distance,
    began: Instant,
    passed: AtomicU32,
    /// In microseconds since the beginning.
    last: AtomicU64,
    longest: AtomicU64,
}

impl Lane {
    pub(crate) fn new(name: &'static str, length: u32, distance: Distance) -> Self {
        let (passed, last, longest) = Default::default();
        Self { name, length, distance, began: Instant::now(), passed, last, longest }
    }

    /// Counts one more update, and how long it took.
    pub(crate) fn passed(&self, wait: Duration) {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.passed.fetch_add(1, Ordering::Relaxed);
        self.longest.fetch_max(micros(wait), Ordering::Relaxed);
        self.last.fetch_max(micros(self.began.elapsed()), Ordering::Relaxed);
    }

    fn bar(&self) -> String {
        let passed = self.passed.load(Ordering::Relaxed);
        let full = "█".repeat((passed * WIDTH / self.length) as usize);
        let requests = self.distance.requests();
        format!("   {:<13} {full:░<40} {passed:>3} updates, {requests:>4} requests", self.name)
    }

    /// What it came to, as a row of a table.
    pub(crate) fn summary(&self) -> String {
        let time = |micros: &AtomicU64| Duration::from_micros(micros.load(Ordering::Relaxed));
        let updates = f64::from(self.passed.load(Ordering::Relaxed));
        let (per_second, requests) =
            (updates / time(&self.last).as_secs_f64(), f64::from(self.distance.requests()) / updates);
        let longest = time(&self.longest).as_millis();
        format!("   {:<13} {per_second:>10.0}   {requests:>18.2}   {longest:>9} ms", self.name)
    }

    /// Shows the bar as it fills: in place on a terminal, else now and then. Never ends.
    pub(crate) async fn show(&self) {
        let every = Duration::from_millis(if io::stdout().is_terminal() { 50 } else { 1000 });
        loop {
            tokio::time::sleep(every).await;
            self.draw("");
        }
    }

    /// Leaves the bar as it is in the end.
    pub(crate) fn draw_last(&self) {
        self.draw("\n");
    }

    fn draw(&self, end: &str) {
        let mut stdout = io::stdout();
        let is_terminal = stdout.is_terminal();
        let (begin, end) = if is_terminal { ("\r", end) } else { ("", "\n") };
        // A view that can't be shown does no harm to the counter.
        let _ = write!(stdout, "{begin}{}{end}", self.bar()).and_then(|()| stdout.flush());
    }
}
