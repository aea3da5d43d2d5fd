//! What must hold where the controllers of nodes are at work, read from objects and from what machines and kubelets really
//! did, never from a status. Only at the end a status is read, and held against that.

mod cordons;
mod drains;
mod end;
mod fields;
mod places;
mod rights;
mod runs;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use api::kairos::node_op;
use api::kairos::{CORDONED_BY_ANNOTATION, NODE_LABEL, NODE_OP_LABEL, REBOOT_FROM_ANNOTATION, REBOOT_LABEL};
use jiff::Timestamp;
use serde_json::Value;

pub(super) use self::end::{is_draining, is_true};
use super::{Broken, Write};
use crate::world::World;
use crate::world::nodes::{bound_to, controller, uid};

/// What is known of a NodeOp and a node.
type On = (Box<str>, Box<str>);

/// What the environment of the controllers says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) one_control_plane_at_a_time: bool,
    pub(crate) reboot_timeout: Duration,
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
    /// When somebody but us last made a node schedulable.
    opened: BTreeMap<Box<str>, Timestamp>,
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
        }
    }

    /// A write was accepted; `world` is as it is after it.
    pub(super) fn saw(&mut self, world: &World, write: &Write<'_>, alone: bool) -> Result<(), Broken> {
        self.note(world, write);
        fields::check(write)?;
        rights::check(world, write)?;
        cordons::check(self, write)?;
        drains::check(self, world, write)?;
        runs::check(self, world)?;
        places::check(self, world, write, alone)
    }

    fn note(&mut self, world: &World, write: &Write<'_>) {
        let after = write.after;
        match write.kind {
            "NodeOp" => {
                if let Some(op) = after {
                    self.ops.insert(uid(op).into(), op.clone());
                }
            }
            "Node" => self.note_node(write),
            "Job" => {
                let over = after.is_none_or(|job| has_condition(job, "Failed"));
                if let (Some(job), true) = (after.or(write.before), over)
                    && let Some(on) = on_of_job(job)
                {
                    self.failed.insert(on);
                }
            }
            "Pod" => {
                let Some(pod) = after else { return };
                let reboots = pod["metadata"]["labels"].get(REBOOT_LABEL).is_some();
                let Some(op) = world.op_of(pod).filter(|_| reboots) else { return };
                let on = (op, Box::from(bound_to(pod)));
                if pod["metadata"]["annotations"].get(REBOOT_FROM_ANNOTATION).is_some() {
                    self.asked.entry(on.clone()).or_insert(write.at);
                }
                if pod["status"]["phase"] == "Failed" {
                    self.failed.insert(on);
                }
            }
            _ => {}
        }
    }

    fn note_node(&mut self, write: &Write<'_>) {
        let name: Box<str> = (&*write.key.name).into();
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
                self.opened.insert(name, write.at);
            }
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
