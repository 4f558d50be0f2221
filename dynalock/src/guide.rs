//! The guide, page by page; [which page answers what](crate#the-guide).

#[doc = include_str!("../docs/start.md")]
pub mod start {}

#[doc = "How two applications that write one item are kept apart: what each call sends, and why that is enough.\n"]
#[doc = include_str!("../docs/how-it-works.svg")]
#[doc = include_str!("../docs/how-it-works.md")]
pub mod how_it_works {}

#[doc = include_str!("../docs/conflicts.md")]
pub mod conflicts {}

#[doc = include_str!("../docs/lost-reply.md")]
#[doc = include_str!("../docs/lost-reply.svg")]
#[doc = include_str!("../docs/what-ok-means.md")]
pub mod what_ok_means {}

#[doc = include_str!("../docs/transactions.md")]
pub mod transactions {}

#[doc = include_str!("../docs/contention.md")]
pub mod contention {}

#[cfg(feature = "embedded")]
#[doc = include_str!("../docs/testing.md")]
pub mod testing {}

#[doc = include_str!("../docs/single-table.md")]
pub mod single_table {}

#[doc = include_str!("../docs/etag.md")]
pub mod etag {}

#[doc = include_str!("../docs/moving.md")]
pub mod moving {}

#[doc = include_str!("../docs/interoperation.md")]
pub mod interoperation {}

#[doc = include_str!("../docs/iam.md")]
pub mod iam {}

#[doc = include_str!("../docs/capacity.md")]
pub mod capacity {}

#[doc = include_str!("../docs/tables.md")]
pub mod tables {}

#[doc = include_str!("../docs/questions.md")]
pub mod questions {}
