//! Whatever is wrong together: a Cluster is written to if and only if nothing is.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;

type Wrong = (&'static str, &'static str, Value);

/// Each of these alone must hold the write back.
fn wrongs() -> Vec<Wrong> {
    let deletion = || json!("2026-11-21T10:00:00Z");
    let overridden = json!({"overrides": [{"name": "image", "value": "x"}]});
    vec![
        ("ClusterClassClusterUpgrader", "spec.paused", json!(true)),
        ("ClusterClassClusterUpgrader", "spec.planRef.namespace", json!("other")),
        ("ClusterClassClusterUpgrader", "metadata.deletionTimestamp", deletion()),
        ("Plan", "metadata.generation", json!(2)),
        ("Plan", "metadata.deletionTimestamp", deletion()),
        ("Plan", "status.machineImageDetails.id", json!("")),
        ("Cluster", "metadata.deletionTimestamp", deletion()),
        ("Cluster", "metadata.generation", json!(8)),
        ("Cluster", "metadata.annotations", json!({"cluster.x-k8s.io/paused": "true"})),
        ("Cluster", "spec.paused", json!(true)),
        ("Cluster", "spec.topology.controlPlane.variables", overridden),
        ("Cluster", "status.phase", json!("Provisioning")),
        ("Cluster", "status.initialization", json!({})),
        ("Cluster", "status.conditions.1.status", json!("True")),
        ("Cluster", "status.conditions.2.status", json!("False")),
        ("Cluster", "status.controlPlane.upToDateReplicas", json!(2)),
        ("Cluster", "status.controlPlane.replicas", Value::Null),
        ("Cluster", "status.workers.replicas", json!(3)),
        ("ClusterClass", "metadata.generation", json!(4)),
        ("ClusterClass", "status.conditions.0.status", json!("Unknown")),
        ("ClusterClass", "status.variables.0.definitions.0.schema.openAPIV3Schema.type", json!("boolean")),
        ("ClusterClass", "spec.kubernetesVersions", json!(["v1.36.2"])),
        ("MachineImage", "metadata.uid", json!("another")),
        ("MachineImage", "metadata.deletionTimestamp", deletion()),
        ("MachineImage", "spec.id", json!("another")),
        ("MachineImage", "spec.version", json!("v1.36.40")),
    ]
}

/// Plan versions with whether they are one step up from v1.36.2.
const STEPS: [(&str, bool); 9] = [
    ("v1.36.4", true),
    ("1.36.3", true),
    ("v1.37.0", true),
    ("v1.36.2", false),
    ("v1.36.2+vendor.1", false),
    ("v1.36.1", false),
    ("v1.36.2-rc.1", false),
    ("v1.38.0", false),
    ("v2.0.0", false),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_write_is_sent_if_and_only_if_nothing_is_wrong(
        wrong in prop_oneof![Just(Vec::new()), subsequence(wrongs(), 1..4)],
        (version, one_step) in select(STEPS.to_vec()),
    ) {
        let mut world = World::new();
        world.set("Plan", "status.machineImageDetails.version", json!(version));
        world.set("MachineImage", "spec.version", json!(version));
        for (kind, path, value) in &wrong {
            world.set(kind, path, value.clone());
        }
        world.pass();
        world.now += 20;
        world.pass();
        prop_assert_eq!(world.patches() == 1, wrong.is_empty() && one_step, "{:?}", world.requests);
        let after = world.object("Cluster")["spec"]["topology"]["version"].clone();
        let moved = format!("v{}", version.trim_start_matches('v'));
        prop_assert_eq!(after, json!(if world.patches() == 1 { &moved } else { "v1.36.2" }));
    }
}
