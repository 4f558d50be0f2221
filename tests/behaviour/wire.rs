//! The wire to a store, on which something happens between two requests.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex},
};

use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};
use dynalock_tests::middleware::{Middleware, operation};
use serde_json::Value;

type Event = Pin<Box<dyn Future<Output = ()> + Send>>;
type Edit = Box<dyn FnOnce(Value, Value) -> Value + Send>;

enum Act {
    Before(Event),
    Edit(Edit),
}

/// Passes requests on; clones share what is to happen.
#[derive(Clone, Default)]
pub(crate) struct Wire {
    acts: Acts,
}

type Acts = Arc<Mutex<VecDeque<(&'static str, Act)>>>;

impl Wire {
    /// Lets `event` happen before the next request of `operation` that has no other act.
    pub(crate) fn before(&self, operation: &'static str, event: impl Future<Output = ()> + Send + 'static) {
        self.add(operation, Act::Before(Box::pin(event)));
    }

    /// Gives the reply to the next such request another body, made of the bodies of request and reply.
    pub(crate) fn edit(
        &self,
        operation: &'static str,
        edit: impl FnOnce(Value, Value) -> Value + Send + 'static,
    ) {
        self.add(operation, Act::Edit(Box::new(edit)));
    }

    fn add(&self, operation: &'static str, act: Act) {
        self.acts.lock().unwrap().push_back((operation, act));
    }

    /// Whether all of it has happened.
    pub(crate) fn is_over(&self) -> bool {
        self.acts.lock().unwrap().is_empty()
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

impl Middleware for Wire {
    fn handle(&self, request: HttpRequest, inner: &SharedHttpConnector) -> HttpConnectorFuture {
        let operation = operation(&request);
        let act = {
            let mut acts = self.acts.lock().unwrap();
            let next = acts.iter().position(|(named, _)| *named == operation);
            next.and_then(|next| acts.remove(next)).map(|(_, act)| act)
        };
        let inner = inner.clone();
        HttpConnectorFuture::new(async move {
            match act {
                None => inner.call(request).await,
                Some(Act::Before(event)) => {
                    event.await;
                    inner.call(request).await
                }
                Some(Act::Edit(edit)) => {
                    let asked = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
                    edited(inner.call(request).await?, |reply| edit(asked, reply)).await
                }
            }
        })
    }
}

async fn edited(
    mut response: HttpResponse,
    edit: impl FnOnce(Value) -> Value,
) -> Result<HttpResponse, ConnectorError> {
    let body = ByteStream::new(response.take_body()).collect().await;
    let body = body.map_err(|error| ConnectorError::io(error.into()))?.to_vec();
    *response.body_mut() = SdkBody::from(edit(serde_json::from_slice(&body).unwrap()).to_string());
    Ok(response)
}
