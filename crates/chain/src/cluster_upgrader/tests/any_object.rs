//! Objects as nobody would write them, within what a server lets through: each gets a verdict and a status.

use domain::verdict::{Reason as _, Then};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

/// Fields that are read, and some around them.
const FIELDS: [(&str, &str); 40] = [
    ("ClusterClassClusterUpgrader", "spec"),
    ("ClusterClassClusterUpgrader", "spec.clusterName"),
    ("ClusterClassClusterUpgrader", "spec.topologyVariable"),
    ("ClusterClassClusterUpgrader", "spec.planRef"),
    ("ClusterClassClusterUpgrader", "spec.paused"),
    ("ClusterClassClusterUpgrader", "spec.rolloutImageChanges"),
    ("ClusterClassClusterUpgrader", "status"),
    ("ClusterClassClusterUpgrader", "status.latestSetVersion"),
    ("ClusterClassClusterUpgrader", "status.waiting"),
    ("ClusterClassClusterUpgrader", "status.conditions"),
    ("Plan", "spec.versionRange"),
    ("Plan", "spec.machineImageSelector"),
    ("Plan", "spec.maxConcurrent"),
    ("Plan", "status"),
    ("Plan", "status.machineImageDetails"),
    ("Plan", "status.machineImageDetails.version"),
    ("Plan", "status.machineImageDetails.id"),
    ("Plan", "status.machineImageRef"),
    ("Plan", "status.observedGeneration"),
    ("MachineImage", "spec.version"),
    ("MachineImage", "spec.id"),
    ("MachineImage", "spec"),
    ("ClusterClass", "spec.kubernetesVersions"),
    ("ClusterClass", "status"),
    ("ClusterClass", "status.variables"),
    ("ClusterClass", "status.variables.0.definitions.0.schema.openAPIV3Schema"),
    ("ClusterClass", "status.observedGeneration"),
    ("Cluster", "spec"),
    ("Cluster", "spec.topology"),
    ("Cluster", "spec.topology.version"),
    ("Cluster", "spec.topology.variables"),
    ("Cluster", "spec.topology.variables.2"),
    ("Cluster", "spec.topology.variables.2.value"),
    ("Cluster", "spec.topology.controlPlane"),
    ("Cluster", "spec.topology.workers"),
    ("Cluster", "status"),
    ("Cluster", "status.conditions"),
    ("Cluster", "status.conditions.2"),
    ("Cluster", "status.controlPlane"),
    ("Cluster", "status.workers"),
];

const TEXTS: [&str; 20] = [
    "",
    "v1.36.2",
    "1.36.4",
    "v1.37.0",
    "v1.18446744073709551615.0",
    "v18446744073709551615.0.0",
    "v0.0.0",
    "1.36",
    "v1.36.4-rc.1",
    "v1.36.4+a",
    "latest",
    "image",
    "a/b~c",
    "\u{0}\u{1F600}",
    "True",
    "False",
    "Provisioned",
    "{\"a\":1}",
    "2026-11-21T10:00:00Z",
    ">=0",
];

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        3 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        2 => select(vec![i64::MIN, -1, 0, 1, 2, 3, 7, i64::MAX]).prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        6 => select(TEXTS.to_vec()).prop_map(Value::from),
    ];
    let names = [
        "name",
        "value",
        "version",
        "id",
        "type",
        "status",
        "reason",
        "message",
        "observedGeneration",
        "replicas",
        "upToDateReplicas",
        "versions",
        "upgradePlan",
        "variables",
        "overrides",
        "machineDeployments",
        "machinePools",
        "classRef",
        "image",
        "v1.36.2",
        "namespace",
        "since",
        "blockedBy",
        "additionalProperties",
        "matchLabels",
    ];
    leaf.prop_recursive(3, 24, 4, move |inner| {
        let object =
            prop::collection::vec((select(names.to_vec()), inner.clone()), 0..5).prop_map(|fields| {
                Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            });
        prop_oneof![prop::collection::vec(inner, 0..4).prop_map(Value::from), object]
    })
}

/// Sets a field where its parents are what they should be.
fn put(object: &mut Value, path: &str, value: Value) {
    let mut field = object;
    for part in path.split('.') {
        let next = match part.parse::<usize>() {
            Ok(place) => field.get_mut(place),
            Err(_) => field.as_object_mut().map(|fields| fields.entry(part).or_insert(Value::Null)),
        };
        let Some(next) = next else { return };
        field = next;
    }
    *field = value;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_object_gets_a_verdict_and_a_status(
        odd in prop::collection::vec((select(FIELDS.to_vec()), values()), 1..5),
        note in prop::option::of(select(TEXTS.to_vec())),
        settled in any::<bool>(),
        answers in prop::collection::vec(any::<Index>(), 6),
    ) {
        let mut world = if settled { World::settled() } else { World::new() };
        if let Some(text) = note {
            let note = json!({"version": text, "image": text, "target": "v1.36.4", "targetImage": "img:4",
                "cluster": "uid-cluster-c", "variable": "image"});
            let annotations = json!({"kubernetesupgraded.dimitrikoshkin.com/last-set": note.to_string()});
            world.set("ClusterClassClusterUpgrader", "metadata.annotations", annotations);
        }
        for ((kind, path), value) in odd {
            let object = world.objects.iter_mut().find(|object| object["kind"] == kind).unwrap();
            put(object, path, value);
        }
        for answer in answers {
            let observed = world.observe();
            let verdict = world.room.decide(&observed, at(world.now));
            let list = conditions(&observed, at(world.now), world.room.policy);
            prop_assert_eq!(list.len(), 24);
            let report = world.room.report(&observed, &verdict, at(world.now));
            prop_assert!(report.notes.iter().all(|note| !note.message.contains('\n')));
            if let Then::Wait(because) | Then::Failed(because) = &verdict.then {
                prop_assert!(because.reason != Reason::InternalError, "{}", because);
                prop_assert!(!because.reason.name().is_empty());
            }
            let Some(step) = verdict.steps.first().cloned() else { break };
            if let Step::PatchCluster { patch, .. } = &step {
                // Whatever was odd, it is no part of a write without its image.
                prop_assert!(patch.len() >= 2);
                prop_assert!(list.iter().all(|condition| condition.outcome == Outcome::Passed));
                break;
            }
            let refusals = [Refusal::NotFound, Refusal::Conflict, Refusal::Forbidden("no".to_owned())];
            let outcome = match &step {
                Step::ReadImage { .. } | Step::ReadControlPlane { .. } | Step::ReadMachinePools { .. } => {
                    match answer.index(4) {
                        0 => world.answer(&step),
                        other => Err(refusals[other - 1].clone()),
                    }
                }
                _ => break,
            };
            if !world.learn(&step, &outcome) {
                break;
            }
        }
    }
}
