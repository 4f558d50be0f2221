//! A batch that is rejected for what it holds: it is halved until only the guilty member fails.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::{
    BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use dynalock::testing::{Fault, Reply};
use dynalock::{Error, Table, Versioned};
use dynalock_tests::credentials::Once;
use dynalock_tests::polling::together;
use dynalock_tests::runtimes::sdk_attempts;
use serde::{Deserialize, Serialize};

use crate::world::{Answer, Journal, World, add, add_each};

fn refusal(exception: &str) -> Fault {
    Fault::Instead(Reply::new(400, exception))
}

/// A world in which the entries 1, 3 and 4 were added, and `guilty` failed among them.
async fn all_but(
    guilty: impl FnOnce(&World) -> Answer<'static>,
    faults: impl IntoIterator<Item = Fault>,
) -> (World, Error) {
    let world = World::new().await;
    let table = &world.coalescing;
    let calls: [Answer<'_>; 4] = [add(table, 1), guilty(&world), add(table, 3), add(table, 4)];
    let others = async {
        // The write that is under way meets the faults after it was held up.
        world.faults.script("UpdateItem", [Fault::Pass].into_iter().chain(faults));
        together(calls).await
    };
    let ended = world.behind_a_write(table, others).await;
    let [one, guilty, three, four] = ended.try_into().unwrap();
    let stored = world.stored().await.entries;
    for (journal, entry) in [(one, 1), (three, 3), (four, 4)] {
        let at = stored.iter().position(|stored| *stored == entry).unwrap();
        assert_eq!(journal.unwrap().entries, stored[..=at], "as its own closure left it");
    }
    assert_eq!(stored.len(), 4, "{stored:?}");
    assert!(world.faults.is_over());
    world.assert_is_quiet().await;
    (world, guilty.unwrap_err())
}

pub(crate) async fn an_item_over_400_kb_fails_only_who_made_it_so() {
    let guilty = |world: &World| -> Answer<'static> {
        let grow = |journal: &mut Journal| journal.note = "x".repeat(400 * 1024);
        world.coalescing.update("a", grow).into_future()
    };
    let (_, error) = all_but(guilty, []).await;
    let Error::InvalidRequest { table, problem } = &error else { panic!("{error:?}") };
    assert_eq!(&**table, "journals");
    assert!(problem.contains("400 KB"), "{error}");
}

pub(crate) async fn what_dynamodb_rejects_fails_only_who_wrote_it() {
    let invalid = || refusal("ValidationException");
    let faults = [invalid(), invalid(), invalid()];
    let (world, error) = all_but(|world| add(&world.coalescing, 2), faults).await;
    let Error::Sdk(failure) = &error else { panic!("{error:?}") };
    assert_eq!(failure.code(), Some("ValidationException"));
    // All, half of them, and the guilty one; the other half shares a write.
    let written = [vec![0], vec![0, 1, 2, 3, 4], vec![0, 1, 2], vec![0, 2], vec![0, 3, 4], vec![0, 3, 4, 1]];
    assert_eq!(world.written()[..6], written);
}

/// Whose entries are attributes of the item.
#[derive(Debug, Serialize, Deserialize, Versioned)]
struct Page {
    #[dynalock(partition_key)]
    id: String,
    #[serde(flatten)]
    entries: BTreeMap<String, String>,
    #[dynalock(version)]
    version: u64,
}

/// A page with nothing but a text of so many KB.
async fn page(world: &World, kb: usize) -> Table<Page> {
    let pages = Table::new(&world.client, "journals").coalescing();
    let entries = BTreeMap::from([("text".to_owned(), "x".repeat(kb * 1024))]);
    pages.create(&mut Page { id: "page".into(), entries, version: 0 }).await.unwrap();
    pages
}

fn enter(pages: &Table<Page>, entry: usize, text: &str) -> Answer<'static, Page> {
    let (entry, text) = (format!("entry {entry}"), text.to_owned());
    let change = move |page: &mut Page| {
        page.entries.insert(entry.clone(), text.clone());
    };
    pages.update("page", change).into_future()
}

