//! An application's own code around a table, and its tests: a lost reply, a conflict at a chosen moment, retries that come to
//! an end, and a clock that stands still.
//!
//! ```sh
//! cargo test -p dynalock --features embedded --example box_office
//! cargo run -p dynalock --features embedded --example box_office
//! ```

use aws_sdk_dynamodb::Client;
use dynalock::embedded::Engine;
use dynalock::{Error, Retry, Table, Versioned};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, Versioned)]
struct Concert {
    #[dynalock(partition_key)]
    id: String,
    seats: usize,
    holders: Vec<String>,
    #[dynalock(version)]
    version: u64,
}

/// Why no ticket was sold.
#[derive(Debug, thiserror::Error)]
enum NoTicket {
    #[error("sold out")]
    SoldOut,
    #[error("there is no such concert")]
    NoSuchConcert,
    #[error("too many want a ticket right now, try again")]
    Busy,
    #[error("whether the ticket was sold is not known, look before you pay again")]
    Unknown,
    #[error("the box office is closed")]
    Closed(#[source] Error),
}

impl From<Error> for NoTicket {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound => Self::NoSuchConcert,
            Error::OutcomeUnknown(_) => Self::Unknown,
            error if error.is_retryable() => Self::Busy,
            error => Self::Closed(error),
        }
    }
}

#[derive(Debug, Clone)]
struct BoxOffice {
    concerts: Table<Concert>,
}

impl BoxOffice {
    fn new(client: &Client, retry: Retry) -> Self {
        Self { concerts: Table::new(client, "concerts").with_retry(retry) }
    }

    /// Sells a ticket, and returns how many are left.
    async fn sell(&self, concert: &str, holder: &str) -> Result<usize, NoTicket> {
        let sold = self.concerts.try_update(concert, |concert| {
            if concert.holders.len() == concert.seats {
                return Err(NoTicket::SoldOut);
            }
            concert.holders.push(holder.to_owned());
            Ok(())
        });
        let concert = sold.await?;
        Ok(concert.seats - concert.holders.len())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), NoTicket> {
    let office = BoxOffice::new(&Engine::in_memory().client(), Retry::default());
    office.concerts.create_table().await?;
    office.concerts.create(&mut Concert { id: "jazz".into(), seats: 2, holders: vec![], version: 0 }).await?;
    for holder in ["alice", "bob", "carol"] {
        match office.sell("jazz", holder).await {
            Ok(left) => println!("{holder} has a ticket, {left} left"),
            Err(why) => println!("no ticket for {holder}: {why}"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dynalock::testing::{Fault, Faults};
    use tokio::time::Instant;

    use super::*;

    /// A box office whose network fails by script, and another one that is always well. Both sell the same two seats.
    async fn offices(retry: Retry) -> (BoxOffice, Faults, BoxOffice) {
        let engine = Engine::in_memory();
        let faults = Faults::new(engine.http_client());
        let client = Client::from_conf(engine.config().http_client(faults.clone()).build());
        let (office, other) =
            (BoxOffice::new(&client, retry), BoxOffice::new(&engine.client(), Retry::default()));
        other.concerts.create_table().await.unwrap();
        let mut jazz = Concert { id: "jazz".into(), seats: 2, holders: vec![], version: 0 };
        other.concerts.create(&mut jazz).await.unwrap();
        (office, faults, other)
    }

    async fn holders(office: &BoxOffice) -> Vec<String> {
        office.concerts.get("jazz").await.unwrap().unwrap().holders
    }

    /// Paused, so that the SDK's delay before it sends again takes no time.
    #[tokio::test(start_paused = true)]
    async fn a_ticket_is_sold_once_though_the_reply_was_lost() {
        let (office, faults, _) = offices(Retry::default()).await;
        faults.script("UpdateItem", [Fault::ReplyLost]);
        assert_eq!(office.sell("jazz", "alice").await.unwrap(), 1);
        assert!(faults.is_over(), "no reply was lost");
        assert_eq!(holders(&office).await, ["alice"]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_seat_is_sold_once() {
        let (office, faults, other) = offices(Retry::default()).await;
        other.sell("jazz", "alice").await.unwrap();
        let writing = faults.hold_up("UpdateItem");
        let meanwhile = async {
            // There was a seat when it was read, and there is none when it is written.
            writing.reached().await;
            let left = other.sell("jazz", "bob").await.unwrap();
            writing.open();
            left
        };
        let (sold, left) = tokio::join!(office.sell("jazz", "carol"), meanwhile);
        assert_eq!(left, 0);
        assert!(matches!(sold, Err(NoTicket::SoldOut)), "{sold:?}");
        assert_eq!(holders(&office).await, ["alice", "bob"]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_overtaken_too_often_is_told_to_try_again() {
        let (office, faults, other) = offices(Retry::none()).await;
        let writing = faults.hold_up("UpdateItem");
        let meanwhile = async {
            writing.reached().await;
            other.sell("jazz", "bob").await.unwrap();
            writing.open();
        };
        let (sold, ()) = tokio::join!(office.sell("jazz", "carol"), meanwhile);
        assert!(matches!(sold, Err(NoTicket::Busy)), "{sold:?}");
        assert_eq!(holders(&office).await, ["bob"]);
    }

    /// The clock stands still but for those who wait: 3 s pass at once.
    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_three_seconds() {
        let (office, faults, other) = offices(Retry::default().deadline(Duration::from_secs(3))).await;
        faults.script("UpdateItem", vec![Fault::NeverReplies; 10]);
        let begun = Instant::now();
        let sold = office.sell("jazz", "alice").await;
        assert!(matches!(sold, Err(NoTicket::Unknown)), "{sold:?}");
        assert_eq!(begun.elapsed().as_secs(), 3);
        assert_eq!(holders(&other).await, ["alice"], "it was sold, as one sees who looks");
    }

    #[tokio::test(start_paused = true)]
    async fn a_concert_that_is_missing_is_no_trouble_of_the_store() {
        let (office, ..) = offices(Retry::default()).await;
        let sold = office.sell("opera", "alice").await;
        assert!(matches!(sold, Err(NoTicket::NoSuchConcert)), "{sold:?}");
    }
}
