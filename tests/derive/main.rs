//! What the derive accepts, what it makes of it, and what it refuses.

mod generics;
mod hygiene;
mod lints;
mod macros;
mod names;
mod refused;
mod renamed;
mod settings;
