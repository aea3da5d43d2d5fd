//! Clusters and classes of both versions.

use domain::condition::Status::{False, True};

use super::cluster::{Class, ClusterRow, ControlPlaneRef, Group, Override, Progress, Variable};
use super::cluster_class::{ClusterClassRow, Shape};
use super::control_plane::ControlPlane;
use super::machine_pool::MachinePool;
use crate::tests::{references, row};

const V1BETA2: &str = "
metadata:
  namespace: ns
  name: c
  generation: 4
  annotations: {runtime.cluster.x-k8s.io/pending-hooks: 'BeforeClusterUpgrade,AfterClusterUpgrade'}
spec:
  controlPlaneRef: {apiGroup: controlplane.cluster.x-k8s.io, kind: KubeadmControlPlane, name: c-cp}
  topology:
    classRef: {name: quick-start, namespace: ns}
    version: v1.36.1
    variables:
    - {name: image, value: 'kindest/node:v1.36.1'}
    - {name: images, value: {v1.36.1: b, v1.36.0: a}}
    - {name: count, value: 3}
    controlPlane: {replicas: 1, variables: {overrides: [{name: image, value: other}]}}
    workers:
      machineDeployments:
      - {class: w, name: md-0, replicas: 2, variables: {overrides: [{name: count, value: 1}]}}
      - {class: w, name: md-1}
      machinePools:
      - {class: p, name: mp-0, variables: {overrides: [{name: image, value: other}]}}
status:
  phase: Provisioned
  initialization: {controlPlaneInitialized: true, infrastructureProvisioned: true}
  observedGeneration: 4
  controlPlane:
    desiredReplicas: 1
    replicas: 1
    upToDateReplicas: 0
    versions: [{version: v1.36.0, replicas: 1}]
    upgradePlan: [{version: v1.36.1}]
  workers: {desiredReplicas: 2, replicas: 3, upToDateReplicas: 2}
  conditions:
  - {type: Available, status: 'True', reason: Available, message: '', lastTransitionTime: '2026-11-21T10:00:00Z'}
  - {type: RollingOut, status: 'True', reason: RollingOut, message: '', lastTransitionTime: '2026-11-21T10:00:00Z'}
  - type: TopologyReconciled
    status: 'False'
    reason: ClusterUpgrading
    message: Cluster is upgrading
    observedGeneration: 4
    lastTransitionTime: '2026-11-21T10:00:00Z'
  deprecated:
    v1beta1: {conditions: [{type: TopologyReconciled, status: 'True'}]}";

