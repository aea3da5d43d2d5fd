//! The engine: an event loop that owns ordered rows and a queue, with I/O at its edge.
//!
//! It knows no kind of ours. A controller is a [`room::Room`]: pure functions from rows to a verdict, and one function that
//! makes a request.
//!
//! *Architecture invariant:* time and jitter come from [`clock::Clock`] alone, and only [`request::Shell`] and the watches
//! talk; with one seed and a simulated clock there is one order of requests.

pub mod answer;
pub mod client;
pub mod clock;
mod discovery;
pub mod engine;
mod events;
pub mod health;
pub mod lease;
pub mod log;
pub mod metrics;
mod queue;
pub mod request;
pub mod room;
mod row;
pub mod rules;
pub mod status;
pub mod store;
mod watch;

pub use events::RULE as EVENTS_RULE;
