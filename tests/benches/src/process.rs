//! Other processes, which are told lines and answer with lines.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::Failure;

/// A process that ends when its input does.
#[derive(Debug)]
pub struct Process {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    // Dropped after the input.
    reaper: Reaper,
}

impl Process {
    /// Starts this executable once more.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn of_this(arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Result<Self, Failure> {
        Self::start(Command::new(std::env::current_exe()?).args(arguments))
    }

    /// Starts a command.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn start(command: &mut Command) -> Result<Self, Failure> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take().ok_or("no input")?;
        let output = BufReader::new(child.stdout.take().ok_or("no output")?);
        Ok(Self { input, output, reaper: Reaper(child) })
    }

    /// Sends a line.
    ///
    /// # Errors
    ///
    /// If the process ended.
    pub fn tell(&mut self, line: &str) -> Result<(), Failure> {
        Ok(writeln!(self.input, "{line}")?)
    }

    /// Waits for a line.
    ///
    /// # Errors
    ///
    /// If the process ended.
    pub fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        match self.output.read_line(&mut line)? {
            0 => Err("a process ended early".into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }

    /// How long processors have worked for it so far; `None` where the system has no `/proc`.
    ///
    /// <https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>
    #[must_use]
    pub fn worked(&self) -> Option<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.reaper.0.id())).ok()?;
        // Behind the name, which may contain anything, the 12th and the 13th: of its own and of the kernel, in hundredths.
        let (_, fields) = stat.rsplit_once(')')?;
        let hundredths = fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().ok());
        Some(Duration::from_millis(hundredths.sum::<Option<u64>>()? * 10))
    }
}

/// Waits for a process's end.
#[derive(Debug)]
struct Reaper(Child);

impl Drop for Reaper {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = self.0.wait();
    }
}
