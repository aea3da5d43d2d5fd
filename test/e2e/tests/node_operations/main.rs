//! Operations on nodes with kwok's nodes: many of them, kills, two operations at once, and what nothing can be done with.
//! Reboots are in `sandbox`, on a node that has a kernel.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod bad_input;
mod by_hand;
mod drains;
mod fleet;
mod kills;
mod size;
mod swap;
mod witness;
