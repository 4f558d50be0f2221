//! Other processes, which are told lines and answer with lines.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::Failure;

/// A process that ends when its input does.
#[derive(Debug)]
pub struct Process {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    // Dropped after the input.
    _reaper: Reaper,
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
        Ok(Self { input, output, _reaper: Reaper(child) })
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
