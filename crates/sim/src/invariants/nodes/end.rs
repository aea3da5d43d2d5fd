//! What must be when nothing happens any more: nothing of ours is left, and every NodeOp has ended or says why not.

use api::batch::job;
use api::kairos::{FINALIZER, node_op};
use jiff::Timestamp;
use serde_json::Value;

use super::{OfNodes, claim, is_cordoned, labeler, upgrades};
use crate::apiserver::eviction::{is_ready, selects};
use crate::invariants::{Broken, holds, text};
use crate::world::World;
use crate::world::nodes::{NO_IMAGE, Outcome, Run, bound_to, is_leaving, uid};

const LEFT: &str = "no cordon of ours is left, but where the operation has failed";
const GONE: &str = "a NodeOp that is deleted goes";
const TRUE: &str = "every NodeOp has ended, or says why not";

/// Reasons to wait with a drain.
const DRAINS: [&str; 5] = ["DrainBlocked", "BudgetNeverMet", "DrainRefused", "PodsTerminating", "Draining"];

/// Whether the world is as everybody says.
pub(in crate::invariants) fn is_true(seen: &OfNodes, world: &World) -> Result<(), Broken> {
    let now = world.now();
    let all = |group: &str, kind: &str| {
        let id = world.catalogue.of_kind(group, kind);
        id.into_iter().flat_map(|id| world.objects.all(id)).collect::<Vec<_>>()
    };
    let ops = all(node_op::KIND.group, node_op::KIND.kind);
    for (key, node) in all("", "Node") {
        let Some(of) = claim(node) else {
            let known = !is_cordoned(node) || seen.foreign.contains(&*key.name);
            holds(known, LEFT, || format!("{} is cordoned, and nobody says by whom", key.name))?;
            continue;
        };
        let op = ops.iter().find(|(_, op)| uid(op) == of).map(|(_, op)| *op);
        let stays = op.is_some_and(|op| keeps(seen, world, op, &key.name, now));
        let works = op.is_some_and(|op| text(op, "/status/finishedAt").is_empty());
        holds(works || is_cordoned(node), LEFT, || {
            format!("{} is claimed by {of}, and takes pods", key.name)
        })?;
        holds(stays || works, LEFT, || {
            let entry = op.map(|op| &op["status"]["nodeStatuses"][&*key.name]);
            format!("{} has the cordon of {of}: {}", key.name, entry.unwrap_or(&Value::Null))
        })?;
    }
    for (key, op) in ops {
        let finalizers = op["metadata"]["finalizers"].as_array().into_iter().flatten();
        let ours = finalizers.into_iter().any(|finalizer| *finalizer == FINALIZER);
        // What else holds it is not our affair: a pod on a node that is down, say.
        if is_leaving(op) && !ours {
            continue;
        }
        holds(!is_leaving(op), GONE, || format!("{key}: {}", text(op, "/status/waiting/reason")))?;
        let not = |words: String| Broken { invariant: TRUE, words: format!("NodeOp {key}: {words}") };
        let looked = &op["status"]["observedGeneration"];
        holds(*looked == op["metadata"]["generation"], TRUE, || {
            format!("NodeOp {key}: its status speaks of generation {looked}")
        })?;
        if text(op, "/status/finishedAt").is_empty() {
            waits(world, op).map_err(not)?;
        } else {
            has_ended(seen, world, op).map_err(not)?;
        }
    }
    upgrades::is_true(world)?;
    if seen.given.labeler { labeler::is_true(seen, world) } else { Ok(()) }
}

/// Until when commands were under way, which may fail again and again, and take their time.
pub(in crate::invariants) fn ran_until(world: &World) -> Timestamp {
    let id = world.catalogue.of_kind(job::KIND.group, job::KIND.kind);
    let jobs = id.into_iter().flat_map(|id| world.objects.all(id));
    let until = jobs.filter_map(|(_, job)| {
        let node = bound_to(&job["spec"]["template"]);
        let up = world.nodes.machines.get(node).is_some_and(|machine| machine.up);
        let works = !is_leaving(job) && up && !job["spec"].to_string().contains(NO_IMAGE);
        let ended = text(job, "/status/conditions/0/lastTransitionTime").parse::<Timestamp>().ok();
        ended.or_else(|| works.then(|| world.now()))
    });
    until.max().unwrap_or(Timestamp::MIN)
}

/// Whether a drain is under way, or is in vain.
pub(in crate::invariants) fn is_draining(world: &World) -> bool {
    let id = world.catalogue.of_kind(node_op::KIND.group, node_op::KIND.kind);
    let mut ops = id.into_iter().flat_map(|id| world.objects.all(id));
    ops.any(|(_, op)| {
        let waits = op["status"]["waitingReasons"].as_object();
        waits.is_some_and(|waits| DRAINS.into_iter().any(|reason| waits.contains_key(reason)))
    })
}

