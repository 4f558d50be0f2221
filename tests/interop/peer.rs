//! A client in another language, in a process of its own.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::Failure;
use crate::ledger::{Ledger, Seen};

/// A client that writes with what it knows of optimistic locking, and is no dynalock.
#[derive(Debug)]
pub(crate) struct Peer {
    process: Child,
    /// Closed at the end, which ends the process.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// A check failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused;

impl Peer {
    /// Starts `script` with `python`.
    pub(crate) fn start(python: &str, script: &Path, arguments: &[&str]) -> Result<Self, Failure> {
        let mut command = Command::new(python);
        command.arg(script).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().ok_or("the peer has no output")?);
        Ok(Self { process, input, output })
    }

    pub(crate) fn create(&mut self, id: &str, writer: &str) -> Result<Result<(), Refused>, Failure> {
        let answer: Value = self.ask(&json!({ "do": "create", "id": id, "writer": writer }))?;
        Ok(unless_refused(&answer))
    }

    /// Reads an item, which the peer then holds.
    pub(crate) fn read(&mut self, id: &str) -> Result<Option<Seen>, Failure> {
        let mut answer: Value = self.ask(&json!({ "do": "read", "id": id }))?;
        let mut item = answer["item"].take();
        if !item.is_null() {
            item["id"] = json!(id);
        }
        Ok(serde_json::from_value(item)?)
    }

    /// Writes the item that it holds; the version that it then has.
    pub(crate) fn write(&mut self, id: &str, writer: &str) -> Result<Result<u64, Refused>, Failure> {
        let answer: Value = self.ask(&json!({ "do": "write", "id": id, "writer": writer }))?;
        match unless_refused(&answer) {
            Ok(()) => Ok(Ok(answer["version"].as_u64().ok_or("a write without a version")?)),
            Err(refused) => Ok(Err(refused)),
        }
    }

    /// Deletes the item that it holds.
    pub(crate) fn delete(&mut self, id: &str) -> Result<Result<(), Refused>, Failure> {
        Ok(unless_refused(&self.ask(&json!({ "do": "delete", "id": id }))?))
    }

    /// Lets a thread for each of `writers` write that many times, the items in turn.
    pub(crate) fn hammer(
        &mut self,
        items: &[String],
        writers: &[String],
        times: usize,
    ) -> Result<Ledger, Failure> {
        self.ask(&json!({ "do": "hammer", "items": items, "writers": writers, "times": times }))
    }

    fn ask<T: DeserializeOwned>(&mut self, command: &Value) -> Result<T, Failure> {
        let input = self.input.as_mut().ok_or("the peer has no input")?;
        writeln!(input, "{command}")?;
        let mut answer = String::new();
        if self.output.read_line(&mut answer)? == 0 {
            return Err("a peer ended early".into());
        }
        let answer: Value = serde_json::from_str(&answer)?;
        match answer["failed"].as_str() {
            Some(failure) => Err(failure.into()),
            None => Ok(serde_json::from_value(answer)?),
        }
    }
}

fn unless_refused(answer: &Value) -> Result<(), Refused> {
    if answer["refused"] == true { Err(Refused) } else { Ok(()) }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.input = None;
        // Nobody is left to be told.
        let _ = self.process.wait();
    }
}
