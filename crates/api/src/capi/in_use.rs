//! What objects of Cluster API tell of the versions and images that they use, read live before a machine image is deleted.
//!
//! Both versions of the API at once, and of each kind every field that can name a version: one that is overlooked would have
//! an image deleted that is in use.

use domain::object::{Kind, Meta, Row, WireMeta, null_is_default};
use serde::Deserialize;
use serde_json::Value;

use super::cluster::ControlPlaneRef;
use super::cluster::wire::{RefWire, VariableWire};
use crate::wire::filled;

/// `MachineDeployment`.
pub const MACHINE_DEPLOYMENT: Kind = super::kind("MachineDeployment", "machinedeployments");
/// Machine.
pub const MACHINE: Kind = super::kind("Machine", "machines");

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct VersionWire {
    #[serde(deserialize_with = "filled")]
    version: Option<Box<str>>,
}

fn told(list: Vec<VersionWire>) -> impl Iterator<Item = Box<str>> {
    list.into_iter().filter_map(|entry| entry.version)
}

/// The versions of a control plane, `MachineDeployment`, `MachinePool` or Machine, as read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct MachinesWire {
    #[serde(deserialize_with = "null_is_default")]
    spec: MachinesSpec,
    #[serde(deserialize_with = "null_is_default")]
    status: MachinesStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct MachinesSpec {
    /// Of a control plane or Machine.
    #[serde(deserialize_with = "filled")]
    version: Option<Box<str>>,
    /// Of a `MachineDeployment` or `MachinePool`.
    #[serde(deserialize_with = "null_is_default")]
    template: Template,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Template {
    #[serde(deserialize_with = "null_is_default")]
    spec: VersionWire,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct MachinesStatus {
    #[serde(deserialize_with = "filled")]
    version: Option<Box<str>>,
    #[serde(deserialize_with = "null_is_default")]
    versions: Vec<VersionWire>,
    #[serde(deserialize_with = "null_is_default")]
    node_info: NodeInfo,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NodeInfo {
    #[serde(deserialize_with = "filled")]
    kubelet_version: Option<Box<str>>,
}

/// The versions that a control plane, `MachineDeployment`, `MachinePool` or Machine wants or runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MachinesInUse {
    /// Identity.
    pub meta: Meta,
    /// Why it could not be read; nothing can then be said of its versions.
    pub malformed: Option<Box<str>>,
    /// As written, in no order.
    pub versions: Vec<Box<str>>,
}

impl Row for MachinesInUse {
    type Wire = MachinesWire;

    fn from_wire(meta: &WireMeta, wire: MachinesWire) -> Self {
        let MachinesWire { spec, status } = wire;
        let single =
            [spec.version, spec.template.spec.version, status.version, status.node_info.kubelet_version];
        let versions = single.into_iter().flatten().chain(told(status.versions)).collect();
        Self { meta: meta.meta(), malformed: None, versions }
    }

    fn malformed(meta: &WireMeta, error: &str) -> Self {
        Self { meta: meta.meta(), malformed: Some(error.into()), ..Self::default() }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

/// What a Cluster uses, as read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ClusterWire {
    #[serde(deserialize_with = "null_is_default")]
    spec: ClusterSpec,
    #[serde(deserialize_with = "null_is_default")]
    status: ClusterStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ClusterSpec {
    control_plane_ref: Option<RefWire>,
    #[serde(deserialize_with = "null_is_default")]
    topology: TopologyWire,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct TopologyWire {
    #[serde(deserialize_with = "filled")]
    version: Option<Box<str>>,
    #[serde(deserialize_with = "null_is_default")]
    variables: Vec<VariableWire>,
    #[serde(deserialize_with = "null_is_default")]
    control_plane: GroupWire,
    #[serde(deserialize_with = "null_is_default")]
    workers: WorkersWire,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct GroupWire {
    #[serde(deserialize_with = "null_is_default")]
    variables: OverridesWire,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct OverridesWire {
    #[serde(deserialize_with = "null_is_default")]
    overrides: Vec<VariableWire>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WorkersWire {
    #[serde(deserialize_with = "null_is_default")]
    machine_deployments: Vec<GroupWire>,
    #[serde(deserialize_with = "null_is_default")]
    machine_pools: Vec<GroupWire>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ClusterStatus {
    #[serde(deserialize_with = "null_is_default")]
    control_plane: HalfWire,
    #[serde(deserialize_with = "null_is_default")]
    workers: HalfWire,
    /// The newer status, within v1beta1.
    #[serde(deserialize_with = "null_is_default")]
    v1beta2: NewerWire,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NewerWire {
    #[serde(deserialize_with = "null_is_default")]
    control_plane: HalfWire,
    #[serde(deserialize_with = "null_is_default")]
    workers: HalfWire,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct HalfWire {
    #[serde(deserialize_with = "null_is_default")]
    versions: Vec<VersionWire>,
    #[serde(deserialize_with = "null_is_default")]
    upgrade_plan: Vec<VersionWire>,
}

/// What a Cluster wants, runs, or has yet to go through.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterInUse {
    /// Identity.
    pub meta: Meta,
    /// Why it could not be read; nothing can then be said of what it uses.
    pub malformed: Option<Box<str>>,
    /// The versions as written, in no order.
    pub versions: Vec<Box<str>>,
    /// Each variable of its topology with its value, overrides of groups included.
    pub variables: Vec<(Box<str>, Value)>,
    /// The control plane object.
    pub control_plane_ref: Option<ControlPlaneRef>,
}

impl Row for ClusterInUse {
    type Wire = ClusterWire;

    fn from_wire(meta: &WireMeta, wire: ClusterWire) -> Self {
        let ClusterWire { spec: ClusterSpec { control_plane_ref, topology }, status } = wire;
        let halves =
            [status.control_plane, status.workers, status.v1beta2.control_plane, status.v1beta2.workers];
        let reported = halves.into_iter().flat_map(|half| told(half.versions).chain(told(half.upgrade_plan)));
        let WorkersWire { machine_deployments, machine_pools } = topology.workers;
        let groups = machine_deployments.into_iter().chain(machine_pools).chain([topology.control_plane]);
        let overrides = groups.flat_map(|group| group.variables.overrides);
        let variables = topology.variables.into_iter().chain(overrides);
        Self {
            meta: meta.meta(),
            malformed: None,
            versions: topology.version.into_iter().chain(reported).collect(),
            variables: variables.map(|VariableWire { name, value }| (name, value)).collect(),
            control_plane_ref: control_plane_ref.and_then(RefWire::read),
        }
    }

    fn malformed(meta: &WireMeta, error: &str) -> Self {
        Self { meta: meta.meta(), malformed: Some(error.into()), ..Self::default() }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::row;

    fn sorted(mut versions: Vec<Box<str>>) -> Vec<Box<str>> {
        versions.sort();
        versions
    }

    #[test]
    fn every_field_of_a_cluster_that_names_a_version_or_an_image_counts() {
        let overrides =
            |value: &str| format!("{{variables: {{overrides: [{{name: image, value: {value}}}]}}}}");
        let cluster: ClusterInUse = row(&format!(
            "
metadata: {{namespace: ns, name: c}}
spec:
  controlPlaneRef: {{apiGroup: controlplane.cluster.x-k8s.io, kind: KubeadmControlPlane, name: c-cp}}
  topology:
    version: v1.36.1
    variables: [{{name: image, value: {{v1.36.1: ami-1}}}}, {{name: replicas, value: 3}}, {{name: empty}}]
    controlPlane: {}
    workers: {{machineDeployments: [{}], machinePools: [{}]}}
status:
  controlPlane: {{versions: [{{version: v1.36.0, replicas: 1}}], upgradePlan: [{{version: v1.37.0}}]}}
  workers: {{versions: [{{version: v1.35.0}}, {{version: ''}}], upgradePlan: null}}",
            overrides("ami-2"),
            overrides("ami-3"),
            overrides("ami-4")
        ));
        assert_eq!(sorted(cluster.versions), ["v1.35.0", "v1.36.0", "v1.36.1", "v1.37.0"].map(Box::from));
        let values: Vec<String> = cluster.variables.iter().map(|(_, value)| value.to_string()).collect();
        assert_eq!(values, [r#"{"v1.36.1":"ami-1"}"#, "3", "null", r#""ami-3""#, r#""ami-4""#, r#""ami-2""#]);
        assert_eq!(cluster.control_plane_ref.unwrap().kind.as_ref(), "KubeadmControlPlane");
    }

    #[test]
    fn a_cluster_of_v1beta1_and_one_without_a_class() {
        let older: ClusterInUse = row("
metadata: {name: c}
spec: {controlPlaneRef: {apiVersion: controlplane.cluster.x-k8s.io/v1beta1, kind: K, name: cp}, topology: {class: q, version: 1.35.2}}
status: {v1beta2: {workers: {versions: [{version: v1.35.1}]}}}");
        assert_eq!(sorted(older.versions), ["1.35.2", "v1.35.1"].map(Box::from));
        assert_eq!(older.control_plane_ref.unwrap().group.as_ref(), "controlplane.cluster.x-k8s.io");
        let bare: ClusterInUse = row("metadata: {name: c}\nspec: {topology: null}\nstatus: null");
        assert_eq!((bare.malformed, bare.versions.len(), bare.control_plane_ref), (None, 0, None));
        let torn: ClusterInUse = row("metadata: {name: c}\nspec: {topology: 7}");
        assert!(torn.malformed.is_some());
    }

    #[test]
    fn every_field_of_machines_that_names_a_version_counts() {
        for (yaml, versions) in [
            ("spec: {version: v1.36.1}\nstatus: {version: v1.36.0}", vec!["v1.36.0", "v1.36.1"]),
            ("spec: {template: {spec: {version: v1.36.1}}}", vec!["v1.36.1"]),
            (
                "status: {versions: [{version: v1.35.0, replicas: 1}, {version: v1.36.0}]}",
                vec!["v1.35.0", "v1.36.0"],
            ),
            (
                "spec: {version: v1.36.1}\nstatus: {nodeInfo: {kubeletVersion: v1.36.0}}",
                vec!["v1.36.0", "v1.36.1"],
            ),
            ("spec: {}\nstatus: null", vec![]),
        ] {
            let machines: MachinesInUse = row(&format!("metadata: {{name: m}}\n{yaml}"));
            let expected: Vec<Box<str>> = versions.into_iter().map(Box::from).collect();
            assert_eq!((machines.malformed, sorted(machines.versions)), (None, expected), "{yaml}");
        }
        let torn: MachinesInUse = row("metadata: {name: m}\nspec: {version: 7}");
        assert!(torn.malformed.is_some());
    }
}