/// Whether the cordon of a node stays by rule.
fn keeps(seen: &OfNodes, world: &World, op: &Value, node: &str, now: Timestamp) -> bool {
    let (of, name) = (uid(op), node);
    let rebooted = seen.asked.contains_key(&(of.into(), name.into()));
    let machine = world.nodes.machines.get(node).map(|machine| machine.uid.clone());
    let worked = seen.deleted.contains(&(of.into(), name.into()))
        || world.nodes.runs.iter().any(|run| *run.op == *of && Some(&run.node_uid) == machine.as_ref());
    // Of one that is down nobody can say anything.
    let down = world.nodes.machines.get(node).is_some_and(|machine| !machine.up);
    let failed = text(&op["status"]["nodeStatuses"][node], "/phase") == "Failed";
    (down && failed)
        || seen.has_failed(of, name, now) && (rebooted || (worked && op["spec"]["uncordonOnFailure"] != true))
}

/// Whether it has done what it says.
fn has_ended(seen: &OfNodes, world: &World, op: &Value) -> Result<(), String> {
    let entries = op["status"]["nodeStatuses"].as_object().into_iter().flatten();
    for (node, entry) in entries.clone() {
        let of_node = |run: &&Run| *run.op == *uid(op) && *run.node == **node;
        let done = world.nodes.runs.iter().filter(of_node).find(|run| run.outcome == Outcome::Succeeded);
        let has_job = !text(entry, "/jobName").is_empty();
        match text(entry, "/phase") {
            // What was done on a node that has gone nobody asks.
            "Completed" if has_job && !seen.gone.contains(&**node) => {
                let done =
                    done.ok_or_else(|| format!("{node} is said to be done, and no command has succeeded"))?;
                let machine = world.nodes.machines.get(&**node).filter(|it| it.uid == done.node_uid);
                let same = machine.is_some_and(|machine| machine.boot_id == done.boot_id);
                let begun = op["metadata"]["creationTimestamp"] == seen_from_the_start(op);
                if op["spec"]["rebootOnSuccess"] == true && same && !begun {
                    return Err(format!("{node} is said to be rebooted, and is not"));
                }
            }
            "Completed" | "Failed" => {}
            other => return Err(format!("it has ended, and {node} is {other}")),
        }
    }
    let completed = text(op, "/status/phase") == "Completed";
    let id = world.catalogue.of_kind("", "Node");
    for (key, node) in id.into_iter().flat_map(|id| world.objects.all(id)).filter(|_| completed) {
        let selector = &op["spec"]["nodeSelector"];
        let selected = selector.is_null() || selects(selector, &node["metadata"]["labels"]);
        let older = text(node, "/metadata/creationTimestamp") < text(op, "/metadata/creationTimestamp");
        let moved = seen.moved.contains(&*key.name);
        if selected && older && !moved && !entries.clone().any(|(name, _)| **name == *key.name) {
            return Err(format!("it is completed, and nothing was done on {}", key.name));
        }
    }
    Ok(())
}

/// Of an operation that another controller began nothing is known of the boots before.
fn seen_from_the_start(op: &Value) -> Value {
    let upstream = text(op, "/metadata/labels/app.kubernetes.io~1managed-by") == "nodeopupgrade-controller";
    if upstream { op["metadata"]["creationTimestamp"].clone() } else { Value::Null }
}

/// Whether it waits for what is really so.
fn waits(world: &World, op: &Value) -> Result<(), String> {
    let mut nodes = world.catalogue.of_kind("", "Node").into_iter().flat_map(|id| world.objects.all(id));
    let down = nodes.any(|(_, node)| !is_ready(node));
    let id = world.catalogue.of_kind(node_op::KIND.group, node_op::KIND.kind);
    let others =
        || id.into_iter().flat_map(|id| world.objects.all(id)).filter(|(_, other)| uid(other) != uid(op));
    let another = others().any(|(_, other)| text(other, "/status/finishedAt").is_empty());
    let drains = op["spec"]["drainOptions"]["enabled"] == true && op["spec"]["cordon"] == true;
    let justified = |reason: &str| match reason {
        "PodNotStarting" | "RebootPodStarting" => op["spec"].to_string().contains(NO_IMAGE) || down,
        reason if DRAINS.contains(&reason) => drains,
        "NodeNotReady" => down || another,
        "JobRunning" | "PreflightRunning" | "Rebooting" => down,
        "OtherOperation" | "CordonContested" => another,
        "InvalidSelector" | "Malformed" => true,
        "StoppedAfterFailure" => op["spec"]["stopOnFailure"] == true && text(op, "/status/phase") == "Failed",
        // Something else that waits is in its way.
        "MaxConcurrentReached" | "ControlPlaneBusy" | "ControlPlaneFirst" => {
            down || op["spec"].to_string().contains(NO_IMAGE) || drains || another
        }
        _ => false,
    };
    let reason = text(op, "/status/waiting/reason");
    // Where it has failed on some nodes, the others say why they wait.
    let of_others = op["status"]["waitingReasons"].as_object().filter(|_| reason == "NodeFailed");
    let is_so = match of_others {
        Some(reasons) => !reasons.is_empty() && reasons.keys().all(|reason| justified(reason)),
        None => justified(reason),
    };
    if is_so {
        return Ok(());
    }
    let (message, reasons) = (text(op, "/status/conditions/0/message"), &op["status"]["waitingReasons"]);
    Err(format!("it waits for {reason:?}: {message}; nodes wait for {reasons}"))
}
