//! A journal of what the tests do with the chosen store, which `scripts/engines` reads: a line for each request, and one for
//! each test that is skipped.
//!
//! It is written to the file that `DYNALOCK_JOURNAL` names, and nowhere if there is none. A line has the test, what
//! happened, and how many bytes the request has or why the test is skipped, with tabs between them.

use std::io::Write;
use std::{env, fmt::Display, fs::OpenOptions, thread};

use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector},
    orchestrator::HttpRequest,
};

use crate::middleware::{Middleware, operation};

/// Notes that the running test is skipped.
pub(crate) fn skipped(reason: &str) {
    note(&test(), "skipped", reason);
}

/// Notes each request that the running test sends through `inner`.
pub(crate) fn requests(inner: SharedHttpClient) -> SharedHttpClient {
    match env::var_os("DYNALOCK_JOURNAL") {
        Some(_) => Noted { test: test() }.wrap(inner),
        None => inner,
    }
}

/// A test runs on a thread of its name, whatever its runtime starts besides.
fn test() -> String {
    thread::current().name().unwrap_or("?").to_owned()
}

fn note(test: &str, what: &str, more: impl Display) {
    let Some(path) = env::var_os("DYNALOCK_JOURNAL") else { return };
    let file = OpenOptions::new().create(true).append(true).open(path);
    // In one piece, since other tests write too.
    let line = format!("{test}\t{what}\t{more}\n");
    file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the journal can be written");
}

#[derive(Clone, Debug)]
struct Noted {
    test: String,
}

impl Middleware for Noted {
    fn handle(&self, request: HttpRequest, inner: &SharedHttpConnector) -> HttpConnectorFuture {
        let bytes = request.body().bytes().map_or(0, <[u8]>::len);
        note(&self.test, operation(&request), bytes);
        inner.call(request)
    }
}
