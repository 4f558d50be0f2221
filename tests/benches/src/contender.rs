//! What adds 1 to an account that others change as well.

use std::pin::Pin;

use crate::Failure;

/// A future that a contender returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How an addition ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It was applied.
    Added,
    /// It was not applied: the others were faster each time.
    GaveUp,
}

/// What a task works with.
pub trait Contender: Send + Sync {
    /// What another task of the same process works with.
    fn colleague(&self) -> Box<dyn Contender>;

    /// Adds 1 to the account's balance, as often as it has to be tried. An error is neither success nor a conflict.
    fn add<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Answer, Failure>>;
}

/// A contender whose colleagues are clones of it.
pub trait Adder: Clone + Send + Sync + 'static {
    /// As [`Contender::add`].
    fn add(&self, id: &str) -> impl Future<Output = Result<Answer, Failure>> + Send;
}

impl<A: Adder> Contender for A {
    fn colleague(&self) -> Box<dyn Contender> {
        Box::new(self.clone())
    }

    fn add<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Answer, Failure>> {
        Box::pin(Adder::add(self, id))
    }
}
