//! The planner in a small world of nodes: golden courses of scenarios, and random worlds with a manager that is killed at any
//! step, under the eye of a witness that looks at the world alone.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at what it cannot go on with, outside of its #[test] functions as well"
)]

mod golden;
mod manager;
mod properties;
mod scenario;
mod witness;
mod world;
