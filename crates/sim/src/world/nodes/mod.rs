//! Nodes as they really are: machines that boot, kubelets that run the pods pinned to them, and beside them the controllers of
//! Jobs, workloads and disruption budgets. What is here is the truth that a run is held to, whatever a status says.

mod budgets;
mod containers;
pub(crate) mod hands;
mod jobs;
pub(crate) mod kubelet;
pub(crate) mod labeler;
mod machines;
#[cfg(test)]
mod tests;
mod workloads;

use std::collections::{BTreeMap, BTreeSet};

use api::batch::{job, pod};
use api::kairos::node_op;
use api::nodes::{disruption_budget, node};
use domain::object::ObjectKey;
use jiff::Timestamp;
use serde_json::Value;

use self::containers::Running;
use self::hands::Victim;
use self::labeler::Kairos;
use super::World;
use super::agenda::Due;
use crate::apiserver::catalogue::Id;
use crate::faults::dice::Dice;

/// Who writes what a kubelet writes.
pub(crate) const KUBELET: &str = "kubelet";
/// Who says that a node is silent, and removes pods of nodes that are gone.
pub(crate) const NODE_CONTROLLER: &str = "node-controller";
/// Who writes the status of budgets.
pub(crate) const DISRUPTION: &str = "disruption-controller";
/// Who makes the pods of workloads.
pub(crate) const WORKLOAD: &str = "workload-controller";
/// When a write that was refused is tried again, in seconds.
const AGAIN: i64 = 20;
/// A part of the name of an image that no node can pull.
pub(crate) const NO_IMAGE: &str = "not-there";

/// What a kubelet or a controller beside it is about to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Soon {
    /// A kubelet begins with a pod; by its uid.
    Starts(ObjectKey, Box<str>),
    /// What runs in a pod ends; by the number of its start.
    Ends(ObjectKey, Box<str>, u64),
    /// A pod has reached its `activeDeadlineSeconds`.
    Deadline(ObjectKey, Box<str>),
    /// A pod that leaves is gone.
    Removed(ObjectKey, Box<str>),
    /// A reboot pod looks whether it is to reboot its node; by the number of its start.
    Looks(ObjectKey, Box<str>, u64),
    /// It reboots it.
    Reboots(ObjectKey, Box<str>, u64),
    /// A node goes down by itself, for so many seconds.
    Down(Box<str>, i64),
    /// A node that is down boots; by the number of its boots so far.
    Boots(Box<str>, u32),
    /// It is noticed that a node is silent.
    Silent(Box<str>, u32),
    /// A node that has booted is ready.
    Ready(Box<str>, u32),
    /// The Job controller looks at a Job; by its uid.
    Job(ObjectKey, Box<str>),
    /// The pods of a workload are counted.
    Workload(ObjectKey),
    /// The budgets of a namespace are counted.
    Budgets(Box<str>),
    /// The nodes of a DaemonSet are looked through.
    Daemons(ObjectKey),
    /// A pod of the labeler reads its node; by the number of its start.
    Reads(ObjectKey, Box<str>, u64),
    /// It patches its node with this.
    Labels(ObjectKey, Box<str>, u64, Box<str>),
    /// Somebody deletes one of several things.
    DeletesOne(Victim, usize),
    /// Somebody has the pods of a workload stay when they leave, or lets them go.
    Holds(Box<str>, bool),
    /// A kubelet says that its node is not ready, or that it is.
    Sick(Box<str>, bool),
    /// Somebody waits for an operation to come to a node, and cordons it just then.
    Watches(Box<str>),
    /// Somebody cordons a node.
    Cordons(Box<str>),
    /// A NodeOp is deleted in the foreground; with a uid, this is under way.
    Foreground(ObjectKey, Option<Box<str>>),
}

/// How commands fare on a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fate {
    /// They succeed.
    #[default]
    Well,
    /// So many attempts fail first.
    After(u32),
    /// They fail.
    Never,
}

/// What a preflight says on a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Checked {
    /// There is something to do.
    #[default]
    Passes,
    /// There is nothing to do.
    Skips,
    /// It fails until its deadline.
    Fails,
}

/// How nodes behave in a world.
#[derive(Clone, Debug, Default)]
pub(crate) struct Habits {
    pub(crate) seed: u64,
    /// By the name of the node.
    pub(crate) commands: BTreeMap<Box<str>, Fate>,
    pub(crate) preflights: BTreeMap<Box<str>, Checked>,
    /// Most seconds that a command takes.
    pub(crate) command: u64,
    /// Most seconds that a reboot takes.
    pub(crate) reboot: u64,
    /// Nodes that do not come back from their first reboot.
    pub(crate) lost: BTreeSet<Box<str>>,
    /// Nodes that run Kairos, by name.
    pub(crate) kairos: BTreeMap<Box<str>, Kairos>,
    /// How pods of the labeler fare on a node.
    pub(crate) labelers: BTreeMap<Box<str>, Fate>,
}

