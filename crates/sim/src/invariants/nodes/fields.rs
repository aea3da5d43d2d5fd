//! No object of another owner is touched, and of no object more than the controller declares to write.

use api::kairos::labeler::NAME;
use api::kairos::{
    CLUSTER_ROLE, CLUSTER_ROLE_BINDING_PREFIX, CORDONED_BY_ANNOTATION, FINALIZER, REBOOT_FROM_ANNOTATION,
};
use serde_json::Value;

use crate::invariants::paths::differing;
use crate::invariants::{Broken, Write, holds};
use crate::world::nodes::labeler::is_of_labeler;
use crate::world::nodes::{controller, is_leaving};

const INVARIANT: &str = "no object of another owner is touched";

/// What may be changed of a kind: prefixes of paths.
fn allowed(kind: &str) -> Vec<String> {
    let annotation = |name: &str| format!("/metadata/annotations/{name}");
    match kind {
        "NodeOpUpgrade" => vec!["/status".to_owned()],
        "NodeOp" => vec!["/status".to_owned(), "/metadata/finalizers".to_owned()],
        "Node" => vec!["/spec/unschedulable".to_owned(), annotation(CORDONED_BY_ANNOTATION)],
        "DaemonSet" => vec!["/spec/template".to_owned(), "/metadata/labels".to_owned()],
        "Pod" => vec![annotation(REBOOT_FROM_ANNOTATION)],
        _ => Vec::new(),
    }
}

/// Whether an object is owned by a NodeOp.
fn is_of_an_op(object: &Value) -> bool {
    controller(object).is_some_and(|(kind, ..)| kind == "NodeOp")
}

pub(super) fn check(write: &Write<'_>) -> Result<(), Broken> {
    if !write.is_ours() {
        return Ok(());
    }
    let Write { kind, key, .. } = write;
    let named = |what: &str| format!("{what} {kind} {key}");
    match (write.before, write.after) {
        (None, Some(new)) => {
            let made = ["Job", "Pod", "ServiceAccount", "Role", "RoleBinding"];
            let of_an_upgrade =
                *kind == "NodeOp" && controller(new).is_some_and(|(kind, ..)| kind == "NodeOpUpgrade");
            let of_an_op = made.contains(kind) && is_of_an_op(new);
            holds(of_an_op || of_an_upgrade || is_labelers(write, new), INVARIANT, || named("made"))
        }
        (Some(old), None) => {
            let bound = *kind == "ClusterRoleBinding" && key.name.starts_with(CLUSTER_ROLE_BINDING_PREFIX)
                || *kind == "ClusterRole" && *key.name == *CLUSTER_ROLE;
            // A NodeOp goes when its finalizer does, if nobody else holds it.
            let goes = *kind == "NodeOp" && is_leaving(old) && others(old).is_empty();
            // What of a pod that is evicted is looked at is its budget.
            holds(
                *kind == "Pod" || bound || goes || is_of_an_op(old) || is_labelers(write, old),
                INVARIANT,
                || named("deleted"),
            )
        }
        (Some(old), Some(new)) => {
            if *kind == "Pod" && is_leaving(new) {
                return Ok(());
            }
            // The server counts an eviction in the status of the budget.
            if *kind == "PodDisruptionBudget" {
                return Ok(());
            }
            let allowed = allowed(kind);
            holds(*kind != "DaemonSet" || is_labelers(write, old), INVARIANT, || named("changed"))?;
            for path in differing(old, new) {
                let own = allowed.iter().any(|prefix| path.starts_with(prefix.as_str()));
                let map = path == "/metadata/annotations" && allowed.iter().any(|it| it.starts_with(&path));
                let counted = ["/metadata/resourceVersion", "/metadata/generation"].contains(&path.as_str());
                let deletion = path.starts_with("/metadata/deletion") && is_of_an_op(new);
                holds(own || map || counted || deletion, INVARIANT, || {
                    format!("{} at {path}", named("changed"))
                })?;
            }
            finalizers(write, old, new)
        }
        (None, None) => Ok(()),
    }
}

/// Whether it is the DaemonSet of the labeler, or a Job of it that goes with a Node.
fn is_labelers(write: &Write<'_>, object: &Value) -> bool {
    let owner = controller(object).map(|(kind, ..)| kind);
    match write.kind {
        "Job" => is_of_labeler(object) && owner == Some("Node"),
        kind => kind == "DaemonSet" && *write.key.name == *NAME,
    }
}

/// The finalizers of a NodeOp that are not ours.
fn others(object: &Value) -> Vec<Value> {
    let mut all = object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    all.retain(|finalizer| *finalizer != FINALIZER);
    all
}

/// Of the finalizers of a NodeOp one is ours.
fn finalizers(write: &Write<'_>, old: &Value, new: &Value) -> Result<(), Broken> {
    holds(others(old) == others(new), INVARIANT, || format!("finalizers of {} {}", write.kind, write.key))
}
