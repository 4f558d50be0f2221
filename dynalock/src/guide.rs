//! The guide, page by page.

#[doc = include_str!("../docs/lost-reply.md")]
#[doc = include_str!("../docs/lost-reply.svg")]
#[doc = include_str!("../docs/what-ok-means.md")]
pub mod what_ok_means {}

#[doc = include_str!("../docs/transactions.md")]
pub mod transactions {}

#[doc = include_str!("../docs/contention.md")]
pub mod contention {}

#[doc = include_str!("../docs/interoperation.md")]
pub mod interoperation {}

#[cfg(feature = "embedded")]
#[doc = include_str!("../docs/testing.md")]
pub mod testing {}