/// The guilty one of many is found by halves, wherever it stands.
#[tokio::test(start_paused = true)]
async fn a_large_batch_is_rejected_a_few_times_only() {
    let large = "x".repeat(200 * 1024);
    for guilty in [0, 20, 63] {
        let world = World::new().await;
        let pages = page(&world, 300).await;
        let calls = (0..64).map(|entry| enter(&pages, entry, if entry == guilty { &large } else { "" }));
        for (entry, answer) in together(calls).await.into_iter().enumerate() {
            match answer {
                Ok(page) => assert!(page.entries.contains_key(&format!("entry {entry}"))),
                Err(Error::Sdk(failure)) => {
                    assert_eq!((entry, failure.code()), (guilty, Some("ValidationException")));
                }
                Err(error) => panic!("{error:?}"),
            }
        }
        let page = pages.get("page").await.unwrap().unwrap();
        assert_eq!(page.entries.len(), 1 + 63);
        assert!(!page.entries.contains_key(&format!("entry {guilty}")));
        let writes = world.sent.count("UpdateItem");
        assert!(writes <= 20, "{writes} writes instead of 64 and one");
        world.assert_is_quiet().await;
    }
}

/// Whoever comes meanwhile makes no batch larger again that holds the guilty one.
#[tokio::test(start_paused = true)]
async fn no_half_grows_again() {
    let large = "x".repeat(200 * 1024);
    let world = World::new().await;
    let pages = page(&world, 300).await;
    let calls = (0..7).map(|entry| enter(&pages, entry, if entry == 6 { &large } else { "" }));
    let newcomers = async {
        let gate = world.faults.hold_up("UpdateItem");
        gate.reached().await;
        let go_on = async { gate.open() };
        tokio::join!(together((7..40).map(|entry| enter(&pages, entry, ""))), go_on).0
    };
    let (ended, newcomers) = tokio::join!(together(calls), newcomers);
    assert_eq!(
        ended.iter().map(Result::is_ok).collect::<Vec<_>>(),
        [[true; 6].as_slice(), &[false]].concat()
    );
    assert!(newcomers.iter().all(Result::is_ok));
    let sent = world.sent.sent();
    let names = sent.iter().filter_map(|sent| sent.body["ExpressionAttributeNames"].as_object());
    let written = names.map(|names| {
        names.values().filter_map(|name| name.as_str()?.strip_prefix("entry ")).collect::<Vec<_>>()
    });
    let guilty: Vec<usize> =
        written.filter(|entries| entries.contains(&"6")).map(|entries| entries.len()).collect();
    assert_eq!(guilty, [7, 3, 1]);
}

/// An expression of 4 KB sets some 300 attributes.
#[tokio::test(start_paused = true)]
async fn more_attributes_than_one_write_can_change_take_several() {
    let world = World::new().await;
    let pages = page(&world, 1).await;
    let ended = together((0..500).map(|entry| enter(&pages, entry, ""))).await;
    assert!(ended.iter().all(Result::is_ok));
    let page = pages.get("page").await.unwrap().unwrap();
    assert_eq!(page.entries.len(), 1 + 500);
    let writes = world.sent.count("UpdateItem");
    assert_eq!(page.version, 1 + writes as u64, "none of them was rejected");
    assert!((2..=4).contains(&writes), "{writes} writes");
}

#[tokio::test(start_paused = true)]
async fn a_closure_that_changes_the_key_fails_only_its_own_call() {
    let guilty = |world: &World| -> Answer<'static> {
        world.coalescing.update("a", |journal| journal.id.push('b')).into_future()
    };
    let (world, error) = all_but(guilty, []).await;
    let Error::InvalidItem { table, attribute, .. } = &error else { panic!("{error:?}") };
    assert_eq!((&**table, &**attribute), ("journals", "id"));
    assert_eq!(world.written()[..2], [vec![0], vec![0, 1, 3, 4]], "it was never in a write");
}

/// What stands in the way of every write is told to all at once.
#[tokio::test(start_paused = true)]
async fn a_refusal_of_every_write_is_told_to_each() {
    for (exception, requests) in [("ResourceNotFoundException", 1), ("ExpiredTokenException", 2)] {
        let world = World::new().await;
        world.faults.script("UpdateItem", vec![refusal(exception); requests]);
        let ended = together(add_each(&world.coalescing, 1..=100)).await;
        for error in ended.into_iter().map(Result::unwrap_err) {
            let Error::Sdk(failure) = &error else { panic!("{error:?}") };
            assert_eq!((failure.code(), failure.operation()), (Some(exception), "UpdateItem"));
            assert!(std::error::Error::source(&**failure).is_some());
        }
        assert_eq!(world.sent.count("UpdateItem"), requests);
        world.assert_is_quiet().await;
    }
}

