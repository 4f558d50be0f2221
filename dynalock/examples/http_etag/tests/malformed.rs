//! What no client should send: paths, bodies and conditions that are none.

use axum::http::header::ALLOW;
use serde_json::{Value, json};

use super::world::{JSON, PATCH, SECRET, World, order};

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
