//! Who sends a request. Callers that share a table share its client too, so that only the task tells whose call it is that
//! sends: not always the one whose change it is.

use std::cell::Cell;

tokio::task_local! {
    static SENDER: Sender;
}

#[derive(Debug, Default)]
struct Sender {
    program: Cell<u32>,
    call: Cell<u32>,
    requests: Cell<u32>,
}

/// Runs a task that makes one call at a time.
pub(crate) fn task<F: Future>(task: F) -> impl Future<Output = F::Output> {
    SENDER.scope(Sender::default(), task)
}

/// From now on, what this task sends belongs to `call`, which `program` makes.
pub(crate) fn begin(program: u32, call: u32) {
    SENDER.with(|sender| {
        sender.program.set(program);
        sender.call.set(call);
        sender.requests.set(0);
    });
}

/// Counts a request, and returns the program and the call that it belongs to.
pub(crate) fn count() -> (u32, u32) {
    SENDER.with(|sender| {
        sender.requests.set(sender.requests.get() + 1);
        (sender.program.get(), sender.call.get())
    })
}

/// How many requests the present call has sent.
pub(crate) fn requests() -> u32 {
    SENDER.with(|sender| sender.requests.get())
}
