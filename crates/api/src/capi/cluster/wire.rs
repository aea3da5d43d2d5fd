//! The fields that are read of a Cluster, of both versions at once.

use domain::object::null_is_default;
use serde::Deserialize;
use serde_json::Value;

use super::{Class, ClusterRow, ControlPlaneRef, Group, Override, Progress, Topology, Variables};
use crate::capi::{ConditionWire, told};
use crate::wire::{filled, text};

/// A Cluster as read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wire {
    #[serde(deserialize_with = "null_is_default")]
    spec: SpecWire,
    #[serde(deserialize_with = "null_is_default")]
    status: StatusWire,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SpecWire {
    paused: Option<bool>,
    control_plane_ref: Option<RefWire>,
    topology: Option<TopologyWire>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::capi) struct RefWire {
    /// v1beta2.
    #[serde(deserialize_with = "filled")]
    api_group: Option<Box<str>>,
    /// v1beta1.
    #[serde(deserialize_with = "text")]
    api_version: Box<str>,
    #[serde(deserialize_with = "text")]
    kind: Box<str>,
    #[serde(deserialize_with = "text")]
    name: Box<str>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct TopologyWire {
    /// v1beta1.
    #[serde(deserialize_with = "filled")]
    class: Option<Box<str>>,
    /// v1beta1.
    #[serde(deserialize_with = "filled")]
    class_namespace: Option<Box<str>>,
    /// v1beta2.
    class_ref: Option<ClassRefWire>,
    #[serde(deserialize_with = "text")]
    version: Box<str>,
    variables: Option<Vec<VariableWire>>,
    #[serde(deserialize_with = "null_is_default")]
    control_plane: GroupWire,
    #[serde(deserialize_with = "null_is_default")]
    workers: WorkersWire,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ClassRefWire {
    #[serde(deserialize_with = "text")]
    name: Box<str>,
    #[serde(deserialize_with = "filled")]
    namespace: Option<Box<str>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::capi) struct VariableWire {
    #[serde(deserialize_with = "text")]
    pub(in crate::capi) name: Box<str>,
    pub(in crate::capi) value: Value,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct GroupWire {
    #[serde(deserialize_with = "text")]
    name: Box<str>,
    #[serde(deserialize_with = "null_is_default")]
    variables: OverridesWire,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct OverridesWire {
    #[serde(deserialize_with = "null_is_default")]
    overrides: Vec<NameWire>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct NameWire {
    #[serde(deserialize_with = "text")]
    name: Box<str>,
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
struct StatusWire {
    phase: Option<Box<str>>,
    #[serde(deserialize_with = "null_is_default")]
    conditions: Vec<ConditionWire>,
    control_plane: Option<HalfWire>,
    workers: Option<HalfWire>,
    #[serde(deserialize_with = "null_is_default")]
    initialization: InitializationWire,
    /// The newer status, within v1beta1.
    v1beta2: Option<NewerWire>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NewerWire {
    #[serde(deserialize_with = "null_is_default")]
    conditions: Vec<ConditionWire>,
    control_plane: Option<HalfWire>,
    workers: Option<HalfWire>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct InitializationWire {
    control_plane_initialized: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct HalfWire {
    desired_replicas: Option<i32>,
    replicas: Option<i32>,
    up_to_date_replicas: Option<i32>,
    versions: Option<Vec<VersionWire>>,
    #[serde(deserialize_with = "null_is_default")]
    upgrade_plan: Vec<VersionWire>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct VersionWire {
    #[serde(deserialize_with = "text")]
    version: Box<str>,
}

impl Wire {
    /// Puts what was read into a row that has its metadata already.
    pub(super) fn fill(self, mut row: ClusterRow) -> ClusterRow {
        let Self { spec, status } = self;
        row.paused |= spec.paused.unwrap_or_default();
        row.control_plane_ref = spec.control_plane_ref.and_then(RefWire::read);
        row.topology = spec.topology.map(|topology| topology.read(&row.meta.key.namespace));
        row.phase = status.phase;

        // v1beta1 keeps the older conditions where v1beta2 has the newer ones, and the newer ones one level deeper.
        let (newer, control_plane, workers) = match status.v1beta2 {
            Some(newer) => (newer.conditions, newer.control_plane, newer.workers),
            None => (Vec::new(), status.control_plane, status.workers),
        };
        let either = |type_| told(&newer, type_).or_else(|| told(&status.conditions, type_));
        row.rolling_out = either("RollingOut").map(|condition| condition.status);
        row.topology_reconciled = either("TopologyReconciled");
        row.has_new_conditions = row.rolling_out.is_some() || either("Available").is_some();
        row.control_plane_initialized = status.initialization.control_plane_initialized == Some(true)
            || either("ControlPlaneInitialized")
                .is_some_and(|condition| condition.status == domain::condition::Status::True);
        row.control_plane = control_plane.map(HalfWire::read).unwrap_or_default();
        row.workers = workers.map(HalfWire::read).unwrap_or_default();
        row
    }
}

impl RefWire {
    pub(in crate::capi) fn read(self) -> Option<ControlPlaneRef> {
        let of_version =
            || self.api_version.split_once('/').map(|(group, _)| group.into()).unwrap_or_default();
        let group = self.api_group.unwrap_or_else(of_version);
        (!self.name.is_empty()).then_some(ControlPlaneRef { group, kind: self.kind, name: self.name })
    }
}

impl TopologyWire {
    fn read(self, namespace: &str) -> Topology {
        let (name, class_namespace) = match self.class_ref {
            Some(class) => (Some(class.name).filter(|name| !name.is_empty()), class.namespace),
            None => (self.class, self.class_namespace),
        };
        let class_namespace = class_namespace.filter(|other| **other != *namespace);
        let mut overrides = Vec::new();
        let mut put = |group: Group, of: OverridesWire| {
            overrides.extend(
                of.overrides
                    .into_iter()
                    .map(|NameWire { name }| Override { group: group.clone(), variable: name }),
            );
        };
        let WorkersWire { machine_deployments, machine_pools } = self.workers;
        let counts = (machine_deployments.len(), machine_pools.len());
        put(Group::ControlPlane, self.control_plane.variables);
        for group in machine_deployments {
            put(Group::MachineDeployment(group.name), group.variables);
        }
        for group in machine_pools {
            put(Group::MachinePool(group.name), group.variables);
        }
        let variables = |list: Vec<VariableWire>| -> Variables {
            list.into_iter().map(|VariableWire { name, value }| (name, value)).collect()
        };
        Topology {
            class: name.map(|name| Class { name, namespace: class_namespace }),
            version: self.version,
            variables: self.variables.map(variables),
            overrides: overrides.into(),
            machine_deployments: counts.0,
            machine_pools: counts.1,
        }
    }
}

impl HalfWire {
    fn read(self) -> Progress {
        let versions = |list: Vec<VersionWire>| list.into_iter().map(|entry| entry.version).collect();
        Progress {
            desired: self.desired_replicas,
            replicas: self.replicas,
            up_to_date: self.up_to_date_replicas,
            versions: self.versions.map(versions),
            upgrade_plan: versions(self.upgrade_plan),
        }
    }
}
