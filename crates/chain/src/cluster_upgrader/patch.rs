//! The write to a Cluster: one JSON Patch (RFC 6902) that says what it expects to replace.
//!
//! Version and image go in one request: with two, Cluster API could roll the machines in between, with the new image and
//! the old version or the other way round. The paths are the same in v1beta1 and v1beta2.

use api::capi::cluster::{ClusterRow, Topology};
use domain::version::KubernetesVersion;
use serde_json::{Value, json};

/// A variable and the id of the image that it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Image<'a> {
    pub(super) variable: &'a str,
    pub(super) id: &'a str,
}

/// The operations that set `version`, and `image` with it.
pub(super) fn patch(
    cluster: &ClusterRow,
    topology: &Topology,
    version: &KubernetesVersion,
    image: Option<Image<'_>>,
) -> Vec<Value> {
    let mut operations = vec![
        // A stale one is answered with a clean 409.
        operation("replace", "/metadata/resourceVersion", json!(cluster.meta.resource_version.to_string())),
        operation("test", "/spec/topology/version", json!(topology.version)),
        operation("replace", "/spec/topology/version", json!(version.to_string())),
    ];
    let Some(Image { variable, id }) = image else { return operations };
    let entry = json!({"name": variable, "value": id});
    match (topology.variable(variable), &topology.variables) {
        (Some((place, _)), _) => {
            let path = format!("/spec/topology/variables/{place}");
            // The list is addressed by place: if it was reordered, this fails instead of hitting another variable.
            operations.push(operation("test", &format!("{path}/name"), json!(variable)));
            operations.push(operation("replace", &format!("{path}/value"), json!(id)));
        }
        (None, Some(_)) => operations.push(operation("add", "/spec/topology/variables/-", entry)),
        // On a list that exists this would destroy it; the resourceVersion says that there is none.
        (None, None) => operations.push(operation("add", "/spec/topology/variables", json!([entry]))),
    }
    operations
}

fn operation(op: &str, path: &str, value: Value) -> Value {
    json!({"op": op, "path": path, "value": value})
}
