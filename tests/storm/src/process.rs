//! The processes of a storm: this program once more, in another role.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A process that ends by itself when its input does, also if this one was killed.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// Closed to ask for the end.
    input: Option<ChildStdin>,
    /// The first line that it printed.
    pub(crate) greeting: String,
}

impl Process {
    /// Starts a role and waits for its first line.
    pub(crate) fn start(role: &[&str]) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.args(role).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take();
        let mut greeting = String::new();
        // Closing the output ends the wait, whatever happens to the child.
        BufReader::new(child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?).read_line(&mut greeting)?;
        let process = Self { child, input, greeting: greeting.trim_end().to_owned() };
        if process.greeting.is_empty() {
            return Err(io::Error::other(format!("{role:?} ended at once")));
        }
        Ok(process)
    }

    /// SIGKILL, also where it is stopped.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// SIGSTOP, and SIGCONT after a while. A shell of its own does both, deaf to what ends the others: nobody stays stopped.
    pub(crate) fn pause(&self, time: Duration) -> io::Result<()> {
        let script = "trap '' HUP INT TERM; kill -STOP $0; sleep $1; kill -CONT $0";
        let (id, seconds) = (self.child.id().to_string(), time.as_secs_f64().to_string());
        // The id stays the child's until it is waited for, which nobody does meanwhile.
        let mut shell = Command::new("sh");
        shell
            .args(["-c", script, &id, &seconds])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        shell.status().map(drop)
    }

    pub(crate) fn ask_to_end(&mut self) {
        drop(self.input.take());
    }

    /// Asks for the end and waits for it; kills it after `time`. Returns whether it ended by itself, and well.
    pub(crate) fn end(mut self, time: Duration) -> io::Result<bool> {
        self.ask_to_end();
        let until = Instant::now() + time;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.success());
            }
            thread::sleep(Duration::from_millis(20));
        }
        self.kill()?;
        Ok(false)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.kill();
    }
}

/// Runs `then` when this process's input ends, that is when its parent wants it or is gone; ends this process some time after that,
/// or after `longest`, whatever it does.
pub(crate) fn on_end_of_input(longest: Duration, grace: Duration, then: impl FnOnce() + Send + 'static) {
    thread::spawn(move || {
        // Nobody writes into it, so nothing but the end can come.
        let _ = io::stdin().read(&mut [0]);
        then();
        thread::sleep(grace);
        std::process::exit(3);
    });
    thread::spawn(move || {
        thread::sleep(longest);
        std::process::exit(3);
    });
}
