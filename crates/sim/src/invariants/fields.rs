//! No object of another owner is touched, and of no object more than what its controller declares to write.

use api::batch::job;
use api::upgrader::cluster_upgrader::LAST_SET_ANNOTATION;
use api::upgrader::{cluster_upgrader, machine_image, machine_image_syncer};
use serde_json::Value;

use super::paths::differing;
use super::{Broken, Write, holds, text};
use crate::world::World;

const INVARIANT: &str = "no object of another owner is touched";

/// What a controller may change of a kind: prefixes of paths.
fn allowed(actor: &str, kind: &str) -> &'static [&'static str] {
    const BLOCK_MOVE: &str = "/metadata/annotations/clusterctl.cluster.x-k8s.io/block-move";
    match (actor, kind) {
        ("debianrepositorysource", "DebianRepositorySource")
        | ("machineimagesyncer", "MachineImageSyncer")
        | ("plan", "Plan") => &["/status"],
        ("machineimage", "MachineImage") => &["/status", "/spec/id", BLOCK_MOVE],
        ("clusterclassclusterupgrader", "ClusterClassClusterUpgrader") => {
            &["/status", "/metadata/annotations/kubernetesupgraded.dimitrikoshkin.com/last-set"]
        }
        ("clusterclassclusterupgrader", "Cluster") => &["/spec/topology/version", "/spec/topology/variables"],
        _ => &[],
    }
}

pub(super) fn check(world: &World, write: &Write<'_>) -> Result<(), Broken> {
    if !write.is_ours() {
        return Ok(());
    }
    debug_assert!(LAST_SET_ANNOTATION.ends_with("/last-set"));
    let Write { actor, kind, key, .. } = write;
    let named = |what: &str| format!("{actor} {what} {kind} {key}");
    match (write.before, write.after) {
        (None, Some(new)) => {
            let owner = &new["metadata"]["ownerReferences"][0];
            let made = match (*actor, *kind) {
                ("machineimagesyncer", kind) if kind == machine_image::KIND.kind => {
                    owner["kind"] == machine_image_syncer::KIND.kind && is_there(world, owner)
                }
                ("machineimage", kind) if kind == job::KIND.kind => {
                    owner["kind"] == machine_image::KIND.kind && is_there(world, owner)
                }
                _ => false,
            };
            holds(made, INVARIANT, || named("has made"))
        }
        (Some(old), None) => {
            let references = old["metadata"]["ownerReferences"].as_array();
            let owned = references
                .into_iter()
                .flatten()
                .any(|owner| owner["kind"] == machine_image_syncer::KIND.kind);
            holds(*kind == machine_image::KIND.kind && owned, INVARIANT, || named("has deleted"))
        }
        (Some(old), Some(new)) => {
            let allowed = allowed(actor, kind);
            let bookkeeping = ["/metadata/resourceVersion", "/metadata/generation", "/metadata/annotations"];
            for path in differing(old, new) {
                let own = allowed.iter().any(|prefix| path.starts_with(prefix));
                // The first annotation brings the map with it, the last takes it away.
                let map_alone = path == "/metadata/annotations" && only_ours(old, new, allowed);
                let counted = path != "/metadata/annotations" && bookkeeping.contains(&path.as_str());
                holds(own || map_alone || counted, INVARIANT, || {
                    format!("{} at {path}", named("has changed"))
                })?;
            }
            variables(world, write, old, new)
        }
        (None, None) => Ok(()),
    }
}

/// Whether the one map that there is has nothing but what the controller may write.
fn only_ours(old: &Value, new: &Value, allowed: &[&str]) -> bool {
    let maps = [old, new].map(|object| object["metadata"]["annotations"].as_object());
    maps.into_iter().flatten().flatten().all(|(name, _)| {
        let path = format!("/metadata/annotations/{name}");
        allowed.iter().any(|prefix| path.starts_with(prefix))
    })
}

/// Whether the owner that is named is the one that is there, or was a moment ago: it may be deleted in between.
fn is_there(world: &World, owner: &Value) -> bool {
    let kind = owner["kind"].as_str().unwrap_or_default();
    let Some(id) = world.catalogue.named(kind) else { return false };
    let mut namesakes = world.objects.all(id).filter(|(key, _)| owner["name"] == *key.name);
    let same = |object: &Value| object["metadata"]["uid"] == owner["uid"];
    namesakes.next().is_none_or(|(_, object)| same(object)) && owner["uid"].is_string()
}

/// Of the variables of a Cluster only those change that its upgraders name.
fn variables(world: &World, write: &Write<'_>, old: &Value, new: &Value) -> Result<(), Broken> {
    if write.kind != "Cluster" {
        return Ok(());
    }
    let named: Vec<&str> = upgraders(world, write.key).map(|it| text(it, "/spec/topologyVariable")).collect();
    let list = |object: &Value| {
        let mut list =
            object.pointer("/spec/topology/variables").and_then(Value::as_array).cloned().unwrap_or_default();
        list.retain(|variable| !variable["name"].as_str().is_some_and(|name| named.contains(&name)));
        list
    };
    holds(list(old) == list(new), INVARIANT, || {
        format!("Cluster {}: a variable was changed that no upgrader of it names", write.key)
    })
}

/// The upgraders of a Cluster.
pub(super) fn upgraders<'a>(
    world: &'a World,
    cluster: &'a domain::object::ObjectKey,
) -> impl Iterator<Item = &'a Value> {
    let id = world.catalogue.of_kind(cluster_upgrader::KIND.group, cluster_upgrader::KIND.kind);
    let all = id.into_iter().flat_map(|id| world.objects.all(id));
    all.filter(|(key, upgrader)| {
        key.namespace == cluster.namespace && text(upgrader, "/spec/clusterName") == &*cluster.name
    })
    .map(|(_, upgrader)| upgrader)
}
