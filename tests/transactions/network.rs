//! A network on which requests and replies are lost now and then.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use dynalock::testing::{Fault, Faults, Reply};
use dynalock_tests::engines::{Store, sdk_retries};
use dynalock_tests::middleware::{Middleware, operation};
use dynalock_tests::runtimes::hasty;
use fastrand::Rng;

/// Of 100 requests, so many go wrong.
const FAULTS: u32 = 12;

/// A client of `store` behind a network of its own, whose faults are drawn from `seed`.
pub(crate) fn client(store: &Store, seed: u64) -> Client {
    let (faults, dice) = (Faults::new(store.http_client()), Arc::new(Mutex::new(Rng::with_seed(seed))));
    let config = store.config().retry_config(hasty(sdk_retries(), Duration::from_millis(2)));
    let network = Network { faults: faults.clone(), dice };
    Client::from_conf(config.http_client(network.wrap(faults)).build())
}

#[derive(Clone, Debug)]
struct Network {
    faults: Faults,
    dice: Arc<Mutex<Rng>>,
}

impl Middleware for Network {
    fn handle(&self, request: HttpRequest, inner: &SharedHttpConnector) -> HttpConnectorFuture {
        let operation = operation(&request);
        let dice = &mut *self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        // A program sends one request at a time, so this strikes the one that is sent now.
        self.faults.script(operation, (dice.u32(..100) < FAULTS).then(|| draw(operation, dice)));
        inner.call(request)
    }
}

fn draw(operation: &str, dice: &mut Rng) -> Fault {
    let refusal = |exception| Fault::Instead(Reply::new(400, exception));
    match (dice.u32(..10), operation) {
        (0 | 1, _) => Fault::ReplyLost,
        (2, _) => Fault::RequestLost,
        (3, _) => Fault::After(Reply::internal_server_error()),
        (4, _) => Fault::Instead(Reply::internal_server_error()),
        (5, _) => Fault::DeliveredLate(Duration::from_millis(dice.u64(..50))),
        // Without write stamps, nothing tells of the first of two other writes.
        (6, "TransactWriteItems") => Fault::DeliveredTwice,
        (6 | 7, _) => Fault::Truncated,
        (8, "TransactWriteItems") => refusal("TransactionInProgressException"),
        (8, "PutItem" | "UpdateItem") => refusal("TransactionConflictException"),
        _ => refusal("ThrottlingException"),
    }
}
