//! The service with a network behind it that fails by script, and another writer of the same table whose network never fails.

use std::io;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::Client;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, HeaderName, Request, StatusCode};
use dynalock::Table;
use dynalock::embedded::Engine;
use dynalock::testing::Faults;
use serde_json::{Value, json};
use tower::ServiceExt;
use tracing::dispatcher::DefaultGuard;
use tracing_subscriber::util::SubscriberInitExt;

use crate::log;
use crate::order::Order;
use crate::service::Service;

pub(super) const JSON: (&str, &str) = ("content-type", "application/json");
pub(super) const PATCH: (&str, &str) = ("content-type", "application/merge-patch+json");
/// Stands in all that a client sends that may not be seen in logs and problems.
pub(super) const SECRET: &str = "s3cret";

/// The service behind a network that fails by script, beside another writer of the same table whose network never fails.
pub(super) struct World {
    pub(super) router: Router,
    pub(super) faults: Faults,
    pub(super) others: Table<Order>,
    pub(super) log: Log,
    _logging: DefaultGuard,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl World {
    /// With the sample order.
    pub(super) async fn new() -> Self {
        let engine = Engine::in_memory();
        let faults = Faults::new(engine.http_client());
        let client = Client::from_conf(engine.config().http_client(faults.clone()).build());
        let others = Service::new(&engine.client()).orders;
        others.create_table().await.unwrap();
        others.create(&mut Order::sample()).await.unwrap();
        let log = Log::default();
        let writer = log.clone();
        let logging = log::to(move || writer.clone()).set_default();
        Self { router: Service::new(&client).router(), faults, others, log, _logging: logging }
    }

    pub(super) async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        self.call_with_bytes(method, path, &headers, body).await
    }

    pub(super) async fn call_with_bytes(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &[u8])],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 100_000).await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        let answer = Answer { status: parts.status.as_u16(), headers: parts.headers, body };
        if answer.status >= 400 && method != "HEAD" {
            answer.is_problem();
        }
        answer
    }

    pub(super) async fn get(&self) -> Answer {
        let answer = self.call("GET", "/orders/A-1042", &[], "").await;
        assert_eq!(answer.status, 200);
        answer
    }

    pub(super) async fn etag(&self) -> String {
        self.get().await.header(&ETAG)
    }

    pub(super) async fn put(&self, seen: &str, order: &Value) -> Answer {
        self.call("PUT", "/orders/A-1042", &[JSON, ("if-match", seen)], order.to_string()).await
    }

    pub(super) async fn patch(&self, seen: &str, patch: &Value) -> Answer {
        self.call("PATCH", "/orders/A-1042", &[PATCH, ("if-match", seen)], patch.to_string()).await
    }

    pub(super) async fn delete(&self, seen: &str) -> Answer {
        self.call("DELETE", "/orders/A-1042", &[("if-match", seen)], "").await
    }

    /// Lets another writer set the note while the service's next request of `operation` waits.
    pub(super) fn overtake(&self, operation: &str) -> impl Future<Output = ()> {
        let gate = self.faults.hold_up(operation);
        async move {
            gate.reached().await;
            self.write_as_another().await;
            gate.open();
        }
    }

    /// The same, with a write that changes nothing but the version.
    pub(super) async fn touch_before(&self, operation: &str) {
        let gate = self.faults.hold_up(operation);
        gate.reached().await;
        let mut order = self.others.get(&Order::sample().id).await.unwrap().unwrap();
        self.others.touch(&mut order).await.unwrap();
        gate.open();
    }

    pub(super) async fn write_as_another(&self) {
        let theirs = crate::order::Content::of(&Order::sample().id, order("theirs")).ok().unwrap();
        let id = Order::sample().id;
        self.others.update(&id, |order| order.content = theirs.clone()).await.unwrap();
    }

    pub(super) fn has_logged_nothing_secret(&self) {
        let log = self.log.text();
        assert!(log.contains("answered method=") && log.contains("dynalock{operation="), "{log}");
        for secret in [SECRET, "a-1042", "leeds"] {
            assert!(!log.to_lowercase().contains(secret), "{log}");
        }
    }
}

impl Answer {
    pub(super) fn header(&self, name: &HeaderName) -> String {
        self.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    pub(super) fn is_problem(&self) {
        let told = format!("{} {}", self.status, self.body);
        assert_eq!(self.header(&CONTENT_TYPE), "application/problem+json", "{told}");
        assert_eq!(self.body["status"], self.status, "{told}");
        let title = StatusCode::from_u16(self.status).unwrap().canonical_reason();
        assert_eq!(self.body["title"].as_str(), title, "{told}");
        assert!(self.body["detail"].is_string(), "{told}");
        assert_eq!(self.headers["x-content-type-options"], "nosniff");
        assert_eq!(self.headers["cache-control"], "no-store");
        let mut said = self.body.clone();
        said.as_object_mut().unwrap().remove("current");
        assert!(!said.to_string().contains(SECRET), "{told}");
    }
}

/// What was logged, by the service and by dynalock.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A whole order with this note.
pub(super) fn order(note: &str) -> Value {
    json!({ "id": "A-1042", "address": "1 Mill Lane, Leeds", "boxes": 3, "note": note, "status": "paid" })
}
