//! Nodes are labelled with what they tell of themselves, and those that are opted out are left alone.

use std::collections::BTreeMap;

use api::kairos::labeler::NAME;
use api::kairos::{FALSE, MANAGED_LABEL, TRUE};
use nodes::kairos::node_labeler::labels::{ANNOTATIONS, BOOT_STATE_LABEL, LABELS};
use serde_json::Value;

use super::{LATE, OfNodes, has_condition};
use crate::invariants::paths::differing;
use crate::invariants::{Broken, Write, holds};
use crate::world::World;
use crate::world::nodes::labeler::{Kairos, LABELER, is_of_labeler};
use crate::world::nodes::{Fate, bound_to, controller, has_ended, is_leaving, uid};

const OPTED_OUT: &str = "a node that is opted out of labels is left alone";
const TOLD: &str = "a node is labelled with what it tells of itself, and with nothing else";
const NEEDED: &str = "only a node of which nothing is known gets a Job of the labeler";
const LEFT: &str = "nothing of the labeler is left where it has no business";

pub(super) fn check(seen: &OfNodes, world: &World, write: &Write<'_>) -> Result<(), Broken> {
    match (write.kind, write.before, write.after) {
        ("Node", Some(before), Some(after)) if write.actor == LABELER => {
            labelled(world, write, before, after)
        }
        ("Job", None, Some(job)) if write.is_ours() && is_of_labeler(job) => looks(seen, write, job),
        _ => Ok(()),
    }
}

/// What a node says of being labelled.
pub(super) fn managed(node: &Value) -> Option<&str> {
    node["metadata"]["labels"][MANAGED_LABEL].as_str()
}

/// The labels of a Node as somebody may have written them, below our prefix.
pub(super) fn ours(node: &Value) -> BTreeMap<&str, &Value> {
    let labels = node["metadata"]["labels"].as_object().into_iter().flatten();
    labels.map(|(name, value)| (name.as_str(), value)).filter(|(name, _)| is_own(name)).collect()
}

fn is_own(name: &str) -> bool {
    [MANAGED_LABEL, BOOT_STATE_LABEL].contains(&name) || LABELS.iter().any(|(own, _)| *own == name)
}

fn labelled(world: &World, write: &Write<'_>, before: &Value, after: &Value) -> Result<(), Broken> {
    let name = &write.key.name;
    holds(managed(before) != Some(FALSE), OPTED_OUT, || format!("{name} is labelled"))?;
    let Some(kairos) = world.nodes.kairos.get(&**name) else {
        return holds(false, TOLD, || format!("{name} does not run Kairos, and is labelled"));
    };
    // What was read a moment before may have been of the release before.
    let former = Kairos { version: kairos.version.saturating_sub(1) };
    told(name, before, after, *kairos).or_else(|broken| told(name, before, after, former).map_err(|_| broken))
}

/// Whether a write makes a node what a release tells.
fn told(name: &str, before: &Value, after: &Value, kairos: Kairos) -> Result<(), Broken> {
    let (labels, annotations) = (kairos.labels(), kairos.annotations());
    for path in differing(before, after) {
        if path == "/metadata/resourceVersion" {
            continue;
        }
        if path == "/metadata/annotations" && before["metadata"]["annotations"].is_null() {
            let made = after["metadata"]["annotations"].as_object();
            let mut made = made.into_iter().flatten();
            let same = made.all(|(key, value)| annotations.get(&**key).is_some_and(|told| *value == **told));
            holds(same, TOLD, || format!("annotations of {name} are not what it tells"))?;
            continue;
        }
        let own = |prefix: &str, wanted: &BTreeMap<&'static str, String>, is_own: &dyn Fn(&str) -> bool| {
            let key = path.strip_prefix(prefix)?.strip_prefix('/')?;
            let now = after.pointer(prefix).and_then(|all| all.get(key)).and_then(Value::as_str);
            Some(is_own(key) && wanted.get(key).map(String::as_str) == now)
        };
        let annotated = |key: &str| ANNOTATIONS.iter().any(|(own, _)| *own == key);
        let as_told = own("/metadata/labels", &labels, &is_own)
            .or_else(|| own("/metadata/annotations", &annotations, &annotated));
        holds(as_told == Some(true), TOLD, || format!("{path} of {name} is not what it tells"))?;
    }
    Ok(())
}

