//! What people do to what the controllers and others have made, whose names nobody knows before.

use api::batch::{job, pod};
use api::kairos::{NODE_OP_LABEL, PREFLIGHT_LABEL, REBOOT_LABEL, node_op};
use api::nodes::node;
use domain::object::ObjectKey;
use serde_json::{Value, json};

use super::labeler::is_of_labeler;
use super::{Soon, bound_to, controller, has_ended, is_leaving, uid};
use crate::apiserver::catalogue::Id;
use crate::apiserver::delete::Deletion;
use crate::apiserver::write::Patch;
use crate::world::{GARBAGE_COLLECTOR, USER, World};

/// A deletion in the foreground is held by this until nothing that is owned is left.
const FOREGROUND: &str = "foregroundDeletion";
/// Somebody holds pods by this.
const HOLD: &str = "example.org/hold";

/// Something of which one is deleted by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    /// A Job of an operation.
    Job,
    /// A pod of such a Job.
    Command,
    Preflight,
    Reboot,
    /// A Job of the labeler.
    Labels,
}

impl Victim {
    fn is(self, object: &Value) -> bool {
        let label = |name: &str| object["metadata"]["labels"].get(name).is_some();
        let owner = controller(object).map(|(kind, ..)| kind);
        match self {
            Self::Job => object["kind"] == job::KIND.kind && owner == Some(node_op::KIND.kind),
            Self::Labels => object["kind"] == job::KIND.kind && is_of_labeler(object),
            Self::Command => {
                object["kind"] == pod::KIND.kind && owner == Some(job::KIND.kind) && label(NODE_OP_LABEL)
            }
            Self::Preflight => object["kind"] == pod::KIND.kind && label(PREFLIGHT_LABEL),
            Self::Reboot => object["kind"] == pod::KIND.kind && label(REBOOT_LABEL),
        }
    }
}

impl World {
    /// Deletes one of several: the how manyth, counted around.
    pub(super) fn delete_one(&mut self, victim: Victim, number: usize) {
        let ids = [(job::KIND.group, job::KIND.kind), (pod::KIND.group, pod::KIND.kind)];
        let ids: Vec<Id> = ids.into_iter().filter_map(|(group, kind)| self.kind_id(group, kind)).collect();
        let mut all: Vec<(Id, ObjectKey)> = Vec::new();
        for id in ids {
            let of_kind = self.objects.all(id);
            let those =
                of_kind.filter(|(_, object)| victim.is(object) && !is_leaving(object) && !has_ended(object));
            all.extend(those.map(|(key, _)| (id, key.clone())));
        }
        if all.is_empty() {
            return;
        }
        let (id, key) = all[number % all.len()].clone();
        // Refused by admission, it stays.
        let _ = self.delete(USER, id, &key, &Deletion::default());
    }

    /// Has the pods of a workload stay when they leave, or go.
    pub(super) fn hold_pods(&mut self, app: &str, holds: bool) {
        let Some(id) = self.kind_id(pod::KIND.group, pod::KIND.kind) else { return };
        for (key, pod) in self.pods_where(|pod| pod["metadata"]["labels"]["app"] == *app) {
            let held = !pod["metadata"]["finalizers"].is_null();
            if holds != held && !(holds && is_leaving(&pod)) {
                let finalizers = if holds { json!([HOLD]) } else { Value::Null };
                let patch = json!({"metadata": {"finalizers": finalizers}});
                let _ = self.patch(USER, id, &key, false, Patch::Merge(patch));
            }
        }
    }

    /// A pod of an operation on a node has become something else: a cordon of ours may be on its way.
    pub(super) fn operation_comes(&mut self, pod: &Value) {
        let label = |name: &str| pod["metadata"]["labels"].get(name).is_some();
        let node = bound_to(pod);
        if (label(PREFLIGHT_LABEL) || label(REBOOT_LABEL)) && self.nodes.watched.remove(node) {
            let wait = self.nodes.seconds(0, 6, &["cordons", node]);
            self.soon(wait, Soon::Cordons(node.into()));
        }
    }

    pub(super) fn cordon_by_hand(&mut self, node: &str) {
        let Some(id) = self.kind_id("", node::KIND.kind) else { return };
        let cordon = Patch::Merge(json!({"spec": {"unschedulable": true}}));
        // Refused, or gone: nobody has cordoned it.
        let _ = self.patch(USER, id, &ObjectKey::new("", node), false, cordon);
    }

    /// A kubelet says that its node is not ready, or that it is.
    pub(super) fn falls_sick(&mut self, node: &str, sick: bool) {
        let Some(of) = self.nodes.machines.get(node).map(|machine| machine.uid.clone()) else { return };
        if sick {
            self.nodes.sick.insert(node.into());
        } else {
            self.nodes.sick.remove(node);
        }
        if self.is_up(node) {
            self.node_says(super::KUBELET, node, &of, "True");
        }
    }

    /// Deletes a NodeOp in the foreground; then, with its uid, what it owns until nothing is left.
    pub(super) fn foreground(&mut self, key: &ObjectKey, of: Option<Box<str>>) {
        let Some(id) = self.kind_id(node_op::KIND.group, node_op::KIND.kind) else { return };
        let Some(op) = self.objects.get(id, key).map(|entry| entry.value.clone()) else { return };
        let mut finalizers = op["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        let held = |finalizers: &[Value]| Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
        let Some(of) = of else {
            if is_leaving(&op) {
                return;
            }
            finalizers.push(json!(FOREGROUND));
            if self.patch(USER, id, key, false, held(&finalizers)).is_ok() {
                // What refuses this refuses the write before it.
                let _ = self.delete(USER, id, key, &Deletion::default());
                self.soon(1, Soon::Foreground(key.clone(), Some(uid(&op).into())));
            }
            return;
        };
        if *of != *uid(&op) {
            return;
        }
        let owned = self.objects.owned_by(&of).to_vec();
        if owned.is_empty() {
            finalizers.retain(|finalizer| *finalizer != FOREGROUND);
            if self.patch(GARBAGE_COLLECTOR, id, key, false, held(&finalizers)).is_ok() {
                return;
            }
        }
        for (id, key) in owned {
            if self.objects.get(id, &key).is_some_and(|entry| !is_leaving(&entry.value)) {
                let _ = self.delete(GARBAGE_COLLECTOR, id, &key, &Deletion::default());
            }
        }
        self.soon(2, Soon::Foreground(key.clone(), Some(of)));
    }
}
