//! Both of our Deployments on a real node, and operations on it that really reboot it. Printed skips where the machine cannot have one.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod chain;
mod failures;
mod kills;
mod operations;
mod reboots;
mod scene;
mod upgrades;
