//! What the instruction counts are about: an order of ordinary size.

use std::collections::HashMap;

use dynalock::Versioned;
use serde::{Deserialize, Serialize};

/// The table that holds the orders.
pub const TABLE: &str = "orders";

/// An order.
#[derive(Debug, Serialize, Deserialize, Versioned)]
pub struct Order {
    /// Its partition key.
    #[dynalock(partition_key)]
    pub id: String,
    customer: String,
    status: String,
    /// What an update changes.
    pub cents: i64,
    weight: f64,
    lines: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    address: HashMap<String, String>,
    /// Its version.
    #[dynalock(version)]
    pub version: u64,
}

impl Order {
    /// An order that was stored before.
    #[must_use]
    pub fn of(id: String) -> Self {
        Self {
            id,
            customer: "customer-42".into(),
            status: "open".into(),
            cents: 123_456,
            weight: 2.5,
            lines: vec!["apples".into(), "pears".into(), "plums".into()],
            note: None,
            address: [("street", "High Street 1"), ("city", "Springfield")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            version: 7,
        }
    }

    /// What a transaction holds.
    #[must_use]
    pub fn held(orders: u32) -> Vec<Self> {
        (0..orders).map(|number| Self::of(format!("order-{number}"))).collect()
    }
}
