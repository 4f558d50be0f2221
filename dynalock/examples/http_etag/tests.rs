//! The service as its clients see it, with a network behind it that fails by script. Whatever the answer, [`World::call`]
//! checks that an error is a problem, in words of the service's own.

use std::io;
use std::iter::repeat_n;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::Client;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{ALLOW, CONTENT_TYPE, ETAG, LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, Request, StatusCode};
use dynalock::Table;
use dynalock::embedded::Engine;
use dynalock::testing::{Fault, Faults, Reply};
use serde_json::{Value, json};
use tokio::{join, select};
use tower::ServiceExt;
use tracing::dispatcher::DefaultGuard;
use tracing_subscriber::util::SubscriberInitExt;

use crate::log;
use crate::order::Order;
use crate::service::Service;

const JSON: (&str, &str) = ("content-type", "application/json");
const PATCH: (&str, &str) = ("content-type", "application/merge-patch+json");
/// Stands in all that a client sends that may not be seen in logs and problems.
const SECRET: &str = "s3cret";

/// The service behind a network that fails by script, beside another writer of the same table whose network never fails.
struct World {
    router: Router,
    faults: Faults,
    others: Table<Order>,
    log: Log,
    _logging: DefaultGuard,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl World {
    /// With the sample order.
    async fn new() -> Self {
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

    async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        self.call_with_bytes(method, path, &headers, body).await
    }

    async fn call_with_bytes(
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

    async fn get(&self) -> Answer {
        let answer = self.call("GET", "/orders/A-1042", &[], "").await;
        assert_eq!(answer.status, 200);
        answer
    }

    async fn etag(&self) -> String {
        self.get().await.header(&ETAG)
    }

    async fn put(&self, seen: &str, order: &Value) -> Answer {
        self.call("PUT", "/orders/A-1042", &[JSON, ("if-match", seen)], order.to_string()).await
    }

    async fn patch(&self, seen: &str, patch: &Value) -> Answer {
        self.call("PATCH", "/orders/A-1042", &[PATCH, ("if-match", seen)], patch.to_string()).await
    }

    async fn delete(&self, seen: &str) -> Answer {
        self.call("DELETE", "/orders/A-1042", &[("if-match", seen)], "").await
    }

    /// Lets another writer set the note while the service's next request of `operation` waits.
    fn overtake(&self, operation: &str) -> impl Future<Output = ()> {
        let gate = self.faults.hold_up(operation);
        async move {
            gate.reached().await;
            self.write_as_another().await;
            gate.open();
        }
    }

    /// The same, with a write that changes nothing but the version.
    async fn touch_before(&self, operation: &str) {
        let gate = self.faults.hold_up(operation);
        gate.reached().await;
        let mut order = self.others.get(&Order::sample().id).await.unwrap().unwrap();
        self.others.touch(&mut order).await.unwrap();
        gate.open();
    }

    async fn write_as_another(&self) {
        let theirs = crate::order::Content::of(&Order::sample().id, order("theirs")).ok().unwrap();
        let id = Order::sample().id;
        self.others.update(&id, |order| order.content = theirs.clone()).await.unwrap();
    }
}

impl Answer {
    fn header(&self, name: &HeaderName) -> String {
        self.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    fn is_problem(&self) {
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
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
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
fn order(note: &str) -> Value {
    json!({ "id": "A-1042", "address": "1 Mill Lane, Leeds", "boxes": 3, "note": note, "status": "paid" })
}

#[tokio::test(start_paused = true)]
async fn an_order_is_read_with_its_version_as_strong_tag() {
    let world = World::new().await;
    let answer = world.get().await;
    let version = world.others.get(&Order::sample().id).await.unwrap().unwrap().version;
    assert_eq!(answer.header(&ETAG), format!("\"{version}\""));
    assert_eq!(answer.header(&CONTENT_TYPE), "application/json");
    assert_eq!(answer.headers["cache-control"], "no-cache");
    let sample = json!({
        "id": "A-1042", "address": "12 Harbour Street, Bristol", "boxes": 2, "note": "Ring twice.", "status": "new",
    });
    assert_eq!(answer.body, sample);

    let head = world.call("HEAD", "/orders/A-1042", &[], "").await;
    assert_eq!((head.status, head.header(&ETAG)), (200, answer.header(&ETAG)));
}

#[tokio::test(start_paused = true)]
async fn what_a_client_has_already_is_not_sent_again() {
    let world = World::new().await;
    let tag = world.etag().await;
    let weak = format!("W/{tag}");
    let several = format!("\"1\", ,{weak},");
    for (name, value, status) in [
        ("if-none-match", tag.as_str(), 304),
        ("if-none-match", &weak, 304),
        ("if-none-match", &several, 304),
        ("if-none-match", "*", 304),
        ("if-none-match", "\"1\"", 200),
        ("if-match", &tag, 200),
        ("if-match", "*", 200),
        ("if-match", &weak, 412),
        ("if-match", "\"1\"", 412),
    ] {
        let answer = world.call("GET", "/orders/A-1042", &[(name, value)], "").await;
        assert_eq!(answer.status, status, "{name}: {value}");
        assert_eq!(answer.header(&ETAG), tag);
        assert_eq!(answer.body.is_null(), status == 304, "a 304 has no body");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_order_is_created_once() {
    let world = World::new().await;
    let new = json!({ "id": "order_2", "address": "1 Mill Lane", "boxes": 1, "note": "", "status": "new" });
    let create = || world.call("POST", "/orders", &[JSON], new.to_string());
    let created = create().await;
    assert_eq!((created.status, created.header(&LOCATION)), (201, "/orders/order_2".into()));
    assert_eq!(created.body, new);
    let read = world.call("GET", "/orders/order_2", &[], "").await;
    assert_eq!((&read.body, read.header(&ETAG)), (&new, created.header(&ETAG)));

    let again = create().await;
    assert_eq!(
        (again.status, &again.body["current"], again.header(&ETAG)),
        (409, &new, created.header(&ETAG))
    );

    let put = |path: &'static str| {
        world.call("PUT", path, &[JSON, ("if-none-match", "*")], {
            json!({ "address": "2 Mill Lane", "boxes": 1, "note": "", "status": "new" }).to_string()
        })
    };
    let created = put("/orders/order_3").await;
    assert_eq!((created.status, created.header(&LOCATION)), (201, "/orders/order_3".into()));
    let again = put("/orders/order_2").await;
    assert_eq!((again.status, &again.body["current"]), (412, &new), "RFC 9110 wants this one of a condition");
}

#[tokio::test(start_paused = true)]
async fn a_change_of_what_the_client_has_seen_is_made() {
    let world = World::new().await;
    let seen = world.etag().await;
    let put = world.put(&seen, &order("new")).await;
    assert_eq!((put.status, &put.body), (200, &order("new")));
    assert_ne!(put.header(&ETAG), seen);

    let patch = world.patch(&put.header(&ETAG), &json!({ "note": "patched", "boxes": 9 })).await;
    let mut patched = order("patched");
    patched["boxes"] = json!(9);
    assert_eq!((patch.status, &patch.body), (200, &patched));
    let read = world.get().await;
    assert_eq!((&read.body, read.header(&ETAG)), (&patched, patch.header(&ETAG)));

    let deleted = world.delete(&patch.header(&ETAG)).await;
    assert_eq!((deleted.status, deleted.body), (204, Value::Null));
    assert_eq!(world.call("GET", "/orders/A-1042", &[], "").await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_anything_else_is_refused_with_the_current_order() {
    let world = World::new().await;
    let seen = world.etag().await;
    world.write_as_another().await;
    let current = world.get().await;
    let weak = format!("W/{}", current.header(&ETAG));
    let number = current.header(&ETAG).trim_matches('"').to_owned();
    let zero = format!("\"0{number}\"");
    for tag in [&seen, &weak, &zero, "\"\"", "\"1\", W/\"2\"", "\"*\""] {
        for answer in [
            world.put(tag, &order("mine")).await,
            world.patch(tag, &json!({ "note": "mine" })).await,
            world.delete(tag).await,
        ] {
            assert_eq!(answer.status, 412, "{tag}");
            assert_eq!(answer.body["current"], current.body);
            assert_eq!(answer.header(&ETAG), current.header(&ETAG));
        }
    }
    let after = world.get().await;
    assert_eq!(
        (&after.body, after.header(&ETAG)),
        (&current.body, current.header(&ETAG)),
        "nothing was changed"
    );
}

#[tokio::test(start_paused = true)]
async fn any_and_lists_are_conditions_too() {
    let world = World::new().await;
    assert_eq!(world.put("*", &order("any")).await.status, 200);
    let list = format!("\"1\",{} , W/\"3\"", world.etag().await);
    assert_eq!(world.put(&list, &order("list")).await.status, 200);
    let tag = world.etag().await;
    let lines = [JSON, ("if-match", "\"1\""), ("if-match", &tag)];
    let answer = world.call("PUT", "/orders/A-1042", &lines, order("lines").to_string()).await;
    assert_eq!(answer.status, 200, "several lines are one list");

    let tag = world.etag().await;
    let both = [JSON, ("if-match", "*"), ("if-none-match", &tag)];
    assert_eq!(world.call("PUT", "/orders/A-1042", &both, order("both").to_string()).await.status, 412);
}

#[tokio::test(start_paused = true)]
async fn a_change_without_condition_is_not_made() {
    let world = World::new().await;
    let before = world.etag().await;
    let put = world.call("PUT", "/orders/A-1042", &[JSON], order("blind").to_string()).await;
    let patch = world.call("PATCH", "/orders/A-1042", &[PATCH], "{}").await;
    let delete = world.call("DELETE", "/orders/A-1042", &[], "").await;
    let other = [JSON, ("if-none-match", "\"1\"")];
    let other = world.call("PUT", "/orders/A-1042", &other, order("blind").to_string()).await;
    for answer in [put, patch, delete, other] {
        assert_eq!(answer.status, 428);
        assert!(answer.body["detail"].as_str().unwrap().contains("If-Match"), "it says what to do");
    }
    assert_eq!(world.etag().await, before);
}

#[tokio::test(start_paused = true)]
async fn of_many_who_have_seen_the_same_one_is_first() {
    let world = World::new().await;
    let seen = world.etag().await;
    let notes: Vec<Value> = (0..4).map(|writer| order(&format!("by {writer}"))).collect();
    let put = |writer: usize| world.put(&seen, &notes[writer]);
    let (a, b, c, d) = join!(put(0), put(1), put(2), put(3));
    let (made, refused): (Vec<_>, Vec<_>) = [a, b, c, d].into_iter().partition(|answer| answer.status == 200);
    assert_eq!(made.len(), 1);
    assert!(refused.iter().all(|answer| answer.status == 412 && answer.body["current"] == made[0].body));
    assert_eq!(world.get().await.body, made[0].body);
}

#[tokio::test(start_paused = true)]
async fn who_is_overtaken_between_read_and_write_is_refused() {
    let world = World::new().await;
    let seen = world.etag().await;
    let mine = order("mine");
    let (put, ()) = join!(world.put(&seen, &mine), world.overtake("UpdateItem"));
    assert_eq!((put.status, &put.body["current"]), (412, &order("theirs")));
    let seen = world.etag().await;
    assert_eq!(put.header(&ETAG), seen);

    let (delete, ()) = join!(world.delete(&seen), world.touch_before("DeleteItem"));
    assert_eq!((delete.status, &delete.body["current"]), (412, &order("theirs")));
    assert_eq!(world.get().await.body, order("theirs"));
}

#[tokio::test(start_paused = true)]
async fn who_changes_whatever_there_is_may_be_overtaken() {
    let world = World::new().await;
    let mine = order("mine");
    let (put, ()) = join!(world.put("*", &mine), world.overtake("UpdateItem"));
    assert_eq!((put.status, put.body), (200, order("mine")));

    let (delete, ()) = join!(world.delete("*"), world.overtake("DeleteItem"));
    assert_eq!(delete.status, 204);
    assert_eq!(world.put("*", &mine).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_is_overtaken_each_time_ends() {
    let world = World::new().await;
    let each_time = async {
        loop {
            world.touch_before("DeleteItem").await;
        }
    };
    let delete = select! {
        delete = world.delete("*") => delete,
        () = each_time => unreachable!(),
    };
    assert_eq!((delete.status, delete.header(&RETRY_AFTER)), (503, "1".into()));
    assert_eq!(world.get().await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_create_that_is_overtaken_is_refused() {
    let world = World::new().await;
    for (method, path, status) in [("POST", "/orders", 409), ("PUT", "/orders/A-1042", 412)] {
        assert_eq!(world.delete("*").await.status, 204);
        let headers = [JSON, ("if-none-match", "*")];
        let create = world.call(method, path, &headers, order("mine").to_string());
        let gate = world.faults.hold_up("PutItem");
        let (created, ()) = join!(create, async {
            gate.reached().await;
            world.others.create(&mut Order::sample()).await.unwrap();
            gate.open();
        });
        assert_eq!((created.status, &created.body["current"]), (status, &world.get().await.body));
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_that_was_deleted_and_created_again_is_another_one() {
    let world = World::new().await;
    let seen = world.etag().await;
    assert_eq!(world.delete(&seen).await.status, 204);
    assert_eq!(world.put(&seen, &order("mine")).await.status, 404);
    assert_eq!(world.call("POST", "/orders", &[JSON], order("theirs").to_string()).await.status, 201);
    let put = world.put(&seen, &order("mine")).await;
    assert_eq!((put.status, &put.body["current"]), (412, &order("theirs")));
}

#[tokio::test(start_paused = true)]
async fn a_change_whose_reply_was_lost_is_made_once() {
    let world = World::new().await;
    let id = Order::sample().id;
    let before = world.others.get(&id).await.unwrap().unwrap().version;
    world.faults.script("UpdateItem", [Fault::ReplyLost, Fault::RequestLost]);
    let put = world.put(&world.etag().await, &order("mine")).await;
    assert!(world.faults.is_over(), "no reply was lost");
    assert_eq!((put.status, put.header(&ETAG)), (200, format!("\"{}\"", before + 1)));
    assert_eq!(world.others.get(&id).await.unwrap().unwrap().version, before + 1);

    world.faults.script("PutItem", [Fault::ReplyLost]);
    let new = json!({ "id": "new", "address": "1 Mill Lane", "boxes": 1, "note": "", "status": "new" });
    assert_eq!(world.call("POST", "/orders", &[JSON], new.to_string()).await.status, 201);
    world.faults.script("DeleteItem", [Fault::ReplyLost]);
    assert_eq!(world.delete(&put.header(&ETAG)).await.status, 204);
    assert!(world.faults.is_over(), "no reply was lost");
}

#[tokio::test(start_paused = true)]
async fn who_comes_at_a_bad_time_is_told_when_to_come_back() {
    let world = World::new().await;
    let tag = world.etag().await;
    let new = json!({ "id": "new", "address": "1 Mill Lane", "boxes": 1, "note": "", "status": "new" });
    let create = || async { world.call("POST", "/orders", &[JSON], new.to_string()).await };
    let mine = order("mine");
    for fault in [Fault::Instead(Reply::throttled()), Fault::ConnectionRefused] {
        let strike = |operation| {
            world.faults.clear();
            world.faults.script(operation, repeat_n(fault.clone(), 5000));
        };
        strike("GetItem");
        let get = world.call("GET", "/orders/A-1042", &[], "").await;
        strike("UpdateItem");
        let put = world.put(&tag, &mine).await;
        strike("PutItem");
        let post = create().await;
        strike("DeleteItem");
        for answer in [get, put, post, world.delete(&tag).await] {
            assert_eq!((answer.status, answer.header(&RETRY_AFTER)), (503, "1".into()));
        }
        world.faults.clear();
        assert_eq!(world.etag().await, tag, "nothing was changed");
    }
    assert_eq!(create().await.status, 201);
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_told_the_outcome_is_told_so() {
    let world = World::new().await;
    let seen = world.etag().await;
    world.faults.script("UpdateItem", repeat_n(Fault::Hang, 100));
    let put = world.put(&seen, &order("mine")).await;
    world.faults.clear();
    assert_eq!(
        (put.status, put.header(&RETRY_AFTER)),
        (504, String::new()),
        "nothing that makes clients send again"
    );
    assert!(put.body["detail"].as_str().unwrap().contains("GET the order"));
    assert_eq!(world.get().await.body, order("mine"), "it was made, as one sees who looks");
    assert_eq!(world.put(&seen, &order("mine")).await.status, 412, "and never a second time");
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_the_service_is_not_told_in_detail() {
    let world = World::new().await;
    world.faults.script("GetItem", [Fault::Instead(Reply::new(400, "AccessDeniedException"))]);
    let answer = world.call("GET", "/orders/A-1042", &[], "").await;
    assert_eq!(answer.status, 500);
    assert!(!answer.body.to_string().contains("AccessDenied"));
    assert!(world.log.text().contains("AccessDeniedException"), "but logged: {}", world.log.text());
}

/// Status, method, path, media type and body.
type Case<'a> = (u16, &'a str, &'a str, &'a str, String);

impl World {
    /// Each is refused for what is wrong with it, and changes nothing.
    async fn refuses(&self, cases: Vec<Case<'_>>) {
        let tag = self.etag().await;
        for (status, method, path, content_type, body) in cases {
            let mut headers = vec![("if-match", tag.as_str()), ("content-type", content_type)];
            headers.retain(|(_, value)| !value.is_empty());
            let told = format!("{method} {path} {content_type} {body:.100}");
            let answer = self.call(method, path, &headers, body).await;
            assert_eq!(answer.status, status, "{told}: {}", answer.body);
            assert_eq!(answer.body["errors"].is_array(), status == 422, "{told}");
            assert_eq!(answer.headers.contains_key(ALLOW), status == 405, "{told}");
        }
        assert_eq!(self.etag().await, tag);
        self.has_logged_nothing_secret();
    }

    fn has_logged_nothing_secret(&self) {
        let log = self.log.text();
        assert!(log.contains("answered method=") && log.contains("dynalock{operation="), "{log}");
        for secret in [SECRET, "a-1042", "leeds"] {
            assert!(!log.to_lowercase().contains(secret), "{log}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn paths_and_methods_that_are_none_are_refused() {
    let world = World::new().await;
    let whole = order(SECRET).to_string();
    let new = json!({ "address": "a", "boxes": 1, "note": "", "status": "new" }).to_string();
    let long_id = format!("/orders/{}", "x".repeat(65));
    let put = "/orders/A-1042";
    let cases = vec![
        (404, "GET", "/s3cret", "", String::new()),
        (404, "GET", "/orders/s3cret", "", String::new()),
        (404, "DELETE", "/orders/s3cret", "", String::new()),
        (404, "PUT", "/orders/s3cret", JSON.1, new),
        (400, "GET", "/orders/%FFs3cret", "", String::new()),
        (400, "GET", "/orders/s3cret%0d%0aset-cookie:x", "", String::new()),
        (400, "GET", "/orders/..%2fs3cret", "", String::new()),
        (400, "GET", "/orders/s3cret%20", "", String::new()),
        (400, "GET", &long_id, "", String::new()),
        (400, "GET", "/orders/%FF/edit", "", String::new()),
        (405, "POST", put, JSON.1, whole.clone()),
        (405, "OPTIONS", put, "", String::new()),
        (405, "S3CRETs3cret", put, "", String::new()),
        (405, "GET", "/orders", "", String::new()),
        (405, "DELETE", "/page.js", "", String::new()),
    ];
    world.refuses(cases).await;
    let log = world.log.text();
    assert!(log.contains("method=\"GET\" route=\"(none)\" status=404"), "{log}");
    assert!(log.contains("method=\"(other)\" route=\"/orders/{id}\" status=405"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn bodies_that_are_no_orders_are_refused() {
    let world = World::new().await;
    let whole = order(SECRET).to_string();
    let with = |member: &str, value: Value| {
        let mut changed = order(SECRET);
        changed[member] = value;
        changed.to_string()
    };
    let deep = "[".repeat(10_000);
    let long = "x".repeat(17_000);
    let put = "/orders/A-1042";
    let cases = vec![
        (400, "PUT", put, JSON.1, format!("{{\"note\": \"{SECRET}\"")),
        (400, "PUT", put, JSON.1, String::new()),
        (400, "PUT", put, JSON.1, deep.clone()),
        (400, "POST", "/orders", JSON.1, with("boxes", json!(1)).replace("\"boxes\":1", "\"boxes\":1e999")),
        (413, "PUT", put, JSON.1, with("note", json!(long))),
        (413, "POST", "/orders", JSON.1, with("note", json!(long))),
        (413, "PATCH", put, PATCH.1, with("note", json!(long))),
        (415, "PUT", put, "", whole.clone()),
        (415, "PUT", put, "text/plain", whole.clone()),
        (415, "PUT", put, PATCH.1, whole.clone()),
        (415, "PUT", put, "application/json-s3cret", whole.clone()),
        (415, "PATCH", put, JSON.1, "{}".into()),
        (415, "POST", "/orders", "application/x-www-form-urlencoded", whole.clone()),
        (422, "PUT", put, JSON.1, json!(SECRET).to_string()),
        (422, "PUT", put, JSON.1, "[]".into()),
        (422, "PUT", put, JSON.1, "null".into()),
        (422, "PUT", put, JSON.1, "{}".into()),
        (422, "PUT", put, JSON.1, with("boxes", json!("3 s3cret"))),
        (422, "PUT", put, JSON.1, with("boxes", json!(0))),
        (422, "PUT", put, JSON.1, with("boxes", json!(1000))),
        (422, "PUT", put, JSON.1, with("boxes", json!(-1))),
        (422, "PUT", put, JSON.1, with("boxes", json!(1.5))),
        (422, "PUT", put, JSON.1, with("boxes", json!(1e300))),
        (422, "PUT", put, JSON.1, with("address", json!(""))),
        (422, "PUT", put, JSON.1, with("address", json!("x".repeat(201)))),
        (422, "PUT", put, JSON.1, with("note", json!(null))),
        (422, "PUT", put, JSON.1, with("note", json!("x".repeat(1001)))),
        (422, "PUT", put, JSON.1, with("status", json!(SECRET))),
        (422, "PUT", put, JSON.1, with("status", json!({ "new": null }))),
        (422, "PUT", put, JSON.1, with("id", json!(SECRET))),
        (422, "PUT", put, JSON.1, with(SECRET, json!(1))),
        (422, "PUT", put, JSON.1, with("version", json!(7))),
        (422, "POST", "/orders", JSON.1, with("id", json!("s3cret/../x"))),
        (422, "POST", "/orders", JSON.1, with("id", json!("s3cret\r\nset-cookie: x"))),
        (422, "POST", "/orders", JSON.1, with("id", json!(7))),
        (422, "PATCH", put, PATCH.1, json!({ "note": null }).to_string()),
        (422, "PATCH", put, PATCH.1, json!({ "boxes": { "s3cret": 1 } }).to_string()),
        (422, "PATCH", put, PATCH.1, json!({ "id": SECRET }).to_string()),
        (422, "PATCH", put, PATCH.1, json!({ "id": null, "_stamp0": SECRET }).to_string()),
        (422, "PATCH", put, PATCH.1, json!(SECRET).to_string()),
    ];
    world.refuses(cases).await;

    let tag = world.etag().await;
    let zipped = [JSON, ("if-match", &tag), ("content-encoding", "gzip")];
    assert_eq!(world.call("PUT", put, &zipped, whole.clone()).await.status, 415);
    let answer = world
        .put(&tag, &json!({ "address": "a", "boxes": 0, "note": "", "status": "new", "s3cret": 1 }))
        .await;
    let boxes = json!({ "pointer": "#/boxes", "detail": "must be a whole number from 1 to 999" });
    let other = json!({ "pointer": "#", "detail": "has members that no order has" });
    assert_eq!(answer.body["errors"], json!([boxes, other]), "all that is wrong is told at once");
}

#[tokio::test(start_paused = true)]
async fn conditions_that_are_none_are_refused() {
    let world = World::new().await;
    let tag = world.etag().await;
    let put = "/orders/A-1042";
    let whole = order(SECRET).to_string();
    let many = "\"s3cret\",".repeat(10_000);
    let huge = format!("\"{}\"", "s".repeat(100_000));
    let cases: [(u16, &[u8]); 16] = [
        (400, b"s3cret"),
        (400, b"\"s3cret"),
        (400, b"s3cret\""),
        (400, b"w/\"s3cret\""),
        (400, b"W/s3cret"),
        (400, b"\"1\" \"2\""),
        (400, b"\"a b\""),
        (400, b"*, \"1\""),
        (400, b"**"),
        (400, b""),
        (400, b",,"),
        (400, b"\xff\xfe"),
        (400, b"\"1\t\""),
        (412, b"\"\xff\xfe\""),
        (431, many.as_bytes()),
        (431, huge.as_bytes()),
    ];
    for (status, value) in cases {
        for name in ["if-match", "if-none-match"] {
            let headers: [(&str, &[u8]); 2] = [("content-type", JSON.1.as_bytes()), (name, value)];
            let answer = world.call_with_bytes("PUT", put, &headers, order(SECRET).to_string()).await;
            // A tag in If-None-Match is no promise to have seen anything.
            let wanted = if name == "if-none-match" && status == 412 { 428 } else { status };
            assert_eq!(answer.status, wanted, "{name}: {}", value[..value.len().min(30)].escape_ascii());
        }
        let headers: [(&str, &[u8]); 2] = [("content-type", value), ("if-match", tag.as_bytes())];
        assert_eq!(world.call_with_bytes("PUT", put, &headers, whole.clone()).await.status, 415);
    }
    assert_eq!(world.etag().await, tag);
    world.has_logged_nothing_secret();
}

#[tokio::test(start_paused = true)]
async fn what_is_right_is_not_logged_either() {
    let world = World::new().await;
    let tag = world.etag().await;
    let write = || async { world.put(&tag, &order(SECRET)).await.status };
    assert_eq!((write().await, write().await), (200, 412));
    let log = world.log.text();
    assert!(log.contains("method=\"PUT\" route=\"/orders/{id}\" status=412"), "{log}");
    world.has_logged_nothing_secret();
}

#[tokio::test(start_paused = true)]
async fn the_page_is_there_and_may_run_nothing_else() {
    let world = World::new().await;
    let home = world.call("GET", "/", &[], "").await;
    assert_eq!((home.status, home.header(&LOCATION)), (303, "/orders/A-1042/edit".into()));
    for (path, media_type) in
        [("/orders/A-1042/edit", "text/html"), ("/page.js", "text/javascript"), ("/page.css", "text/css")]
    {
        let part = world.call("GET", path, &[], "").await;
        assert_eq!(part.status, 200);
        assert!(part.header(&CONTENT_TYPE).starts_with(media_type));
        let policy = part.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    }
}

#[test]
fn patches_merge_as_rfc_7396_shows() {
    for (target, patch, merged) in [
        (json!({ "a": "b" }), json!({ "a": "c" }), json!({ "a": "c" })),
        (json!({ "a": "b" }), json!({ "b": "c" }), json!({ "a": "b", "b": "c" })),
        (json!({ "a": "b", "b": "c" }), json!({ "a": null }), json!({ "b": "c" })),
        (json!({ "a": ["b"] }), json!({ "a": "c" }), json!({ "a": "c" })),
        (json!({ "a": { "b": "c" } }), json!({ "a": { "b": "d", "c": null } }), json!({ "a": { "b": "d" } })),
        (json!(["a", "b"]), json!({ "a": "b", "c": null }), json!({ "a": "b" })),
        (json!({ "a": "foo" }), json!("bar"), json!("bar")),
        (json!({}), json!({ "a": { "bb": { "ccc": null } } }), json!({ "a": { "bb": {} } })),
    ] {
        let mut result = target.clone();
        crate::merge_patch::apply(&mut result, patch.clone());
        assert_eq!(result, merged, "{target} with {patch}");
    }
}
