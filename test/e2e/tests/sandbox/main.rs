//! Operations on a real node that really reboots. Printed skips where the machine cannot have one.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod failures;
mod kills;
mod operations;
mod scene;
mod upgrades;
