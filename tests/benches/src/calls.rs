//! The calls whose instructions are counted, and the three sides that make them.

use std::hint::black_box;

use aws_sdk_dynamodb::Client;
use dynalock::{Table, Transaction, transact};
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::order::{Order, TABLE};
use crate::sdk::{Care, Sdk};

/// Who makes the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The SDK, without anything that keeps writers apart.
    Bare,
    /// The SDK, with all that dynalock sends and watches.
    ByHand,
    /// dynalock.
    Dynalock,
}

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// Stores a new order.
    Create,
    /// Reads an order.
    Get,
    /// Sets all attributes of an order at hand.
    Save,
    /// Reads an order and changes one attribute.
    Update,
    /// Saves two orders at hand.
    TransactionOf2,
    /// Saves 25.
    TransactionOf25,
    /// Reads two orders, changes both, and writes them.
    Transact,
}

impl Call {
    /// All calls.
    pub const ALL: [Self; 7] = [
        Self::Create,
        Self::Get,
        Self::Save,
        Self::Update,
        Self::TransactionOf2,
        Self::TransactionOf25,
        Self::Transact,
    ];

    /// What tables call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Get => "get",
            Self::Save => "save",
            Self::Update => "update",
            Self::TransactionOf2 => "transaction of 2",
            Self::TransactionOf25 => "transaction of 25",
            Self::Transact => "transact of 2",
        }
    }
}

/// Makes a call again and again.
///
/// # Errors
///
/// As soon as one fails.
pub async fn repeat(client: &Client, side: Side, call: Call, times: u32) -> Result<(), Failure> {
    let orders = Table::<Order>::new(client, TABLE);
    let bare = Sdk::new(client, Care::None);
    let by_hand = Sdk::new(client, Care::Full);
    for _ in 0..times {
        match side {
            Side::Bare => with_sdk(&bare, call).await?,
            Side::ByHand => with_sdk(&by_hand, call).await?,
            Side::Dynalock => with_dynalock(client, &orders, call).await?,
        }
    }
    Ok(())
}

fn order() -> Order {
    Order::of("order-4711".into())
}

async fn with_sdk(sdk: &Sdk, call: Call) -> Result<(), Failure> {
    match call {
        Call::Create => sdk.create(black_box(&mut order())).await,
        Call::Get => sdk.get("order-4711").await.map(black_box).map(drop),
        Call::Save => sdk.save(black_box(&mut order())).await,
        Call::Update => {
            let order = sdk.update("order-4711", |order| order.cents += 1).await;
            order.map(black_box).map(drop)
        }
        Call::TransactionOf2 => sdk.save_together(black_box(&mut Order::held(2))).await,
        Call::TransactionOf25 => sdk.save_together(black_box(&mut Order::held(25))).await,
        Call::Transact => {
            let (mut from, mut to) = (sdk.get("order-4711").await?, sdk.get("order-4712").await?);
            from.cents -= 1;
            to.cents += 1;
            sdk.save_together(&mut [from, to]).await
        }
    }
}

async fn with_dynalock(client: &Client, orders: &Table<Order>, call: Call) -> Result<(), Failure> {
    match call {
        Call::Create => orders.create(black_box(&mut order())).await?,
        Call::Get => drop(black_box(orders.get("order-4711").await?)),
        Call::Save => orders.save(black_box(&mut order())).await?,
        Call::Update => drop(black_box(orders.update("order-4711", |order| order.cents += 1).await?)),
        Call::TransactionOf2 => save_together(client, orders, Order::held(2)).await?,
        Call::TransactionOf25 => save_together(client, orders, Order::held(25)).await?,
        Call::Transact => {
            let moved = transact(client, move |tx| async move {
                let mut from = tx.get(orders, "order-4711").await?.ok_or(dynalock::Error::NotFound)?;
                let mut to = tx.get(orders, "order-4712").await?.ok_or(dynalock::Error::NotFound)?;
                from.cents -= 1;
                to.cents += 1;
                tx.save(orders, from)?;
                tx.save(orders, to)
            });
            moved.await?;
        }
    }
    Ok(())
}

async fn save_together(client: &Client, orders: &Table<Order>, mut held: Vec<Order>) -> Result<(), Failure> {
    let saves = black_box(&mut held)
        .iter_mut()
        .fold(Transaction::new(client), |transaction, order| transaction.save(orders, order));
    Ok(saves.commit().await?)
}