/// Row 46: a signature is out of date after a freeze, and the next one is not. It is no answer for anybody.
#[tokio::test(start_paused = true)]
async fn a_signature_that_is_out_of_date_is_nobodys_answer() {
    let expired = || {
        let mut reply = Reply::new(400, "InvalidSignatureException");
        reply.message = "Signature expired: 1 is now earlier than 2".into();
        Fault::Instead(reply)
    };
    let world = World::new().await;
    world.faults.script("GetItem", [expired()]);
    world.faults.script("UpdateItem", [expired(), expired()]);
    let ended = together(add_each(&world.coalescing, 1..=100)).await;
    assert!(ended.iter().all(Result::is_ok), "{ended:?}");
    assert_eq!(world.requests(), (2, 3));

    // Who sends it gives up at last, and fails alone.
    let world = World::new().await;
    world.faults.script("UpdateItem", [expired(), expired(), expired(), expired()]);
    let ended = together(add_each(&world.coalescing, 1..=100)).await;
    let (first, others) = ended.split_first().unwrap();
    assert!(matches!(first, Err(Error::Sdk(failure)) if failure.code() == Some("InvalidSignatureException")));
    assert!(others.iter().all(Result::is_ok), "{others:?}");
    world.assert_is_quiet().await;
}

/// A policy may allow some attributes only, and so be about what one of them wrote.
#[tokio::test(start_paused = true)]
async fn a_denial_is_told_to_each_after_it_has_tried() {
    let world = World::new().await;
    world.faults.script("UpdateItem", vec![refusal("AccessDeniedException"); 12]);
    let ended = together(add_each(&world.coalescing, 1..=3)).await;
    for error in ended.into_iter().map(Result::unwrap_err) {
        let Error::Sdk(failure) = &error else { panic!("{error:?}") };
        assert_eq!(failure.code(), Some("AccessDeniedException"));
    }
    world.faults.clear();
    let tries = world.sent.count("UpdateItem");
    assert!(
        (4..=8).contains(&tries),
        "a batch, and each for itself; twice where items may be forbidden: {tries}"
    );
    world.assert_is_quiet().await;
}

/// Refuses to send what holds a certain text, as a client does that must not let it out of the house.
#[derive(Debug)]
struct Guard {
    /// Or else when the request is made.
    before_serialization: bool,
}

impl Intercept for Guard {
    fn name(&self) -> &'static str {
        "Guard"
    }

    fn read_before_serialization(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let is_secret = self.before_serialization && format!("{:?}", context.input()).contains("secret");
        if is_secret { Err("a secret".into()) } else { Ok(()) }
    }

    fn read_before_signing(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = String::from_utf8_lossy(context.request().body().bytes().unwrap_or_default());
        let is_secret = !self.before_serialization && body.contains("secret");
        if is_secret { Err("a secret".into()) } else { Ok(()) }
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_client_refuses_to_send_fails_only_who_wrote_it() {
    for before_serialization in [true, false] {
        let world = World::new().await;
        let config = world.client.config().to_builder().interceptor(Guard { before_serialization });
        let table = Table::new(&Client::from_conf(config.build()), "journals").coalescing();
        let guilty = table.update("a", |journal: &mut Journal| journal.note = "secret".into());
        let calls = [add(&table, 1), guilty.into_future(), add(&table, 3)];
        let [one, guilty, three] = together(calls).await.try_into().unwrap();
        assert!(matches!(guilty, Err(Error::Sdk(_))), "{guilty:?}");
        assert!(one.is_ok() && three.is_ok(), "{one:?} {three:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_that_are_gone_are_told_to_each() {
    let world = World::new().await;
    let credentials = Once::default();
    let config = world.client.config().to_builder().identity_cache(credentials.clone());
    let table = Table::new(&Client::from_conf(config.build()), "journals").coalescing();
    for answer in together(add_each(&table, 1..=100)).await {
        assert!(matches!(answer, Err(Error::Sdk(_))), "{answer:?}");
    }
    assert_eq!(credentials.asked(), 2, "for one read and one write");
}

/// A write that is shared is sent as often as any of its members would send it.
#[tokio::test(start_paused = true)]
async fn a_member_without_retries_is_carried_by_the_others() {
    let world = World::new().await;
    let table = &world.coalescing;
    let sender = table.clone().with_retry(dynalock::Retry::none());
    world.faults.script("UpdateItem", vec![refusal("ThrottlingException"); 2 * sdk_attempts()]);
    let ended = together([add(&sender, 1), add(table, 2), add(table, 3)]).await;
    assert!(ended.iter().all(Result::is_ok), "{ended:?}");
    assert_eq!(world.stored().await, Journal::after(1, &[1, 2, 3]));
    assert!(world.faults.is_over());
    assert_eq!(world.requests(), (1, 2 * sdk_attempts() + 1), "one write, sent again as it was");
}
