//! What each call answers when requests and replies are lost. "Row" in these tests is a row of the fault matrix: one
//! fault, the calls it strikes, and the answer that is promised. Rows hold for
//! items that keep write stamps and, where they promise less, for items that keep none.

mod calls;
mod closures;
mod deadlines;
mod denied;
mod dropped;
mod foreign;
mod hooks;
mod late;
mod later;
mod lost;
mod naive;
mod reads;
mod refused;
mod rivals;
mod silence;
mod slots;
mod stamped;
mod untold;
mod world;
