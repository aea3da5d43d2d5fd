//! The write to a Cluster: one JSON Patch (RFC 6902) that says what it expects to replace.
//!
//! Version and image go in one request: with two, Cluster API could roll the machines in between, with the new image and
//! the old version or the other way round. The paths are the same in v1beta1 and v1beta2.

use serde_json::{Value, json};

use super::facts::Target;
use super::hop::Hop;
use super::variable::{self, Image, operation};

/// The operations that set a hop. Where the Cluster has its version, that is tested and left alone.
pub(super) fn patch(target: &Target<'_>, hop: &Hop, image: Option<Image<'_>>) -> Vec<Value> {
    let Target { cluster, topology, .. } = target;
    let mut operations = vec![
        // A stale one is answered with a clean 409.
        operation("replace", "/metadata/resourceVersion", json!(cluster.meta.resource_version.to_string())),
        operation("test", "/spec/topology/version", json!(topology.version)),
    ];
    if !hop.image_only {
        operations.push(operation("replace", "/spec/topology/version", json!(hop.version.to_string())));
    }
    operations.extend(image.into_iter().flat_map(|image| variable::operations(topology, image)));
    operations
}
