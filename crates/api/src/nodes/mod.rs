//! Nodes, and what is asked of whoever disrupts them: kinds of Kubernetes that every operation on nodes reads.

pub mod disruption_budget;
pub mod node;
pub mod pod;
