//! The controllers from package repository to Cluster, one room each, all with the same files:
//!
//! | file | does | talks |
//! |---|---|---|
//! | `mod.rs` | the room's contract, its watches, its RBAC | no |
//! | `observe.rs` | rows to `Observed` | no |
//! | `decide.rs` | `Observed` and the time to a `Verdict` | no |
//! | `status.rs` | conditions, columns and Events | no |
//! | `apply.rs` | a step to one API request, its answer to a row | yes |
//!
//! *Architecture invariant:* nothing but an `apply.rs` names a client, awaits, or knows the time by itself.

pub mod cluster_upgrader;
pub mod debian_repository_source;
pub mod machine_image;
pub mod machine_image_syncer;
pub mod plan;
