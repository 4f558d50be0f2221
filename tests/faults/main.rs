//! What each call answers when requests and replies are lost. "Row" in these tests is a row of the fault matrix: one
//! fault, the calls it strikes, and the answer that is promised. Rows hold for
//! items that keep write stamps and, where they promise less, for items that keep none.

mod calls;
mod closures;
mod deadlines;
mod dropped;
mod hooks;
mod late;
mod lost;
mod reads;
mod refused;
mod rivals;
mod silence;
mod untold;
mod world;