/// A Job is made for a node.
fn looks(seen: &OfNodes, write: &Write<'_>, job: &Value) -> Result<(), Broken> {
    let node = bound_to(&job["spec"]["template"]);
    let known = seen.known.get(node).filter(|(_, since)| write.at.duration_since(*since) > LATE);
    let Some((said, _)) = known else { return Ok(()) };
    let invariant = if &**said == FALSE { OPTED_OUT } else { NEEDED };
    holds(false, invariant, || format!("Job {} is made for {node}, which says {said}", write.key))
}

/// What is known of a node without a look: it is opted out, labelled, or of another operating system.
pub(super) fn known(node: &Value) -> Option<&str> {
    let os = node["metadata"]["labels"]["kubernetes.io/os"].as_str().filter(|os| *os != "linux");
    managed(node).filter(|said| [TRUE, FALSE].contains(said)).or(os)
}

/// Whether every node is labelled as it should be, and nothing is left elsewhere.
pub(super) fn is_true(seen: &OfNodes, world: &World) -> Result<(), Broken> {
    let all = |group: &str, kind: &str| {
        let id = world.catalogue.of_kind(group, kind);
        id.into_iter().flat_map(|id| world.objects.all(id)).collect::<Vec<_>>()
    };
    let nodes = all("", "Node");
    let mut sets = all("apps", "DaemonSet").into_iter().filter(|(key, _)| *key.name == *NAME);
    let runs = sets.any(|(_, set)| {
        let pod = &set["spec"]["template"]["spec"];
        let command = pod["containers"][0]["command"].to_string();
        command.contains("label-node") && pod["nodeSelector"][MANAGED_LABEL] == TRUE
    });
    holds(runs || nodes.is_empty(), TOLD, || "there is no DaemonSet as it should be".to_owned())?;
    let node = |name: &str| nodes.iter().find(|(key, _)| *key.name == *name).map(|(_, node)| *node);
    let jobs: Vec<_> = all("batch", "Job").into_iter().filter(|(_, job)| is_of_labeler(job)).collect();
    for (key, job) in &jobs {
        let name = bound_to(&job["spec"]["template"]);
        let of = controller(job).map(|(_, _, uid)| uid);
        let there = node(name).is_some_and(|node| Some(uid(node)) == of);
        holds(there, LEFT, || format!("Job {key} is of a Node that is gone"))?;
    }
    for (key, pod) in all("", "Pod").into_iter().filter(|(_, pod)| is_of_labeler(pod)) {
        let name = bound_to(pod);
        let down = !world.nodes.machines.get(name).is_some_and(|machine| machine.up);
        let daemon = controller(pod).is_some_and(|(kind, ..)| kind == "DaemonSet");
        let stays =
            if daemon { node(name).is_some_and(|node| managed(node) == Some(TRUE)) } else { has_ended(pod) };
        holds(stays || (down && is_leaving(pod)) || (down && node(name).is_some()), LEFT, || {
            format!("pod {key} is on {name}")
        })?;
    }
    for (key, node) in nodes.iter().filter(|(_, node)| crate::apiserver::eviction::is_ready(node)) {
        let name = &*key.name;
        let job =
            jobs.iter().find(|(_, job)| bound_to(&job["spec"]["template"]) == name).map(|(_, job)| *job);
        let up = world.nodes.machines.get(name).is_some_and(|machine| machine.up);
        let fares = world.nodes.habits.labelers.get(name).copied().unwrap_or_default();
        let Some(kairos) = world.nodes.kairos.get(name) else {
            let looked = known(node).is_some() || job.is_some();
            holds(looked || !up, NEEDED, || format!("nobody has looked at {name}"))?;
            continue;
        };
        match known(node) {
            Some(TRUE) if fares != Fate::Never && up => {
                let wanted = kairos.labels();
                let is = ours(node);
                let same = is.len() == wanted.len()
                    && is.iter().all(|(key, value)| wanted.get(key).is_some_and(|it| **value == **it));
                holds(same, TOLD, || format!("{name} has {is:?}, and tells {wanted:?}"))?;
            }
            None => {
                let failed = job.is_some_and(|job| has_condition(job, "Failed"));
                let looks = failed || seen.touched.contains(name);
                holds(looks || !up || fares == Fate::Never, TOLD, || format!("{name} is not labelled"))?;
            }
            _ => {}
        }
    }
    Ok(())
}
