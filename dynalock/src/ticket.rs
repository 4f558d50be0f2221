//! What a caller shares with those who carry its change: how far that is, and what became of it.

use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::failure::SdkFailure;
use crate::lock::lock;
use crate::write::Intent;

/// What became of a write, for one of its members.
#[derive(Clone, Copy)]
pub(crate) enum Outcome {
    /// Applied, with the changes of so many calls. The last one's object is what is stored, at this version; the others
    /// changed what is no longer so.
    Applied { batch: usize, version: Option<u64> },
    /// Not applied: to be done again.
    Again,
    /// Not applied, and one of several members may be to blame: each is to go on in a batch of this size. Half of the last
    /// one, so that the one to blame is found after few writes.
    Smaller(usize),
}

/// How far a member's write is.
#[derive(Clone)]
pub(crate) enum Status {
    /// Not sent yet.
    Drafted,
    /// Not sent yet, and its caller is gone.
    Withdrawn,
    Sent(Intent),
    Done(Outcome),
    /// Not applied, for a reason that stands in the way of every write.
    Refused(SdkFailure),
    /// Sent, and what became of it cannot be found out, perhaps for this reason.
    Lost(Intent, Option<SdkFailure>),
}

/// One member's part of a write.
pub(crate) struct Ticket {
    status: Mutex<Status>,
    is_answered: Notify,
}

impl Ticket {
    pub(crate) fn status(&self) -> Status {
        lock(&self.status).clone()
    }

    /// Ends the caller's part, and returns how far it is. What was not sent yet then never is.
    pub(crate) fn withdraw(&self) -> Status {
        let mut status = lock(&self.status);
        if matches!(*status, Status::Drafted) {
            *status = Status::Withdrawn;
        }
        status.clone()
    }

    /// Waits for an answer with which the caller is through. Whoever has to go on keeps its place in the queue instead.
    pub(crate) async fn answered(&self) {
        self.is_answered.notified().await;
    }

    fn end(&self, status: Status) {
        let is_through = !matches!(status, Status::Done(Outcome::Again | Outcome::Smaller(_)));
        *lock(&self.status) = status;
        if is_through {
            self.is_answered.notify_one();
        }
    }
}

/// The callers whose changes are in one write, in the order of their changes.
#[derive(Default)]
pub(crate) struct Members(Vec<Arc<Ticket>>);

impl Members {
    /// Adds one whose change is not sent yet.
    pub(crate) fn add(&mut self) -> Arc<Ticket> {
        let ticket = Arc::new(Ticket { status: Mutex::new(Status::Drafted), is_answered: Notify::new() });
        self.0.push(Arc::clone(&ticket));
        ticket
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Lets the write go out, unless it holds what a caller has withdrawn.
    pub(crate) fn seal(&self, intent: Intent) -> bool {
        self.0.iter().all(|ticket| {
            let mut status = lock(&ticket.status);
            let is_drafted = matches!(*status, Status::Drafted);
            if is_drafted {
                *status = Status::Sent(intent);
            }
            is_drafted
        })
    }

    /// Tells all of them the same.
    pub(crate) fn end(&self, status: &Status) {
        for ticket in &self.0 {
            ticket.end(status.clone());
        }
    }

    /// Tells all that the write was applied, and the last one which version its object has.
    pub(crate) fn applied(&self, version: Option<u64>) {
        let batch = self.len();
        for (number, ticket) in (1..).zip(&self.0) {
            let version = version.filter(|_| number == batch);
            ticket.end(Status::Done(Outcome::Applied { batch, version }));
        }
    }

    /// Whether `ticket` is the only one.
    pub(crate) fn is_only(&self, ticket: Option<&Arc<Ticket>>) -> bool {
        matches!((&self.0[..], ticket), ([only], Some(ticket)) if Arc::ptr_eq(only, ticket))
    }

    /// Whether any of their callers is still there.
    pub(crate) fn are_awaited(&self) -> bool {
        self.0.iter().any(|ticket| Arc::strong_count(ticket) > 1)
    }
}

/// A write that is given up before it is sent was not applied.
impl Drop for Members {
    fn drop(&mut self) {
        for ticket in &self.0 {
            let mut status = lock(&ticket.status);
            if matches!(*status, Status::Drafted) {
                *status = Status::Done(Outcome::Again);
            }
        }
    }
}