#[test]
fn a_cluster_of_v1beta2() {
    let row: ClusterRow = row(V1BETA2);
    assert_eq!((row.malformed.clone(), row.paused, row.phase.as_deref()), (None, false, Some("Provisioned")));
    let group = "controlplane.cluster.x-k8s.io".into();
    let control_plane = ControlPlaneRef { group, kind: "KubeadmControlPlane".into(), name: "c-cp".into() };
    assert_eq!(row.control_plane_ref, Some(control_plane));
    assert!(row.control_plane_initialized && row.has_new_conditions && row.after_upgrade_hook_pending);
    assert!(!row.in_upgrade_step);
    assert_eq!(row.rolling_out, Some(True));
    let reconciled = row.topology_reconciled.clone().unwrap();
    assert_eq!((reconciled.status, reconciled.reason.as_ref()), (False, "ClusterUpgrading"));
    assert_eq!(
        (reconciled.message.as_ref(), reconciled.observed_generation),
        ("Cluster is upgrading", Some(4))
    );
    assert_eq!(
        row.control_plane,
        Progress {
            desired: Some(1),
            replicas: Some(1),
            up_to_date: Some(0),
            versions: Some(vec!["v1.36.0".into()]),
            upgrade_plan: vec!["v1.36.1".into()],
        }
    );
    assert_eq!(
        (row.workers.replicas, row.workers.up_to_date, row.workers.versions.clone()),
        (Some(3), Some(2), None)
    );
    assert_eq!(references(&row), [("class", "quick-start".to_owned())]);

    let topology = row.topology.unwrap();
    assert_eq!(topology.class, Some(Class { name: "quick-start".into(), namespace: None }));
    assert_eq!(topology.version.as_ref(), "v1.36.1");
    let image = Variable { name: "image", value: "\"kindest/node:v1.36.1\"" };
    assert_eq!(topology.variable("image"), Some((0, image)));
    let (index, images) = topology.variable("images").unwrap();
    assert_eq!((index, images.value), (1, r#"{"v1.36.0":"a","v1.36.1":"b"}"#));
    assert_eq!(topology.variable("count").unwrap().1.value, "3");
    assert_eq!(topology.variable("absent"), None);
    let over = |group, variable: &str| Override { group, variable: variable.into() };
    assert_eq!(
        *topology.overrides,
        [
            over(Group::ControlPlane, "image"),
            over(Group::MachineDeployment("md-0".into()), "count"),
            over(Group::MachinePool("mp-0".into()), "image"),
        ]
    );
    assert_eq!((topology.machine_deployments, topology.machine_pools), (2, 1));
}

const V1BETA1: &str = "
metadata: {namespace: ns, name: c, generation: 2, annotations: {cluster.x-k8s.io/paused: ''}}
spec:
  controlPlaneRef:
    apiVersion: controlplane.cluster.x-k8s.io/v1beta1
    kind: KubeadmControlPlane
    name: c-cp
    namespace: ns
  topology:
    class: quick-start
    classNamespace: classes
    version: 1.35.1
    rolloutAfter: null
    workers: null
status:
  phase: Provisioned
  controlPlaneReady: true
  infrastructureReady: true
  conditions:
  - {type: ControlPlaneInitialized, status: 'True', lastTransitionTime: '2026-11-21T10:00:00Z'}
  - {type: TopologyReconciled, status: 'False', severity: Error, reason: TopologyReconcileFailed, message: broken}";

#[test]
fn a_cluster_of_v1beta1_without_newer_conditions() {
    let row: ClusterRow = row(V1BETA1);
    assert_eq!((row.malformed.clone(), row.paused), (None, true));
    assert_eq!(
        row.control_plane_ref.as_ref().map(|control_plane| control_plane.group.as_ref()),
        Some("controlplane.cluster.x-k8s.io")
    );
    assert!(row.control_plane_initialized && !row.has_new_conditions);
    let reconciled = row.topology_reconciled.clone().unwrap();
    assert_eq!(
        (reconciled.reason.as_ref(), reconciled.observed_generation),
        ("TopologyReconcileFailed", None)
    );
    assert_eq!((row.control_plane.clone(), row.rolling_out), (Progress::default(), None));
    assert!(references(&row).is_empty(), "the class is in another namespace");
    let topology = row.topology.unwrap();
    assert_eq!(topology.class, Some(Class { name: "quick-start".into(), namespace: Some("classes".into()) }));
    assert_eq!((topology.variables, topology.machine_pools), (None, 0));
}

#[test]
fn the_newer_conditions_within_v1beta1_count_first() {
    let row: ClusterRow = row(&format!(
        "{V1BETA1}
  v1beta2:
    conditions:
    - {{type: RollingOut, status: 'False', reason: NotRollingOut, observedGeneration: 2}}
    - {{type: TopologyReconciled, status: 'True', reason: ReconcileSucceeded, observedGeneration: 2}}
    controlPlane: {{desiredReplicas: 3, replicas: 3, upToDateReplicas: 3}}"
    ));
    assert!(row.has_new_conditions);
    assert_eq!(row.rolling_out, Some(False));
    assert_eq!(
        row.topology_reconciled.map(|reconciled| (reconciled.status, reconciled.observed_generation)),
        Some((True, Some(2)))
    );
    assert_eq!((row.control_plane.up_to_date, row.workers.up_to_date), (Some(3), None));
}

#[test]
fn a_cluster_without_a_topology_and_an_empty_one_are_read() {
    let row: ClusterRow = row("metadata: {name: c}\nspec: {paused: true, clusterNetwork: {}}");
    assert_eq!((row.malformed, row.topology, row.paused, row.phase), (None, None, true, None));
    let row: ClusterRow = crate::tests::row("metadata: {name: c}");
    assert_eq!((row.malformed, row.has_new_conditions), (None, false));
}

#[test]
fn a_wrong_field_makes_one_row_malformed_that_keeps_its_metadata() {
    for wrong in [
        "spec: {topology: {version: 7}}",
        "spec: {topology: {variables: {}}}",
        "status: {conditions: 7}",
        "spec: 7",
    ] {
        let row: ClusterRow =
            row(&format!("metadata: {{name: c, annotations: {{cluster.x-k8s.io/paused: ''}}}}\n{wrong}"));
        assert!(row.malformed.is_some() && row.paused, "{wrong}");
        assert_eq!(row.meta.key.name.as_ref(), "c");
    }
}

#[test]
fn a_class_tells_the_shape_of_its_variables() {
    let row: ClusterClassRow = row("
metadata: {namespace: ns, name: quick-start, generation: 3}
spec:
  kubernetesVersions: [v1.35.0, v1.36.1]
  upgrade: {external: {generateUpgradePlanExtension: planner.ext}}
status:
  observedGeneration: 2
  conditions: [{type: VariablesReady, status: 'True', reason: VariablesReady}]
  variables:
  - {name: image, definitions: [{from: inline, required: true, schema: {openAPIV3Schema: {type: string}}}]}
  - {name: images, definitions: [{schema: {openAPIV3Schema: {type: object, additionalProperties: {type: string}}}}]}
  - {name: tree, definitions: [{schema: {openAPIV3Schema: {type: object, properties: {a: {type: string}}}}}]}
  - {name: counts, definitions: [{schema: {openAPIV3Schema: {type: object, additionalProperties: {type: integer}}}}]}
  - {name: free, definitions: [{schema: {openAPIV3Schema: {x-kubernetes-preserve-unknown-fields: true}}}]}
  - name: both
    definitionsConflict: true
    definitions: [{schema: {openAPIV3Schema: {type: string}}}, {schema: {openAPIV3Schema: {type: integer}}}]");
    assert_eq!((row.meta.generation, row.observed_generation, row.variables_ready), (3, Some(2), Some(True)));
    assert_eq!((row.kubernetes_versions.len(), row.has_upgrade_plan_extension), (2, true));
    let shape = |name: &str| row.variables[name].clone();
    let other = |what: &str| Shape::Other(what.into());
    assert_eq!((shape("image"), shape("images")), (Shape::String, Shape::Map));
    assert_eq!((shape("tree"), shape("counts")), (other("object"), other("object of integer")));
    assert_eq!((shape("free"), shape("both")), (other("any"), other("of several definitions")));
}

#[test]
fn a_class_of_v1beta1() {
    let older = "status: {conditions: [{type: VariablesReconciled, status: 'False', severity: Error, reason: Failed}]}";
    let row: ClusterClassRow = row(&format!("metadata: {{name: c}}\nspec: {{}}\n{older}"));
    assert_eq!(
        (row.variables_ready, row.kubernetes_versions.len(), row.has_upgrade_plan_extension),
        (Some(False), 0, false)
    );
    let newer = "status: {conditions: [], v1beta2: {conditions: [{type: VariablesReady, status: 'True'}]}}";
    let row: ClusterClassRow = crate::tests::row(&format!("metadata: {{name: c}}\n{newer}"));
    assert_eq!((row.variables_ready, row.observed_generation), (Some(True), None));
}

#[test]
fn live_reads_of_control_plane_and_pool() {
    let control_plane: ControlPlane = row("
metadata: {name: c-cp, generation: 5}
spec: {version: v1.36.1, replicas: 3}
status: {version: v1.36.0, observedGeneration: 5, replicas: 4, updatedReplicas: 2}");
    assert_eq!(
        (control_plane.version.as_deref(), control_plane.status_version.as_deref()),
        (Some("v1.36.1"), Some("v1.36.0"))
    );
    assert_eq!(
        (control_plane.replicas, control_plane.up_to_date, control_plane.desired),
        (Some(4), Some(2), Some(3))
    );
    let pool: MachinePool = row("
metadata: {name: mp}
spec: {replicas: 2, template: {spec: {version: v1.36.1}}}
status: {replicas: 2, readyReplicas: 1, versions: [{version: v1.36.0, replicas: 2}]}");
    assert_eq!((pool.version.as_deref(), pool.ready), (Some("v1.36.1"), Some(1)));
    assert_eq!(pool.versions, Some(vec!["v1.36.0".into()]));
}
