//! The desk of an item that has callers: the item as it is known, and the request that is under way for it.
//!
//! Only the caller whose turn it is has the desk. At the end of its turn it gives the desk to the next caller. A read or a write
//! that is under way continues there, so it does not end with the caller that began it.
//!
//! ```text
//!           start a read             answered
//!   Empty ──────────────▶ Reading ─────────────▶ Open ◀─┐ a caller adds its change
//!     ▲ ▲                    │                    │ │   │
//!     │ └────────────────────┘ not answered       │ └───┘
//!     │                                           │ mark as sent
//!     │   the outcome is unknown, or the          ▼
//!     └── stored item is not known ──────────  InFlight ──▶ Open: applied, or refused with the stored item
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
use crate::send::Applied;
use crate::send::budget::Budget;
use crate::send::delivery::Delivery;
use crate::send::limits::Limits;
use crate::write::draft::Draft;
use crate::write::intent::Intent;

/// The number of a caller in the line, counted from 0 in the order of arrival.
pub(crate) type CallerId = u64;

/// The state of an item that has callers.
#[derive(Default)]
pub(crate) enum Desk {
    /// The item is not known.
    #[default]
    Empty,
    /// A read of the item is under way.
    Reading(Reading),
    /// The item is known. The group may have changes that are not sent yet.
    Open(Box<Group>),
    /// The write of a group is under way.
    InFlight(Box<Flight>),
}

impl Desk {
    /// Whether the desk holds the changes of the members of a group, sent or not.
    pub(crate) fn holds_changes(&self) -> bool {
        matches!(self, Self::Open(_) | Self::InFlight(_))
    }

    /// The desk for the next caller, without a request that cannot continue.
    pub(crate) fn for_next_caller(self) -> Self {
        match self {
            Self::Reading(reading) if reading.answer.is_broken => Self::Empty,
            Self::InFlight(flight) if flight.landing.is_broken => Self::Empty,
            desk => desk,
        }
    }
}

/// A request that is under way for all waiting callers, and is polled by the caller whose turn it is.
pub(crate) struct UnderWay<T> {
    future: Pin<Box<dyn Future<Output = T> + Send>>,
    /// The runtime in which the future began. It drives the future's timers and connection, and may end before the future does.
    runtime: Option<runtime::Id>,
    /// Set while the future is polled. It stays set if the poll panics, as an interceptor of the client may, and such a future
    /// must not be polled again.
    is_broken: bool,
}

impl<T> UnderWay<T> {
    pub(crate) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self { future: Box::pin(future), runtime: runtime(), is_broken: false }
    }

    /// Whether the future began in the current runtime. In another one it could panic, or wait for ever for a timer whose runtime
    /// has ended.
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
        // Cleared below, unless the poll panics.
        self.is_broken = true;
        let poll = self.future.as_mut().poll(context);
        self.is_broken = false;
        poll
    }
}

/// A read that is under way: one request, which the SDK itself may retry.
pub(crate) struct Reading {
    pub(crate) answer: UnderWay<Result<GetItemOutput, SdkError<GetItemError>>>,
    pub(crate) as_of: AsOf,
}

/// The moment at which the request was sent that returned the state of an item.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AsOf {
    /// How many callers had joined the line by then. For them, the state is from after the begin of their call.
    pub(crate) arrivals: u64,
    /// When the turn that uses the state began.
    pub(crate) begun: Instant,
}

impl AsOf {
    /// The same state, for the turn that begins now.
    pub(crate) fn next_turn(self) -> Self {
        Self { begun: Instant::now(), ..self }
    }
}

/// An item, with the changes of the callers that are sent in one write: its members.
pub(crate) struct Group {
    pub(crate) draft: Draft,
    /// Whether other callers may need the item after this one. If not, it is moved instead of copied.
    pub(crate) is_shared: bool,
    pub(crate) as_of: AsOf,
    /// How many members the group may have.
    pub(crate) size: usize,
}

impl Group {
    pub(crate) fn new(draft: Draft, as_of: AsOf) -> Self {
        Self { draft, is_shared: false, as_of, size: usize::MAX }
    }

    /// The item with the changes of all members so far, for the next caller to read and change.
    pub(crate) fn item(&mut self) -> Option<Item> {
        if self.is_shared { self.draft.item() } else { self.draft.take_item() }
    }
}

/// A write that is under way, until its outcome is known.
pub(crate) struct Flight {
    pub(crate) landing: UnderWay<Landed>,
    pub(crate) intent: Intent,
    /// The caller whose budget the write uses.
    pub(crate) sender: CallerId,
    pub(crate) delivery: Arc<Delivery>,
    /// The item as it will be stored if the write is applied. `None` if that is not known, or if no other caller needs it.
    pub(crate) written: Option<Item>,
    pub(crate) as_of: AsOf,
    /// The limits of all members together.
    pub(crate) limits: Limits,
}

/// The outcome of a write, and the rest of the budget that it used.
pub(crate) struct Landed {
    pub(crate) outcome: Result<Applied>,
    pub(crate) budget: Budget,
}
