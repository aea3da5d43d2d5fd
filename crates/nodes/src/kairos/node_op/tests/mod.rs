//! The room on a cluster of objects, without an API server.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod bad_input;
mod courses;
mod kills;
mod swap;
mod world;
