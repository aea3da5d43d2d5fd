//! No more nodes are in flight than `spec.concurrency` lets, and of the control plane one where that is asked for.

use std::collections::BTreeSet;

use api::kairos::node_op;
use api::kairos::{CONTROL_PLANE_LABELS, REBOOT_FROM_ANNOTATION, REBOOT_LABEL};
use domain::object::ObjectKey;
use jiff::Timestamp;

use super::{OfNodes, claim, has_condition, is_cordoned, on_of_job};
use crate::invariants::{Broken, Write, holds};
use crate::world::World;
use crate::world::nodes::{bound_to, has_ended, is_leaving};

const CONCURRENCY: &str = "no more nodes are in flight than spec.concurrency lets";
const ONE_OPERATION: &str = "one operation at a time on a node";
const CONTROL_PLANE: &str = "one control-plane node at a time";

/// Looks at every write of ours by which a node may come into flight.
pub(super) fn check(seen: &OfNodes, world: &World, write: &Write<'_>, alone: bool) -> Result<(), Broken> {
    // Two processes without a lease know nothing of each other's reservations.
    if !write.is_ours() || !alone || !matches!(write.kind, "Node" | "Job" | "Pod") {
        return Ok(());
    }
    let mut of_control_plane = BTreeSet::new();
    let mut all: BTreeSet<Box<str>> = BTreeSet::new();
    for (uid, op) in &seen.ops {
        let nodes = in_flight(seen, world, uid, write.at);
        let limit = op["spec"]["concurrency"].as_u64().unwrap_or(0);
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let kept = seen.lowered.get(uid).is_some_and(|(_, kept)| nodes.is_subset(kept));
        holds(limit == 0 || nodes.len() <= most || kept, CONCURRENCY, || {
            let names: Vec<&str> = nodes.iter().map(AsRef::as_ref).collect();
            format!("{} of {}, which lets {limit}", names.join(" and "), op["metadata"]["name"])
        })?;
        // What is left of a NodeOp that is gone goes in a moment. One that cordons or reboots is held until nothing is left.
        let held = op["spec"]["cordon"] == true || op["spec"]["rebootOnSuccess"] == true;
        if !held && world.by_uid(node_op::KIND.group, node_op::KIND.kind, uid).is_none() {
            continue;
        }
        let both = nodes.iter().find(|node| all.contains(*node));
        holds(both.is_none(), ONE_OPERATION, || {
            format!("two NodeOps are at work on {}", both.map_or("", |it| it))
        })?;
        all.extend(nodes.iter().cloned());
        of_control_plane.extend(nodes.into_iter().filter(|name| is_control_plane(world, name)));
    }
    let one = !seen.given.one_control_plane_at_a_time || of_control_plane.len() <= 1;
    holds(one, CONTROL_PLANE, || {
        let names: Vec<&str> = of_control_plane.iter().map(AsRef::as_ref).collect();
        names.join(" and ")
    })
}

fn is_control_plane(world: &World, name: &str) -> bool {
    let id = world.catalogue.of_kind("", "Node");
    let node = id.and_then(|id| world.objects.get(id, &ObjectKey::new("", name)));
    node.is_some_and(|node| {
        let labels = &node.value["metadata"]["labels"];
        CONTROL_PLANE_LABELS.into_iter().any(|label| labels.get(label).is_some())
    })
}

/// The nodes that a NodeOp disturbs: they have its cordon, its Job runs there, or they are told to reboot and are not back.
fn in_flight(seen: &OfNodes, world: &World, op: &str, now: Timestamp) -> BTreeSet<Box<str>> {
    let mut nodes = BTreeSet::new();
    if let Some(id) = world.catalogue.of_kind("", "Node") {
        let ours = world.objects.all(id).filter(|(_, node)| is_cordoned(node) && claim(node) == Some(op));
        nodes.extend(ours.map(|(key, _)| Box::from(&*key.name)));
    }
    for (id, key) in world.objects.owned_by(op) {
        let Some(object) = world.objects.get(*id, key).map(|entry| &entry.value) else { continue };
        if is_leaving(object) {
            continue;
        }
        if let Some((_, node)) = on_of_job(object) {
            let over = has_condition(object, "Complete") || has_condition(object, "Failed");
            nodes.extend(Some(node).filter(|_| !over));
            continue;
        }
        let reboots = object["metadata"]["labels"].get(REBOOT_LABEL).is_some() && !has_ended(object);
        let from = object["metadata"]["annotations"][REBOOT_FROM_ANNOTATION].as_str().filter(|_| reboots);
        let node = bound_to(object);
        if let (Some(from), Some(machine)) = (from, world.nodes.machines.get(node))
            && *machine.boot_id == *from
        {
            nodes.insert(node.into());
        }
    }
    nodes.retain(|node| !seen.has_failed(op, node, now) && world.nodes.machines.contains_key(node));
    nodes
}
