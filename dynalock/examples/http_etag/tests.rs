//! The service as its clients see it. Whatever the answer, [`World::call`] checks that an error is a problem, in words of the
//! service's own.

mod malformed;
mod world;

use std::iter::repeat_n;

use axum::http::header::{CONTENT_TYPE, ETAG, LOCATION, RETRY_AFTER};
use dynalock::testing::{Fault, Reply};
use serde_json::{Value, json};
use tokio::{join, select};

use crate::order::Order;
use world::{JSON, PATCH, SECRET, World, order};

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
    world.faults.script("UpdateItem", repeat_n(Fault::NeverReplies, 100));
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
