//! What is known of an item that has callers, and the request that is under way for it.
//!
//! Only the caller whose turn it is has the desk. It leaves the desk to the next one as it is, so that neither a read nor a write
//! ends with the caller that began it.
//!
//! ```text
//!           start a read             answered
//!   Empty ──────────────▶ Reading ─────────────▶ Open ◀─┐ a caller adds its change
//!     ▲ ▲                    │                    │ │   │
//!     │ └────────────────────┘ not answered       │ └───┘
//!     │                                           │ mark as sent
//!     │   the outcome is unknown, or the          ▼
//!     └── item is not known ─────────────────  InFlight ──▶ Open: applied, or refused with the stored item
//! ```

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::get_item::{GetItemError, GetItemOutput};
use tokio::runtime::{self, Handle};
use tokio::time::Instant;

use crate::error::Result;
use crate::item::Item;
use crate::queue::line::CallerId;
use crate::send::Applied;
use crate::send::budget::Budget;
use crate::send::delivery::Delivery;
use crate::send::limits::Limits;
use crate::write::draft::Draft;
use crate::write::intent::Intent;

/// The state of an item that has callers.
#[derive(Default)]
pub(crate) enum Desk {
    /// Nothing is known of it.
    #[default]
    Empty,
    Reading(Reading),
    /// It is known, perhaps with changes that are not sent yet.
    Open(Box<Group>),
    InFlight(Box<Flight>),
}

impl Desk {
    /// Whether it holds the changes of the callers that are members of a write.
    pub(crate) fn holds_changes(&self) -> bool {
        matches!(self, Self::Open(_) | Self::InFlight(_))
    }

    /// The desk as the next caller finds it.
    pub(crate) fn handed_on(self) -> Self {
        match self {
            Self::Reading(reading) if reading.answer.is_broken => Self::Empty,
            Self::InFlight(flight) if flight.landing.is_broken => Self::Empty,
            desk => desk,
        }
    }
}

/// What is under way for all who wait, and polled by the caller whose turn it is.
pub(crate) struct UnderWay<T> {
    future: Pin<Box<dyn Future<Output = T> + Send>>,
    /// Which has its timers and its connection, and may end before it.
    runtime: Option<runtime::Id>,
    /// It is being polled, or a panic ended that, as one of an interceptor of the client's.
    is_broken: bool,
}

impl<T> UnderWay<T> {
    pub(crate) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self { future: Box::pin(future), runtime: runtime(), is_broken: false }
    }

    /// Whether it goes on where it is polled now. On another runtime it could wait for ever for timers that nobody drives, or panic.
    pub(crate) fn is_here(&self) -> bool {
        self.runtime == runtime()
    }
}

fn runtime() -> Option<runtime::Id> {
    Handle::try_current().ok().map(|handle| handle.id())
}

impl<T> Future for UnderWay<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        self.is_broken = true;
        let poll = self.future.as_mut().poll(context);
        self.is_broken = false;
        poll
    }
}

/// A read that is under way: one request, with the SDK's own retries.
pub(crate) struct Reading {
    pub(crate) answer: UnderWay<Result<GetItemOutput, SdkError<GetItemError>>>,
    pub(crate) as_of: AsOf,
}

/// When the state of an item was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AsOf {
    /// How many callers had come by then. For them it is not out of date.
    pub(crate) arrivals: u64,
    /// When the turn began that it serves.
    pub(crate) begun: Instant,
}

impl AsOf {
    /// The same state, for the turn that begins now.
    pub(crate) fn next_turn(self) -> Self {
        Self { begun: Instant::now(), ..self }
    }
}

/// An item, with the changes of the callers that go out together.
pub(crate) struct Group {
    pub(crate) draft: Draft,
    /// Whether other callers may use the item after it was changed. If not, it need not be copied.
    pub(crate) is_shared: bool,
    pub(crate) as_of: AsOf,
    /// How many members it may have.
    pub(crate) size: usize,
}

impl Group {
    pub(crate) fn new(draft: Draft, as_of: AsOf) -> Self {
        Self { draft, is_shared: false, as_of, size: usize::MAX }
    }

    /// The item with the changes in it, for a caller to read and change.
    pub(crate) fn item(&mut self) -> Option<Item> {
        if self.is_shared { self.draft.item() } else { self.draft.take_item() }
    }
}

/// A write that is under way, until its outcome is known.
pub(crate) struct Flight {
    pub(crate) landing: UnderWay<Landed>,
    pub(crate) intent: Intent,
    /// Whose budget it uses.
    pub(crate) sender: CallerId,
    pub(crate) delivery: Arc<Delivery>,
    /// The item as it is stored once the write is applied, if that is known.
    pub(crate) written: Option<Item>,
    pub(crate) as_of: AsOf,
    /// When it ends at the latest, and how often it is sent.
    pub(crate) limits: Limits,
}

/// How a write ended, and what is left of the budget that it had.
pub(crate) struct Landed {
    pub(crate) sent: Result<Applied>,
    pub(crate) budget: Budget,
}
