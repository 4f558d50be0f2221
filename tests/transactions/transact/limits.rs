//! Reads of more than a transaction can hold are refused one by one, and what the closure says to that is its answer.

use dynalock::{Error, Table, Versioned, transact};
use serde::{Deserialize, Serialize};

use crate::accounts::Refused;
use crate::stage::Stage;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Versioned)]
struct Photo {
    #[dynalock(partition_key)]
    id: String,
    pixels: String,
    #[dynalock(version)]
    version: u64,
}

/// Of 10, a transaction has room for 21 KB more.
const KILOBYTES: usize = 407;

const TOO_LARGE: &str = "bytes or more, but may take 4194304 (4 MB)";
const TOO_MANY: &str = "the transaction touches 101 items, but may touch 100";

/// A stage with 11 large items, of which 10 fit into a transaction.
async fn stage() -> (Stage, Table<Photo>) {
    let stage = Stage::with([]).await;
    let photos = stage.table::<Photo>();
    for number in 0..11 {
        let pixels = "x".repeat(KILOBYTES * 1000);
        photos.create(&mut Photo { id: number.to_string(), pixels, version: 0 }).await.unwrap();
    }
    let _ = stage.sent();
    (stage, photos)
}

fn assert_refused(error: &Error, words: &str) {
    let Error::InvalidRequest { table, problem } = error else { panic!("{error:?}") };
    assert!(table.is_empty() && problem.contains(words), "{error}");
}

#[tokio::test]
async fn the_read_that_goes_over_4_mb_is_refused_and_names_the_limit() {
    let (stage, photos) = stage().await;
    let read = transact(&stage.client, async |tx| {
        for number in 0..11 {
            let read = tx.get(&photos, number.to_string()).await;
            assert_eq!(read.is_err(), number == 10, "{number}");
            read?;
        }
        Ok::<_, Error>(())
    })
    .await;
    assert_refused(&read.unwrap_err(), TOO_LARGE);
    let sent = stage.sent();
    assert_eq!((sent.len(), sent.iter().filter(|sent| sent.starts_with("GetItem")).count()), (12, 11));
    assert!(sent[11].starts_with("TransactGetItems") && !sent[11].contains("Get 10"), "{}", sent[11]);
}

#[tokio::test]
async fn what_a_closure_says_to_a_read_over_4_mb_is_the_answer() {
    let (stage, photos) = stage().await;
    let refused = transact(&stage.client, async |tx| {
        for number in 0..11 {
            if let Err(error) = tx.get(&photos, number.to_string()).await {
                assert_refused(&error, TOO_LARGE);
                return Err(Refused::Overdrawn);
            }
        }
        Ok(())
    })
    .await;
    assert!(matches!(refused, Err(Refused::Overdrawn)), "{refused:?}");

    // A run may also do without the item.
    let read = transact(&stage.client, async |tx| {
        let mut read = 0;
        for number in 0..11 {
            read += u32::from(tx.get(&photos, number.to_string()).await.is_ok());
        }
        Ok::<_, Error>(read)
    });
    assert_eq!(read.await.unwrap(), 10);
}

/// What it wrote does not count: the reads go over.
#[tokio::test]
async fn the_read_that_goes_over_4_mb_is_refused_also_where_something_is_written() {
    let (stage, photos) = stage().await;
    let written = transact(&stage.client, async |tx| {
        let mut first = tx.get(&photos, "0").await?.unwrap();
        first.pixels.clear();
        tx.save(&photos, first)?;
        for number in 1..11 {
            tx.get(&photos, number.to_string()).await?;
        }
        Ok::<_, Error>(())
    })
    .await;
    assert_refused(&written.unwrap_err(), TOO_LARGE);
    assert_eq!(photos.get("0").await.unwrap().unwrap().version, 1);
}

#[tokio::test]
async fn the_read_of_one_more_than_a_hundred_items_is_refused() {
    let stage = Stage::with([]).await;
    let accounts = &stage.accounts;
    for passes_on in [true, false] {
        let refused = transact(&stage.client, async |tx| {
            for number in 0..101 {
                let read = tx.get(accounts, number.to_string()).await;
                assert_eq!(read.is_err(), number == 100, "{number}");
                // What was read before is read again.
                assert_eq!(tx.get(accounts, "7").await?, None);
                match read {
                    Err(_) if !passes_on => return Err(Refused::NoAccount),
                    read => read?,
                };
            }
            Ok(())
        })
        .await;
        match refused {
            Err(Refused::Failed(error)) if passes_on => assert_refused(&error, TOO_MANY),
            Err(Refused::NoAccount) if !passes_on => {}
            other => panic!("{other:?}"),
        }
        let sent = stage.sent();
        assert!(sent.last().unwrap().starts_with("TransactGetItems"), "{sent:?}");
    }
}
