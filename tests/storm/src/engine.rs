//! The store of a storm: the embedded engine on a file, behind a socket, in a process of its own that may be killed.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Failure;
use crate::process::{Process, on_end_of_input};

/// The role: serves the file at `path` until the input ends.
pub(crate) fn serve(path: &str, longest: Duration) -> Result<(), Failure> {
    on_end_of_input(longest, Duration::ZERO, || std::process::exit(0));
    // A write is in the file's log before it is answered. A process that is killed loses nothing that the system has taken.
    let database = dynoxide::Database::new(path)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?);
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(async {
        dynoxide::server::serve_on(tokio::net::TcpListener::from_std(listener)?, database).await;
        Ok(())
    })
}

/// The engine's process.
#[derive(Debug)]
pub(crate) struct Engine {
    file: PathBuf,
    longest: Duration,
    process: Process,
}

impl Engine {
    pub(crate) fn start(file: &Path, longest: Duration) -> io::Result<Self> {
        let seconds = longest.as_secs().to_string();
        let process = Process::start(&["engine", &file.to_string_lossy(), &seconds])?;
        Ok(Self { file: file.to_owned(), longest, process })
    }

    /// Where it listens: another port after each start.
    pub(crate) fn address(&self) -> Result<SocketAddr, Failure> {
        Ok(self.process.greeting.parse()?)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.process.greeting)
    }

    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.process.kill()
    }

    /// Starts it again, after it was killed.
    pub(crate) fn restart(&mut self) -> io::Result<()> {
        *self = Self::start(&self.file, self.longest)?;
        Ok(())
    }

    pub(crate) fn pause(&self, time: Duration) -> io::Result<()> {
        self.process.pause(time)
    }
}
