//! Faults: a manager that is killed at any moment, writes that are refused, a lease that is lost, and a dry run. On the real
//! Cluster API where its webhooks and its rolling machines count.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod given;

mod faults {
    mod dry_run;
    mod kills;
    mod lease;
    mod on_cluster_api;
    mod refusals;
    mod tail;
}
