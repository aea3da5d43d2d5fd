//! Pods leave by eviction, as their budgets let them, and a command is run on a node that is drained.

use api::kairos::{NODE_OP_LABEL, PREFLIGHT_LABEL};
use api::nodes::pod::MIRROR_ANNOTATION;
use jiff::SignedDuration;
use serde_json::Value;

use super::{OfNodes, is_cordoned, is_of_operation, on_of_job};
use crate::apiserver::eviction::{EVICTION, is_ready, selects};
use crate::invariants::{Broken, Write, holds};
use crate::world::World;
use crate::world::nodes::{bound_to, controller, has_ended, is_leaving};

const EVICTED: &str = "a pod of a user leaves by eviction alone";
const BUDGET: &str = "no disruption budget is violated";
const DRAINED: &str = "a command is run on a node that is drained, where that is asked for";

/// How long after somebody made a node schedulable pods may be on it that nobody has looked at.
const OPENED: SignedDuration = SignedDuration::from_mins(15);

pub(super) fn check(seen: &OfNodes, world: &World, write: &Write<'_>) -> Result<(), Broken> {
    match (write.kind, write.before, write.after) {
        ("Pod", Some(before), after) if write.is_ours() => leaves(world, write, before, after),
        ("Job", None, Some(job)) if write.is_ours() => runs(seen, world, write, job),
        _ => Ok(()),
    }
}

fn leaves(world: &World, write: &Write<'_>, before: &Value, after: Option<&Value>) -> Result<(), Broken> {
    let goes = !is_leaving(before) && after.is_none_or(is_leaving);
    if !goes || is_of_operation(before) {
        return Ok(());
    }
    holds(write.actor == EVICTION, EVICTED, || format!("Pod {} was deleted", write.key))?;
    if !is_ready(before) {
        return Ok(());
    }
    let Some(id) = world.catalogue.of_kind("policy", "PodDisruptionBudget") else { return Ok(()) };
    for (key, budget) in world.objects.all(id).filter(|(key, _)| key.namespace == write.key.namespace) {
        if !selects(&budget["spec"]["selector"], &before["metadata"]["labels"]) {
            continue;
        }
        let (_, healthy, desired) = world.counted(key, budget);
        let known = budget["status"]["observedGeneration"] == budget["metadata"]["generation"]
            && budget["status"]["desiredHealthy"] == desired;
        // Pods that have become unhealthy by themselves a moment ago are not counted yet.
        let counted = budget["status"]["currentHealthy"].as_i64().unwrap_or(0);
        holds(healthy >= desired || !known || counted > healthy + 1, BUDGET, || {
            format!(
                "Pod {} was evicted, and of budget {} {healthy} pods are left of {desired}",
                write.key, key.name
            )
        })?;
    }
    Ok(())
}

fn runs(seen: &OfNodes, world: &World, write: &Write<'_>, job: &Value) -> Result<(), Broken> {
    let Some((op, node)) = on_of_job(job) else { return Ok(()) };
    let Some(spec) = seen.ops.get(&op).map(|op| &op["spec"]) else { return Ok(()) };
    let opened = seen
        .opened
        .get(&node)
        .is_some_and(|(at, by)| by.as_ref() != Some(&op) && write.at.duration_since(*at) < OPENED);
    let there = world
        .catalogue
        .of_kind("", "Node")
        .and_then(|id| world.objects.get(id, &domain::object::ObjectKey::new("", &*node)));
    let Some(there) = there.filter(|_| spec["cordon"] == true && !opened) else { return Ok(()) };
    holds(is_cordoned(&there.value), DRAINED, || {
        format!("Job {} was made for {node}, which is not cordoned", write.key)
    })?;
    if spec["drainOptions"]["enabled"] != true {
        return Ok(());
    }
    let left = world.pods_where(|pod| bound_to(pod) == &*node && must_leave(pod, spec));
    holds(left.is_empty(), DRAINED, || {
        let names: Vec<String> = left.iter().map(|(key, _)| key.to_string()).collect();
        format!("Job {} was made for {node}, where there are {}", write.key, names.join(", "))
    })
}

/// Whether a drain removes a pod.
fn must_leave(pod: &Value, spec: &Value) -> bool {
    let owner = controller(pod).map(|(kind, ..)| kind);
    let labels = &pod["metadata"]["labels"];
    let part =
        labels.get(PREFLIGHT_LABEL).is_some() || labels.get(NODE_OP_LABEL).is_some() || is_of_operation(pod);
    let mirror = !pod["metadata"]["annotations"][MIRROR_ANNOTATION].is_null();
    let stays = owner == Some("DaemonSet") || (owner.is_none() && spec["drainOptions"]["force"] != true);
    !has_ended(pod) && !part && !mirror && !stays
}
