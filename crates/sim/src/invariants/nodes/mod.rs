//! What must hold where the controllers of nodes are at work, read from objects and from what machines and kubelets really
//! did, never from a status. Only at the end a status is read, and held against that.

mod cordons;
mod drains;
mod end;
mod fields;
mod labeler;
mod places;
mod rights;
mod runs;
mod upgrades;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use api::kairos::{CORDONED_BY_ANNOTATION, NODE_LABEL, NODE_OP_LABEL, REBOOT_FROM_ANNOTATION, REBOOT_LABEL};
use api::kairos::{node_op, node_op_upgrade};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

pub(super) use self::end::{is_draining, is_true, ran_until};
use super::{Broken, Write, text};
use crate::world::World;
use crate::world::nodes::kubelet::waits_for_sentinel;
use crate::world::nodes::labeler::LABELER;
use crate::world::nodes::{bound_to, controller, has_ended, is_leaving, uid};

/// How late a watch may be, and a request after it.
const LATE: SignedDuration = SignedDuration::from_mins(9);

/// What is known of a NodeOp and a node.
type On = (Box<str>, Box<str>);

/// What the environment of the controllers says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) one_control_plane_at_a_time: bool,
    pub(crate) reboot_timeout: Duration,
    /// Nodes are labelled.
    pub(crate) labeler: bool,
}

/// Sees what happens to nodes.
#[derive(Debug)]
pub(crate) struct OfNodes {
    given: Given,
    /// By uid: every NodeOp that there is or was, as it was last.
    ops: BTreeMap<Box<str>, Value>,
    /// Attempts and reboots that were looked at.
    looked: (usize, usize),
    /// When a NodeOp had a node told to reboot, by uid and the node's name.
    asked: BTreeMap<On, Timestamp>,
    /// Where a command has failed, or cannot be known to have ended: a cordon may stay, and its place is free.
    failed: BTreeSet<On>,
    /// Nodes that people cordoned.
    foreign: BTreeSet<Box<str>>,
    /// Nodes that have gone, and may have come again as others.
    gone: BTreeSet<Box<str>>,
    /// When a node was last made schedulable, and where it was by us, the uid of the NodeOp whose cordon that was.
    opened: BTreeMap<Box<str>, (Timestamp, Option<Box<str>>)>,
    /// By uid of a NodeOpUpgrade: every spec that it has had.
    upgrades: BTreeMap<Box<str>, Vec<Value>>,
    /// By uid of a NodeOp whose concurrency was lowered: when, and the nodes that had a place by then.
    lowered: BTreeMap<Box<str>, (Timestamp, BTreeSet<Box<str>>)>,
    /// Where somebody deleted a Job of which nobody had written down yet that it has begun.
    unseen: BTreeSet<On>,
    /// Where a Job is gone: whether its command has run nobody can know.
    deleted: BTreeSet<On>,
    /// What Nodes say of being labelled, and since when.
    known: BTreeMap<Box<str>, (Box<str>, Timestamp)>,
    /// Nodes whose labels of ours people have written.
    touched: BTreeSet<Box<str>>,
    /// Nodes whose other labels people have written: they may have come to be selected.
    moved: BTreeSet<Box<str>>,
    /// By how much clocks were set: a deadline that one process has written may be over so much sooner for another.
    pub(super) apart: Duration,
}

impl OfNodes {
    pub(crate) fn new(given: Given) -> Self {
        Self {
            given,
            ops: BTreeMap::new(),
            looked: (0, 0),
            asked: BTreeMap::new(),
            failed: BTreeSet::new(),
            foreign: BTreeSet::new(),
            gone: BTreeSet::new(),
            opened: BTreeMap::new(),
            upgrades: BTreeMap::new(),
            lowered: BTreeMap::new(),
            unseen: BTreeSet::new(),
            deleted: BTreeSet::new(),
            known: BTreeMap::new(),
            touched: BTreeSet::new(),
            moved: BTreeSet::new(),
            apart: Duration::ZERO,
        }
    }

