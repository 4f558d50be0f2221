//! A program that writes with dynalock: a table, and the callers that share it.

use std::panic::resume_unwind;

use tokio::task::JoinSet;

use crate::{
    caller::{Setting, Sharing},
    document::Document,
    sender,
    writer::Writer,
};

/// Lets each of so many callers make its calls.
pub(crate) async fn program<D: Document>(setting: Setting, seed: u64, callers: u32, sharing: Sharing) {
    let mut first = Writer::<D>::new(&setting, seed, sharing);
    let table = first.table().clone();
    let mut writers: Vec<_> = (1..callers).map(|_| first.colleague()).collect();
    writers.push(first);
    let mut tasks = JoinSet::new();
    for writer in writers {
        tasks.spawn(sender::task(writer.run(setting.calls)));
    }
    while let Some(ended) = tasks.join_next().await {
        if let Err(failed) = ended {
            resume_unwind(failed.into_panic());
        }
    }
    let shown = format!("{table:?}");
    assert!(shown.contains("busy_items: 0"), "I9: a queue is left behind: {shown}");
}
