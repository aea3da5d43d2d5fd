//! Machines: they go down, boot under another bootID, vanish, and are found silent.

use std::collections::BTreeSet;

use api::nodes::node;
use domain::object::ObjectKey;
use serde_json::{Value, json};

use super::containers;
use super::{KUBELET, Machine, NODE_CONTROLLER, Reboot, Soon, bound_to, has_ended, is_leaving, uid};
use crate::apiserver::eviction::is_ready;
use crate::world::World;

/// How long a kubelet may be silent before its node is taken for down, in seconds.
const SILENT_AFTER: i64 = 40;
/// How long after its node the pods of a node that has vanished are removed, in seconds.
const PODS_REMOVED_AFTER: i64 = 60;

impl World {
    /// A Node was written: a new one has a machine, and one that takes pods again is told to those who wait for one.
    pub(super) fn node_changed(&mut self, key: &ObjectKey, before: Option<&Value>, after: &Value) {
        let known = self.nodes.machines.get(&*key.name).is_some_and(|machine| *machine.uid == *uid(after));
        if !known {
            let told = after["status"]["nodeInfo"]["bootID"].as_str().map(str::to_owned);
            let boot_id: Box<str> = told.unwrap_or_else(|| self.chance.uid()).into();
            let machine =
                Machine { uid: uid(after).into(), boot_id, boots: 0, up: true, sentinels: BTreeSet::new() };
            self.nodes.machines.insert((&*key.name).into(), machine);
            self.soon(1, Soon::Ready((&*key.name).into(), 0));
        }
        let labels = |node: &Value| node["metadata"]["labels"].clone();
        if before.is_none_or(|before| labels(before) != labels(after)) {
            self.daemons_soon();
            self.labeler_looks_again(&key.name);
        }
        let takes = |node: &Value| is_ready(node) && node["spec"]["unschedulable"] != true;
        if takes(after) && !before.is_some_and(takes) {
            let Some(id) = self.kind_id("apps", "ReplicaSet") else { return };
            let all: Vec<ObjectKey> = self.objects.all(id).map(|(key, _)| key.clone()).collect();
            for key in all {
                self.workload_soon(key);
            }
        }
    }

    /// A node goes down: whatever runs on it ends.
    pub(super) fn goes_down(&mut self, name: &str, op: Option<Box<str>>, seconds: i64) {
        let at = self.now();
        let Some(machine) = self.nodes.machines.get_mut(name).filter(|machine| machine.up) else { return };
        machine.up = false;
        let (boots, node_uid) = (machine.boots, machine.uid.clone());
        self.tell(KUBELET, &format!("Node {name}"), "goes down".to_owned());
        self.nodes.reboots.push(Reboot { at, node: name.into(), node_uid, op });
        let on_it = self.nodes.running.iter().filter(|(_, running)| *running.node == *name);
        for pod in on_it.map(|(pod, _)| pod.clone()).collect::<Vec<_>>() {
            self.stops(&pod);
        }
        self.soon(SILENT_AFTER, Soon::Silent(name.into(), boots));
        if !self.nodes.habits.lost.contains(name) {
            self.soon(seconds.max(1), Soon::Boots(name.into(), boots));
        }
    }

    pub(super) fn boots(&mut self, name: &str, boots: u32) {
        let boot_id = self.chance.uid();
        let Some(machine) = self.nodes.machines.get_mut(name).filter(|machine| machine.boots == boots) else {
            return;
        };
        machine.boots += 1;
        machine.up = true;
        machine.boot_id = boot_id.as_str().into();
        let of = machine.uid.clone();
        let wait = self.nodes.seconds(0, 15, &["ready", &boot_id]);
        self.node_says(KUBELET, name, &of, if wait == 0 { "True" } else { "False" });
        self.soon(wait, Soon::Ready(name.into(), boots + 1));
        for (key, pod) in self.pods_where(|pod| bound_to(pod) == name && !has_ended(pod)) {
            let of: Box<str> = uid(&pod).into();
            if is_leaving(&pod) {
                self.soon(2, Soon::Removed(key, of));
            } else if containers::has_begun(&pod) && pod["spec"]["restartPolicy"] == "Never" {
                self.lost_with_its_node(&key, &pod);
            } else {
                let wait = self.nodes.seconds(2, 10, &["again", &of, &boot_id]);
                self.soon(wait, Soon::Starts(key, of));
            }
        }
    }

    fn lost_with_its_node(&mut self, key: &ObjectKey, pod: &Value) {
        let Some((id, _)) = self.pod(key, uid(pod)) else { return };
        let initialised = pod["status"]["phase"] == "Running";
        let end = containers::End { code: 255, reason: "Unknown", message: "" };
        let status = containers::ended(pod, &end, initialised, &self.stamp());
        self.set_status(KUBELET, id, key, status);
    }

    pub(super) fn is_ready_again(&mut self, name: &str, boots: u32) {
        let machine = self.nodes.machines.get(name).filter(|machine| machine.boots == boots && machine.up);
        let Some(of) = machine.map(|machine| machine.uid.clone()) else { return };
        self.node_says(KUBELET, name, &of, "True");
    }

    pub(super) fn is_silent(&mut self, name: &str, boots: u32) {
        let machine = self.nodes.machines.get(name).filter(|machine| machine.boots == boots && !machine.up);
        let Some(of) = machine.map(|machine| machine.uid.clone()) else { return };
        self.node_says(NODE_CONTROLLER, name, &of, "Unknown");
        for (key, pod) in self.pods_where(|pod| bound_to(pod) == name && is_ready(pod)) {
            let Some((id, _)) = self.pod(&key, uid(&pod)) else { continue };
            let status = containers::silent(&pod, &self.stamp());
            self.set_status(NODE_CONTROLLER, id, &key, status);
        }
    }

    /// Writes the status of a Node.
    pub(super) fn node_says(&mut self, actor: &str, name: &str, of: &str, ready: &str) {
        let Some(id) = self.kind_id("", node::KIND.kind) else { return };
        let key = ObjectKey::new("", name);
        let found = self.objects.get(id, &key).filter(|entry| uid(&entry.value) == of);
        let ready = if actor == KUBELET && self.nodes.sick.contains(name) { "False" } else { ready };
        let Some(mut status) = found.map(|entry| entry.value["status"].clone()) else { return };
        if actor == KUBELET
            && let Some(machine) = self.nodes.machines.get(name)
        {
            status["nodeInfo"]["bootID"] = json!(machine.boot_id);
        }
        let had = status["conditions"][0]["status"] == ready;
        if !had {
            let reason = match ready {
                "True" => "KubeletReady",
                "False" => "KubeletNotReady",
                _ => "NodeStatusUnknown",
            };
            status["conditions"] = json!([
                {"type": "Ready", "status": ready, "reason": reason, "lastTransitionTime": self.stamp()},
            ]);
        }
        self.set_status(actor, id, &key, status);
    }

    /// A Node was deleted, and its machine with it.
    pub(super) fn vanishes(&mut self, name: &str, of: &str) {
        if self.nodes.machines.get(name).is_none_or(|machine| *machine.uid != *of) {
            return;
        }
        self.nodes.machines.remove(name);
        for (key, pod) in self.pods_where(|pod| bound_to(pod) == name) {
            self.stops(uid(&pod));
            self.soon(PODS_REMOVED_AFTER, Soon::Removed(key, uid(&pod).into()));
        }
    }
}