    /// Takes note of what is there at the start.
    pub(super) fn begin(&mut self, world: &World) {
        if let Some(id) = world.catalogue.of_kind(node_op::KIND.group, node_op::KIND.kind) {
            self.ops.extend(world.objects.all(id).map(|(_, op)| (uid(op).into(), op.clone())));
        }
        if let Some(id) = world.catalogue.of_kind("", "Node") {
            let cordoned =
                world.objects.all(id).filter(|(_, node)| is_cordoned(node) && claim(node).is_none());
            self.foreign.extend(cordoned.map(|(key, _)| Box::from(&*key.name)));
            for (key, node) in world.objects.all(id) {
                if let Some(said) = labeler::known(node) {
                    self.known.insert((&*key.name).into(), (said.into(), world.now()));
                }
            }
        }
        for (_, pod) in world.pods_where(waits_for_sentinel) {
            if let Some(op) = world.op_of(&pod) {
                self.asked.insert((op, bound_to(&pod).into()), world.now());
            }
        }
        if let Some(id) = world.catalogue.of_kind(node_op_upgrade::KIND.group, node_op_upgrade::KIND.kind) {
            let specs = world.objects.all(id);
            self.upgrades.extend(specs.map(|(_, it)| (uid(it).into(), vec![it["spec"].clone()])));
        }
    }

    /// A write was accepted; `world` is as it is after it.
    pub(super) fn saw(&mut self, world: &World, write: &Write<'_>, alone: bool) -> Result<(), Broken> {
        self.note(world, write);
        fields::check(write)?;
        rights::check(world, write)?;
        labeler::check(self, world, write)?;
        upgrades::check(self, world, write, alone)?;
        cordons::check(self, world, write, alone)?;
        drains::check(self, world, write)?;
        runs::check(self, world)?;
        places::check(self, world, write, alone)
    }

    fn note(&mut self, world: &World, write: &Write<'_>) {
        let after = write.after;
        match write.kind {
            "NodeOp" => {
                if let Some(op) = after {
                    self.note_limit(write, op);
                    self.ops.insert(uid(op).into(), op.clone());
                }
            }
            "NodeOpUpgrade" => {
                if let Some(upgrade) = after {
                    let specs = self.upgrades.entry(uid(upgrade).into()).or_default();
                    if !specs.contains(&upgrade["spec"]) {
                        specs.push(upgrade["spec"].clone());
                    }
                }
            }
            "Node" => self.note_node(write),
            "Job" => {
                let over = after.is_none_or(|job| has_condition(job, "Failed"));
                if let (Some(job), true) = (after.or(write.before), over)
                    && let Some(on) = on_of_job(job)
                {
                    if after.is_none_or(is_leaving) {
                        if !self.is_written(&on) {
                            self.unseen.insert(on.clone());
                        }
                        self.deleted.insert(on.clone());
                    }
                    self.failed.insert(on);
                }
            }
            "Pod" => {
                let Some(pod) = after.or(write.before) else { return };
                let reboots = pod["metadata"]["labels"].get(REBOOT_LABEL).is_some();
                let Some(op) = world.op_of(pod).filter(|_| reboots) else { return };
                let on = (op, Box::from(bound_to(pod)));
                // Whether one that is gone had been told nobody can know.
                if after.is_none_or(is_leaving) && !has_ended(pod) && !write.is_ours() {
                    self.asked.entry(on).or_insert(write.at);
                    return;
                }
                // A pod of the original is told by a file, from its beginning on.
                if pod["metadata"]["annotations"].get(REBOOT_FROM_ANNOTATION).is_some()
                    || waits_for_sentinel(pod)
                {
                    self.asked.entry(on.clone()).or_insert(write.at);
                }
                if pod["status"]["phase"] == "Failed" {
                    self.failed.insert(on);
                }
            }
            _ => {}
        }
    }

    /// Whether it is written down that the command of a NodeOp was seen on a node.
    fn is_written(&self, (op, node): &On) -> bool {
        let status = self.ops.get(op).map(|op| &op["status"]);
        status.is_some_and(|status| {
            let entry = &status["nodeStatuses"][&**node];
            status["nodeRecords"][&**node]["commandStarted"] == true
                || ["Completed", "Failed"].contains(&text(entry, "/phase"))
        })
    }

