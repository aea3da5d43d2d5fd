//! How Cluster API moves the machines of a Cluster to what its topology says: the control plane first, then one group of
//! workers after another, a machine at a time.
//!
//! Not simulated: upgrades through several versions in one write, hooks, deferred groups, and which group a variable is
//! patched into: a variable that changes rolls every machine.

use std::sync::Arc;

use api::capi::cluster::PAUSED_ANNOTATION;
use api::capi::{GROUP, cluster, cluster_class};
use domain::object::ObjectKey;
use serde_json::Value;

use super::agenda::Due;
use super::clusters::{Group, Part, State, Template};
use super::{CLUSTER_API, World, status};

impl World {
    /// Looks at a Cluster.
    pub(crate) fn reconcile(&mut self, key: &ObjectKey) {
        let Some(id) = self.catalogue.of_kind(GROUP, cluster::KIND.kind) else { return };
        let Some(entry) = self.objects.kept(id, key) else { return };
        let cluster = &entry.value;
        let known = self.clusters.states.contains_key(key);
        let mut state = self.clusters.states.remove(key).unwrap_or_default();
        state.generation = cluster["metadata"]["generation"].as_i64().unwrap_or_default();
        state.paused = cluster["spec"]["paused"] == true
            || cluster["metadata"]["annotations"].get(PAUSED_ANNOTATION).is_some();
        if !known {
            // What the scenario starts with is there already; what is created later has to be made.
            state.groups = wanted(cluster);
            state.provisioned = !self.telling;
            if !self.telling {
                take_over(&mut state.groups, &cluster["status"]);
            }
        }
        if state.paused {
            state.roll = None;
        } else {
            want(&mut state, wanted(cluster));
            self.go_on(key, &mut state);
        }
        self.keep(key, cluster, state);
    }

    /// Replaces the next machine of a roll.
    pub(crate) fn replace_machine(&mut self, key: &ObjectKey, roll: u64) {
        let Some(id) = self.catalogue.of_kind(GROUP, cluster::KIND.kind) else { return };
        let Some(entry) = self.objects.kept(id, key) else { return };
        let cluster = &entry.value;
        let Some(mut state) = self.clusters.states.remove(key) else { return };
        if state.roll == Some(roll) && !self.clusters.stalled.contains(key) {
            state.roll = None;
            if state.provisioned {
                replace_one(&mut state.groups);
                // A group of workers may have waited for its turn.
                want(&mut state, wanted(cluster));
            } else {
                state.provisioned = true;
            }
            self.go_on(key, &mut state);
            self.keep(key, cluster, state);
        } else {
            if state.roll == Some(roll) {
                state.roll = None;
            }
            self.clusters.states.insert(key.clone(), state);
        }
    }

    /// Has the next machine replaced in a while, if one is left.
    fn go_on(&mut self, key: &ObjectKey, state: &mut State) {
        let left = state.is_rolling() || !state.provisioned;
        if left && state.roll.is_none() && !self.clusters.stalled.contains(key) {
            self.clusters.rolls += 1;
            let roll = self.clusters.rolls;
            state.roll = Some(roll);
            let machines: usize = state.groups.iter().map(|group| group.machines.len()).sum();
            let step = self.clusters.step(machines);
            self.after(step, Due::Machine(key.clone(), roll));
        }
    }

    fn keep(&mut self, key: &ObjectKey, cluster: &Value, state: State) {
        let Some(id) = self.catalogue.of_kind(GROUP, cluster::KIND.kind) else { return };
        let status = status::of_cluster(cluster, &state, &self.stamp());
        self.clusters.states.insert(key.clone(), state);
        self.set_status(CLUSTER_API, id, key, status);
    }

    /// Looks at a class: from then on its variables are known.
    pub(crate) fn reconcile_class(&mut self, key: &ObjectKey) {
        let Some(id) = self.catalogue.of_kind(GROUP, cluster_class::KIND.kind) else { return };
        let Some(class) = self.objects.get(id, key).map(|entry| entry.value.clone()) else { return };
        let status = status::of_class(&class, &self.stamp());
        self.set_status(CLUSTER_API, id, key, status);
    }

    /// Machines of a Cluster are not replaced any more, or again.
    pub(crate) fn stall(&mut self, key: &ObjectKey, stalled: bool) {
        if stalled {
            self.clusters.stalled.insert(key.clone());
        } else {
            self.clusters.stalled.remove(key);
            self.later(0, Due::Topology(key.clone()));
        }
    }
}

/// The groups of a topology, their machines made as it says.
fn wanted(cluster: &Value) -> Vec<Group> {
    let topology = &cluster["spec"]["topology"];
    if topology.is_null() {
        return Vec::new();
    }
    let version: Arc<str> = topology["version"].as_str().unwrap_or_default().into();
    let group = |part: Part, name: &str, of: &Value| {
        let overrides = &of["variables"]["overrides"];
        let variables = format!("[{},{overrides}]", topology["variables"]).into();
        let wanted = Template { version: version.clone(), variables };
        let replicas =
            of["replicas"].as_u64().and_then(|replicas| usize::try_from(replicas).ok()).unwrap_or(1);
        Group { part, name: name.into(), machines: vec![wanted.clone(); replicas], wanted }
    };
    let mut groups = vec![group(Part::ControlPlane, "", &topology["controlPlane"])];
    for (list, part) in [("machineDeployments", Part::Deployment), ("machinePools", Part::Pool)] {
        for of in topology["workers"][list].as_array().into_iter().flatten() {
            groups.push(group(part, of["name"].as_str().unwrap_or_default(), of));
        }
    }
    groups
}

/// Machines that an object of the beginning reports at other versions than its topology: a roll that is under way.
fn take_over(groups: &mut [Group], status: &Value) {
    for (half, workers) in [("controlPlane", false), ("workers", true)] {
        let mut machines = groups
            .iter_mut()
            .filter(|group| (group.part != Part::ControlPlane) == workers)
            .flat_map(|group| {
                let wanted = &group.wanted;
                group.machines.iter_mut().map(move |machine| (wanted, machine))
            });
        for reported in status[half]["versions"].as_array().into_iter().flatten() {
            let version = reported["version"].as_str().unwrap_or_default();
            let count =
                reported["replicas"].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
            for (wanted, machine) in machines.by_ref().take(count) {
                if *version != *wanted.version {
                    *machine = Template { version: version.into(), variables: Arc::default() };
                }
            }
        }
    }
}

/// Hands the topology on to the groups. Workers get another version only when the control plane has it everywhere.
fn want(state: &mut State, wanted: Vec<Group>) {
    let mut old = std::mem::take(&mut state.groups);
    let mut held_back = false;
    for mut group in wanted {
        let place = old.iter().position(|had| had.part == group.part && had.name == group.name);
        if let Some(had) = place.map(|place| old.remove(place)) {
            let replicas = group.machines.len();
            let is_workers = group.part != Part::ControlPlane;
            if is_workers && held_back && had.wanted.version != group.wanted.version {
                group.wanted = had.wanted;
            }
            group.machines = had.machines;
            group.machines.resize(replicas, group.wanted.clone());
        }
        held_back |= group.machines.iter().any(|machine| machine.version != group.wanted.version);
        state.groups.push(group);
    }
}

fn replace_one(groups: &mut [Group]) {
    for group in groups {
        let wanted = group.wanted.clone();
        if let Some(machine) = group.machines.iter_mut().find(|machine| **machine != wanted) {
            *machine = wanted;
            return;
        }
    }
}
