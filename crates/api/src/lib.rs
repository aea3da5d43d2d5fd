//! Every kind that is read or written, ours and foreign ones: wire structs, rows, constants and reasons.
//!
//! One module per API group, one file per kind, with the kind's constants and reasons beside its types. A *wire struct*
//! names the fields that are read, and no more; its *row* (see [`domain::object::Row`]) is what stays in memory.
//!
//! *Architecture invariant:* types only. Nothing here knows of the engine, of a Kubernetes client or of a clock, and
//! nothing decides.

pub mod batch;
pub mod capi;
pub mod clusterctl;
pub mod interval;
pub mod kairos;
pub mod nodes;
pub mod pod_template;
pub mod reference;
pub mod schema;
pub mod selector;
pub mod source;
#[cfg(test)]
mod tests;
pub mod upgrader;
pub mod wire;