    /// Somebody lowers how many nodes may be in flight: those that have a place, or are about to be given one by somebody who
    /// does not know yet, keep it.
    fn note_limit(&mut self, write: &Write<'_>, after: &Value) {
        let limit =
            |op: &Value| op["spec"]["concurrency"].as_u64().filter(|limit| *limit > 0).unwrap_or(u64::MAX);
        if write.before.is_some_and(|before| limit(after) < limit(before)) {
            let known = self.lowered.remove(uid(after)).map(|(_, nodes)| nodes).unwrap_or_default();
            self.lowered.insert(uid(after).into(), (write.at, known));
        }
        if let Some((at, nodes)) = self.lowered.get_mut(uid(after))
            && write.at.duration_since(*at) < LATE
        {
            let records = after["status"]["nodeRecords"].as_object().into_iter().flatten();
            nodes.extend(records.map(|(name, _)| Box::from(name.as_str())));
        }
    }

    fn note_labels(&mut self, write: &Write<'_>, name: &str) {
        let said = write.after.and_then(labeler::known);
        if self.known.get(name).map(|(said, _)| &**said) != said {
            match said {
                Some(said) => self.known.insert(name.into(), (said.into(), write.at)),
                None => self.known.remove(name),
            };
        }
        let (Some(before), Some(after)) = (write.before, write.after) else { return };
        if write.actor == LABELER {
            return;
        }
        if labeler::ours(before) != labeler::ours(after) {
            self.touched.insert(name.into());
        }
        if before["metadata"]["labels"]["zone"] != after["metadata"]["labels"]["zone"] {
            self.moved.insert(name.into());
        }
    }

    fn note_node(&mut self, write: &Write<'_>) {
        let name: Box<str> = (&*write.key.name).into();
        self.note_labels(write, &name);
        let (was, is) = (write.before.is_some_and(is_cordoned), write.after.is_some_and(is_cordoned));
        if write.after.is_none() {
            self.foreign.remove(&name);
            self.gone.insert(name);
        } else if !write.is_ours() && was != is {
            // Whoever cordons a node that has our claim says nothing by which his cordon could be told from ours.
            if is {
                if write.after.and_then(claim).is_none() {
                    self.foreign.insert(name);
                }
            } else {
                self.foreign.remove(&name);
                self.opened.insert(name, (write.at, None));
            }
        } else if was && !is {
            let by = write.before.and_then(claim).map(Box::from);
            self.opened.insert(name, (write.at, by));
        }
    }

    /// Whether a node counts as failed for a NodeOp: then its place is free, whatever is left there.
    fn has_failed(&self, op: &str, node: &str, now: Timestamp) -> bool {
        let on = (op.into(), node.into());
        let timeout = self.given.reboot_timeout.saturating_sub(self.apart + Duration::from_secs(10));
        let late = |at: &Timestamp| runtime::clock::after(*at, timeout) <= now;
        self.failed.contains(&on) || self.asked.get(&on).is_some_and(late)
    }
}

/// Whether a Node takes no pods.
fn is_cordoned(node: &Value) -> bool {
    node["spec"]["unschedulable"] == true
}

/// The uid of the NodeOp that says that the cordon of a Node is its own.
fn claim(node: &Value) -> Option<&str> {
    let claim = node["metadata"]["annotations"][CORDONED_BY_ANNOTATION].as_str()?;
    Some(claim.rsplit_once('@').map_or("", |(_, uid)| uid))
}

fn has_condition(object: &Value, type_: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|condition| condition["type"] == type_ && condition["status"] == "True")
}

/// The NodeOp and the node of a Job.
fn on_of_job(job: &Value) -> Option<On> {
    let (kind, _, op) = controller(job)?;
    let node = bound_to(&job["spec"]["template"]);
    (kind == node_op::KIND.kind && !node.is_empty()).then(|| (op.into(), node.into()))
}

/// Whether a pod is part of an operation.
fn is_of_operation(pod: &Value) -> bool {
    let labels = &pod["metadata"]["labels"];
    [NODE_OP_LABEL, NODE_LABEL, REBOOT_LABEL].into_iter().any(|label| labels.get(label).is_some())
        || controller(pod).is_some_and(|(kind, ..)| kind == "Job")
}
