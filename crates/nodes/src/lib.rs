//! Operations on nodes: one engine for every dialect that has a node checked, cordoned, drained, changed, rebooted and
//! given back.
//!
//! A dialect (a kind, or annotations on Nodes) is translated to [`machine::Facts`] and [`machine::Policy`]; what the engine
//! says is an [`machine::Action`] or a [`reason::Reason`], which the dialect puts into its own words. The words of no
//! dialect stand here.
//!
//! | module | answers |
//! |---|---|
//! | [`machine`] | where one node stands, and what is to be done with it next |
//! | [`admit`] | which nodes may start now, and why each other one may not |
//! | [`drain`] | what becomes of each pod of a node, and which budget stands in the way |
//! | [`cordon`] | whose a cordon is, when it is taken and when it is undone |
//! | [`names`] | names of what is created for a node |
//!
//! *Architecture invariant:* nothing here talks, waits or knows the time by itself; every function is total.

pub mod admit;
pub mod cordon;
pub mod drain;
pub mod kairos;
pub mod machine;
pub mod names;
pub mod reason;

use std::time::Duration;

use domain::object::{Kind, ObjectKey, ObjectRef};
use jiff::{SignedDuration, Timestamp};

/// Node of the core group.
pub const NODE: Kind = Kind { group: "", versions: &["v1"], kind: "Node", plural: "nodes" };
/// Pod of the core group.
pub const POD: Kind = Kind { group: "", versions: &["v1"], kind: "Pod", plural: "pods" };
/// PodDisruptionBudget.
pub const BUDGET: Kind =
    Kind { group: "policy", versions: &["v1"], kind: "PodDisruptionBudget", plural: "poddisruptionbudgets" };

/// A Node, named in a reason.
pub(crate) fn node(name: &str) -> ObjectRef {
    ObjectRef::named(NODE, ObjectKey::new("", name))
}

/// `time` plus `duration`, at most the end of time.
pub(crate) fn after(time: Timestamp, duration: Duration) -> Timestamp {
    SignedDuration::try_from(duration)
        .ok()
        .and_then(|duration| time.checked_add(duration).ok())
        .unwrap_or(Timestamp::MAX)
}
