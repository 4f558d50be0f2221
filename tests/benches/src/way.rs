//! The ways to add 1 to an account that others change as well.

use aws_sdk_dynamodb::Client;
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::contender::Contender;
use crate::own::{Each, Shared};
use crate::raw::{FairLoop, NaiveLoop};

/// A way to change an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// dynalock, where each task has a table of its own, and so none shares a queue.
    Apart,
    /// dynalock, where the tasks share one table, and so its queue.
    Queue,
    /// The same, with a table that coalesces.
    Coalescing,
    /// A loop around the SDK with dynalock's back-off.
    FairLoop,
    /// A loop around the SDK as it is often written.
    NaiveLoop,
    /// A loop around the crate `dynamodb-facade`.
    Facade,
    /// A loop around the crate `modyne`.
    Modyne,
}

impl Way {
    /// All ways.
    pub const ALL: [Self; 7] = [
        Self::Apart,
        Self::Queue,
        Self::Coalescing,
        Self::FairLoop,
        Self::NaiveLoop,
        Self::Facade,
        Self::Modyne,
    ];

    /// Whether this build can go it.
    #[must_use]
    pub fn is_built(self) -> bool {
        cfg!(dynalock_peers) || !matches!(self, Self::Facade | Self::Modyne)
    }

    /// What tables and plots call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Apart => "dynalock, a table each",
            Self::Queue => "dynalock, one table",
            Self::Coalescing => "dynalock, coalescing",
            Self::FairLoop => "SDK, dynalock's back-off",
            Self::NaiveLoop => "SDK, naive loop",
            Self::Facade => "dynamodb-facade 0.2",
            Self::Modyne => "modyne 0.3",
        }
    }

    /// Whether it is what one would use without dynalock, and without knowing what dynalock does.
    #[must_use]
    pub fn is_peer(self) -> bool {
        matches!(self, Self::NaiveLoop | Self::Facade | Self::Modyne)
    }

    /// What the first task of a process works with.
    ///
    /// # Errors
    ///
    /// If this build has no peers, and the way is one.
    pub fn start(self, client: &Client) -> Result<Box<dyn Contender>, Failure> {
        Ok(match self {
            Self::Apart => Box::new(Each::new(client)),
            Self::Queue => Box::new(Shared::queue(client)),
            Self::Coalescing => Box::new(Shared::coalescing(client)),
            Self::FairLoop => Box::new(FairLoop::new(client)),
            Self::NaiveLoop => Box::new(NaiveLoop::new(client)),
            #[cfg(dynalock_peers)]
            Self::Facade => Box::new(crate::peers::facade::Facade::new(client)),
            #[cfg(dynalock_peers)]
            Self::Modyne => Box::new(crate::peers::modyne::Modyne::new(client)),
            #[cfg(not(dynalock_peers))]
            Self::Facade | Self::Modyne => return Err("built without the peers".into()),
        })
    }
}
