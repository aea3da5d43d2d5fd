//! What Cluster API would say of a Cluster: the sixteen conditions of v1beta2, the older ones, and the counters.

use serde_json::{Value, json};

/// How far a Cluster is at its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Every machine runs it.
    AtRest,
    /// Machines are being replaced, and some are.
    Rolling,
}

/// Those of a Cluster that has nothing to do, with the reason of each.
const CONDITIONS: [(&str, &str, &str, &str); 16] = [
    ("Available", "True", "Available", ""),
    ("InfrastructureReady", "True", "Ready", ""),
    ("ControlPlaneInitialized", "True", "Initialized", ""),
    ("ControlPlaneAvailable", "True", "Available", ""),
    ("ControlPlaneMachinesReady", "True", "Ready", ""),
    ("ControlPlaneMachinesUpToDate", "True", "UpToDate", ""),
    ("WorkersAvailable", "True", "Available", ""),
    ("WorkerMachinesReady", "True", "Ready", ""),
    ("WorkerMachinesUpToDate", "True", "UpToDate", ""),
    ("RemoteConnectionProbe", "True", "ProbeSucceeded", ""),
    ("RollingOut", "False", "NotRollingOut", ""),
    ("ScalingUp", "False", "NotScalingUp", ""),
    ("ScalingDown", "False", "NotScalingDown", ""),
    ("Remediating", "False", "NotRemediating", ""),
    ("Deleting", "False", "NotDeleting", ""),
    ("TopologyReconciled", "True", "ReconcileSucceeded", ""),
];
/// What is different while machines are being replaced.
const ROLLING: [(&str, &str, &str, &str); 4] = [
    (
        "RollingOut",
        "True",
        "RollingOut",
        "* KubeadmControlPlane: Rolling out 2 not up-to-date replicas\n* MachineDeployments general, memory, ingress: Rolling out 12 not up-to-date replicas",
    ),
    (
        "TopologyReconciled",
        "False",
        "ClusterUpgrading",
        "Cluster is upgrading to v1.35.50\n  * KubeadmControlPlane upgrading to version v1.35.50 (2 replicas not yet upgraded)\n  * MachineDeployments general, memory, ingress pending upgrade to version v1.35.50",
    ),
    ("ControlPlaneMachinesUpToDate", "False", "NotUpToDate", "* Machines: 2 not up to date"),
    ("WorkerMachinesUpToDate", "False", "NotUpToDate", "* Machines: 12 not up to date"),
];
const OLDER: [&str; 5] =
    ["Ready", "InfrastructureReady", "ControlPlaneInitialized", "ControlPlaneReady", "TopologyReconciled"];

/// A merge patch of the status, of a Cluster of this generation that was at `version` before it rolled, if it does.
pub(crate) fn of(generation: i64, version: &str, phase: Phase) -> Value {
    let found = CONDITIONS.iter().map(|usual| {
        let rolling = ROLLING.iter().find(|rolling| phase == Phase::Rolling && rolling.0 == usual.0);
        rolling.unwrap_or(usual)
    });
    let conditions: Vec<Value> = found
        .map(|(type_, status, reason, message)| {
            json!({
                "type": type_, "status": status, "reason": reason, "message": message,
                "observedGeneration": generation, "lastTransitionTime": "2026-11-20T10:00:00Z",
            })
        })
        .collect();
    let older = OLDER
        .map(|type_| json!({"type": type_, "status": "True", "lastTransitionTime": "2026-11-20T10:00:00Z"}));
    let counters = |replicas: i64| {
        let up_to_date = if phase == Phase::Rolling { replicas / 3 } else { replicas };
        json!({
            "desiredReplicas": replicas, "replicas": replicas, "readyReplicas": replicas,
            "availableReplicas": replicas, "upToDateReplicas": up_to_date,
            "versions": [{"version": version, "replicas": replicas}],
        })
    };
    let zone = |name: &str| json!({"name": name, "controlPlane": true});
    json!({"status": {
        "phase": "Provisioned", "observedGeneration": generation,
        "initialization": {"infrastructureProvisioned": true, "controlPlaneInitialized": true},
        "conditions": conditions,
        "deprecated": {"v1beta1": {"conditions": older}},
        "failureDomains": [zone("zone-a"), zone("zone-b"), zone("zone-c")],
        "controlPlane": counters(3), "workers": counters(12),
    }})
}
