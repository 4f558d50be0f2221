//! The write protocol of dynalock in a model's terms: what a store makes of a write, and what a refusal means. The model in
//! `main.rs` visits every state of it, and the simulation holds what really happens against it.

pub mod protocol;