/// A machine.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// Uid of its Node.
    pub(crate) uid: Box<str>,
    pub(crate) boot_id: Box<str>,
    boots: u32,
    pub(crate) up: bool,
    /// Jobs whose files a reboot pod of the original waits for.
    sentinels: BTreeSet<Box<str>>,
}

/// How an attempt at a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Runs,
    Succeeded,
    Failed,
    Killed,
}

/// An attempt at a command.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// Uid of its NodeOp.
    pub(crate) op: Box<str>,
    pub(crate) job: Box<str>,
    pub(crate) pod: Box<str>,
    pub(crate) node: Box<str>,
    /// Uid of the Node.
    pub(crate) node_uid: Box<str>,
    pub(crate) boot_id: Box<str>,
    pub(crate) outcome: Outcome,
}

/// A reboot.
#[derive(Clone, Debug)]
pub(crate) struct Reboot {
    pub(crate) at: Timestamp,
    pub(crate) node: Box<str>,
    pub(crate) node_uid: Box<str>,
    /// Uid of the NodeOp whose pod did it; nothing where nobody asked for it.
    pub(crate) op: Option<Box<str>>,
}

/// All nodes.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    pub(crate) habits: Habits,
    /// By name.
    pub(crate) machines: BTreeMap<Box<str>, Machine>,
    /// By uid of the pod.
    running: BTreeMap<Box<str>, Running>,
    pub(crate) runs: Vec<Run>,
    pub(crate) reboots: Vec<Reboot>,
    /// By uid of the Job: its pods that have failed.
    failed: BTreeMap<Box<str>, BTreeSet<Box<str>>>,
    starts: u64,
    /// What is due already, and need not be put again.
    due: BTreeSet<ObjectKey>,
    /// What the nodes that run Kairos tell of themselves now.
    pub(crate) kairos: BTreeMap<Box<str>, Kairos>,
    labelers_failed: BTreeMap<Box<str>, u32>,
    /// Nodes whose kubelets say that they are not ready.
    sick: BTreeSet<Box<str>>,
    /// Nodes that somebody cordons once an operation comes to them.
    watched: BTreeSet<Box<str>>,
    budgets_due: BTreeSet<Box<str>>,
}

impl Nodes {
    /// The dice of one thing: leaving out another thing does not change how they fall.
    fn dice(&self, of: &[&str]) -> Dice {
        // FNV-1a.
        let bytes = of.iter().flat_map(|part| part.bytes().chain([0]));
        let hash = bytes.fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
        });
        Dice::new(self.habits.seed, hash)
    }

    /// Seconds between two, of one thing.
    fn seconds(&self, low: u64, high: u64, of: &[&str]) -> i64 {
        i64::try_from(self.dice(of).within(low, high)).unwrap_or(1)
    }
}

/// The owner that manages an object: its kind, name and uid.
pub(crate) fn controller(object: &Value) -> Option<(&str, &str, &str)> {
    let references = object["metadata"]["ownerReferences"].as_array()?;
    let owner = references.iter().find(|owner| owner["controller"] == true)?;
    Some((owner["kind"].as_str()?, owner["name"].as_str()?, owner["uid"].as_str()?))
}

pub(crate) fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap_or_default()
}

/// The node that a pod is bound to.
pub(crate) fn bound_to(pod: &Value) -> &str {
    pod["spec"]["nodeName"].as_str().unwrap_or_default()
}

