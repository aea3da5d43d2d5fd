//! What Cluster API writes into the status of a Cluster and of a class (v1beta2, Cluster API 1.14).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::clusters::{Group, Part, State};

/// The status of a Cluster.
pub(crate) fn of_cluster(cluster: &Value, state: &State, now: &str) -> Value {
    let before = &cluster["status"];
    let mut status = if before.is_object() { before.clone() } else { json!({}) };
    let generation = state.generation;
    let topology = !cluster["spec"]["topology"].is_null();
    status["observedGeneration"] = json!(generation);
    status["phase"] = json!(if state.provisioned { "Provisioned" } else { "Provisioning" });
    status["initialization"] =
        json!({"infrastructureProvisioned": true, "controlPlaneInitialized": state.provisioned});
    let mut conditions = Conditions { before: &before["conditions"], list: Vec::new(), generation, now };
    let (provisioned, paused) = (state.provisioned, state.paused);
    conditions.put("Available", provisioned, if provisioned { "Available" } else { "NotAvailable" }, "");
    let rolling = topology && state.is_rolling();
    conditions.put("RollingOut", rolling, if rolling { "RollingOut" } else { "NotRollingOut" }, "");
    conditions.put("Paused", paused, if paused { "Paused" } else { "NotPaused" }, "");
    if topology {
        let version = cluster["spec"]["topology"]["version"].as_str().unwrap_or_default();
        let upgrading = state.is_upgrading(version);
        let message;
        let (holds, reason, words) = if paused {
            (false, "Paused", "Cluster spec.paused is set to true")
        } else if !provisioned {
            (false, "ClusterCreating", "Cluster is being created")
        } else if upgrading {
            message = format!("Cluster is upgrading to {version}");
            (false, "ClusterUpgrading", message.as_str())
        } else {
            (true, "ReconcileSucceeded", "")
        };
        conditions.put("TopologyReconciled", holds, reason, words);
        let half = |workers: bool| -> Vec<&Group> {
            state.groups.iter().filter(|group| (group.part != Part::ControlPlane) == workers).collect()
        };
        status["controlPlane"] = counters(&half(false), provisioned);
        let workers = half(true);
        if !workers.is_empty() {
            status["workers"] = counters(&workers, provisioned);
        }
    }
    status["conditions"] = Value::Array(conditions.list);
    status
}

fn counters(groups: &[&Group], provisioned: bool) -> Value {
    let desired: usize = groups.iter().map(|group| group.machines.len()).sum();
    let up_to_date: usize = groups.iter().map(|group| group.up_to_date()).sum();
    let (replicas, up_to_date) = if provisioned { (desired, up_to_date) } else { (0, 0) };
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for machine in groups.iter().flat_map(|group| &group.machines) {
        *counts.entry(&*machine.version).or_default() += 1;
    }
    let in_order = |(version, count)| {
        let parsed = domain::version::KubernetesVersion::parse_lenient(version).ok();
        let order = parsed.map_or((0, 0, 0), |v| (v.major(), v.minor(), v.patch()));
        ((order.0, order.1, order.2, version), count)
    };
    let versions: BTreeMap<(u64, u64, u64, &str), usize> = counts.into_iter().map(in_order).collect();
    let told = versions.iter().map(|((.., version), count)| json!({"version": version, "replicas": count}));
    let versions: Vec<Value> = if provisioned { told.collect() } else { Vec::new() };
    json!({
        "desiredReplicas": desired, "replicas": replicas, "upToDateReplicas": up_to_date,
        "readyReplicas": replicas, "availableReplicas": replicas, "versions": versions,
    })
}

/// The status of a class.
pub(crate) fn of_class(class: &Value, now: &str) -> Value {
    let before = &class["status"];
    let generation = class["metadata"]["generation"].as_i64().unwrap_or_default();
    let mut conditions = Conditions { before: &before["conditions"], list: Vec::new(), generation, now };
    conditions.put("VariablesReady", true, "VariablesReady", "");
    conditions.put("RefVersionsUpToDate", true, "RefVersionsUpToDate", "");
    let defined = class["spec"]["variables"].as_array();
    let variables: Vec<Value> = defined
        .into_iter()
        .flatten()
        .map(|variable| {
            let definition = json!({"from": "inline", "required": variable["required"] == true,
                "schema": variable["schema"]});
            json!({"name": variable["name"], "definitionsConflict": false, "definitions": [definition]})
        })
        .collect();
    json!({"observedGeneration": generation, "conditions": conditions.list, "variables": variables})
}

struct Conditions<'a> {
    before: &'a Value,
    list: Vec<Value>,
    generation: i64,
    now: &'a str,
}

impl Conditions<'_> {
    fn put(&mut self, type_: &str, holds: bool, reason: &str, message: &str) {
        let status = if holds { "True" } else { "False" };
        let before = self.before.as_array().into_iter().flatten().find(|c| c["type"] == type_);
        let since = before.filter(|before| before["status"] == status);
        let since = since.and_then(|before| before["lastTransitionTime"].as_str()).unwrap_or(self.now);
        self.list.push(json!({
            "type": type_, "status": status, "reason": reason, "message": message,
            "observedGeneration": self.generation, "lastTransitionTime": since,
        }));
    }
}