pub(crate) fn is_leaving(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

pub(crate) fn has_ended(pod: &Value) -> bool {
    pod["status"]["phase"] == "Succeeded" || pod["status"]["phase"] == "Failed"
}

impl World {
    /// Does what is due on nodes.
    pub(crate) fn on_nodes(&mut self, soon: Soon) {
        match soon {
            Soon::Starts(key, uid) => self.pod_starts(&key, &uid),
            Soon::Ends(key, uid, start) => self.pod_ends(&key, &uid, start),
            Soon::Deadline(key, uid) => self.pod_is_late(&key, &uid),
            Soon::Removed(key, uid) => self.pod_is_gone(&key, &uid),
            Soon::Looks(key, uid, start) => self.reboot_pod_looks(&key, &uid, start),
            Soon::Reboots(key, uid, start) => self.reboot_pod_acts(&key, &uid, start),
            Soon::Down(node, seconds) => self.goes_down(&node, None, seconds),
            Soon::Boots(node, boots) => self.boots(&node, boots),
            Soon::Silent(node, boots) => self.is_silent(&node, boots),
            Soon::Ready(node, boots) => self.is_ready_again(&node, boots),
            Soon::Job(key, uid) => self.job_looks(&key, &uid),
            Soon::Workload(key) => {
                self.nodes.due.remove(&key);
                self.workload_looks(&key);
            }
            Soon::Budgets(namespace) => {
                self.nodes.budgets_due.remove(&namespace);
                self.count_budgets(&namespace);
            }
            Soon::Daemons(key) => {
                self.nodes.due.remove(&key);
                self.daemons_look(&key);
            }
            Soon::Reads(key, uid, start) => self.labeler_reads(&key, &uid, start),
            Soon::Labels(key, uid, start, patch) => self.labeler_writes(&key, &uid, start, &patch),
            Soon::DeletesOne(victim, number) => self.delete_one(victim, number),
            Soon::Holds(app, holds) => self.hold_pods(&app, holds),
            Soon::Sick(node, sick) => self.falls_sick(&node, sick),
            Soon::Watches(node) => {
                self.nodes.watched.insert(node);
            }
            Soon::Cordons(node) => self.cordon_by_hand(&node),
            Soon::Foreground(key, uid) => self.foreground(&key, uid),
        }
    }

    fn soon(&mut self, seconds: i64, soon: Soon) {
        self.later(seconds, Due::OnNodes(soon));
    }

    fn workload_soon(&mut self, key: ObjectKey) {
        if self.nodes.due.insert(key.clone()) {
            self.soon(1, Soon::Workload(key));
        }
    }

    fn budgets_soon(&mut self, namespace: &str) {
        if self.nodes.budgets_due.insert(namespace.into()) {
            self.soon(1, Soon::Budgets(namespace.into()));
        }
    }

    fn kind_id(&self, group: &str, kind: &str) -> Option<Id> {
        self.catalogue.of_kind(group, kind)
    }

    /// A pod of a uid.
    fn pod(&self, key: &ObjectKey, of: &str) -> Option<(Id, Value)> {
        let id = self.kind_id(pod::KIND.group, pod::KIND.kind)?;
        let found = &self.objects.get(id, key)?.value;
        (uid(found) == of).then(|| (id, found.clone()))
    }

    /// The pods for which something holds.
    pub(crate) fn pods_where(&self, holds: impl Fn(&Value) -> bool) -> Vec<(ObjectKey, Value)> {
        let id = self.kind_id(pod::KIND.group, pod::KIND.kind);
        let all = id.into_iter().flat_map(|id| self.objects.all(id));
        all.filter(|(_, pod)| holds(pod)).map(|(key, pod)| (key.clone(), pod.clone())).collect()
    }

    /// An object of a uid, of a kind that is known.
    pub(crate) fn by_uid(&self, group: &str, kind: &str, of: &str) -> Option<(&ObjectKey, &Value)> {
        let id = self.kind_id(group, kind)?;
        self.objects.all(id).find(|(_, object)| uid(object) == of)
    }

    /// The NodeOp that a pod or a Job is of.
    pub(crate) fn op_of(&self, object: &Value) -> Option<Box<str>> {
        let (kind, _, owner) = controller(object)?;
        if kind == node_op::KIND.kind {
            return Some(owner.into());
        }
        let (_, job) =
            self.by_uid(job::KIND.group, job::KIND.kind, owner).filter(|_| kind == job::KIND.kind)?;
        controller(job).filter(|(kind, ..)| *kind == node_op::KIND.kind).map(|(_, _, uid)| uid.into())
    }

    /// An object was written.
    pub(crate) fn nodes_changed(
        &mut self,
        kind: &str,
        key: &ObjectKey,
        before: Option<&Value>,
        after: &Value,
    ) {
        match kind {
            kind if kind == pod::KIND.kind => self.pod_changed(key, before, after),
            kind if kind == job::KIND.kind && before.is_none() => {
                self.soon(1, Soon::Job(key.clone(), uid(after).into()));
            }
            kind if kind == node::KIND.kind => self.node_changed(key, before, after),
            kind if kind == disruption_budget::KIND.kind
                && before.is_none_or(|it| it["spec"] != after["spec"]) =>
            {
                self.budgets_soon(&key.namespace);
            }
            "ReplicaSet" if before.is_none_or(|before| before["spec"] != after["spec"]) => {
                self.workload_soon(key.clone());
                self.budgets_soon(&key.namespace);
            }
            "DaemonSet" if before.is_none_or(|before| before["spec"] != after["spec"]) => self.daemons_soon(),
            _ => {}
        }
    }

    /// An object is gone.
    pub(crate) fn nodes_removed(&mut self, kind: &str, key: &ObjectKey, gone: &Value) {
        if kind == pod::KIND.kind {
            self.stops(uid(gone));
            self.tell_owner(key, gone);
            self.budgets_soon(&key.namespace);
        } else if kind == node::KIND.kind {
            self.vanishes(&key.name, uid(gone));
            self.daemons_soon();
        }
    }

    /// What is there at the start is found by everybody.
    pub(crate) fn begin_nodes(&mut self, habits: Habits) {
        self.nodes.kairos.clone_from(&habits.kairos);
        self.nodes.habits = habits;
        for (kind, group) in
            [(node::KIND.kind, ""), ("ReplicaSet", "apps"), (disruption_budget::KIND.kind, "policy")]
        {
            let Some(id) = self.kind_id(group, kind) else { continue };
            let all: Vec<_> =
                self.objects.all(id).map(|(key, object)| (key.clone(), object.clone())).collect();
            for (key, object) in all {
                self.nodes_changed(kind, &key, None, &object);
            }
        }
        for (key, pod) in self.pods_where(|_| true) {
            self.adopt_pod(&key, &pod);
        }
        self.adopt_jobs();
    }
}
