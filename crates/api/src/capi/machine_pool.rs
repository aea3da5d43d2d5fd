//! `MachinePool`, read live: it does not count into a Cluster's `RollingOut`, and its `upToDateReplicas` cannot be relied on.

use domain::object::{Kind, Meta, Row, WireMeta, null_is_default};
use serde::Deserialize;

use crate::wire::{filled, text};

/// The kind.
pub const KIND: Kind = super::kind("MachinePool", "machinepools");
/// Label on a `MachinePool` of a topology: its name there.
pub const POOL_NAME_LABEL: &str = "topology.cluster.x-k8s.io/pool-name";

/// A pool as read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wire {
    #[serde(deserialize_with = "null_is_default")]
    spec: SpecWire,
    #[serde(deserialize_with = "null_is_default")]
    status: StatusWire,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct SpecWire {
    replicas: Option<i32>,
    #[serde(deserialize_with = "null_is_default")]
    template: TemplateWire,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct TemplateWire {
    #[serde(deserialize_with = "null_is_default")]
    spec: VersionWire,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct VersionWire {
    #[serde(deserialize_with = "filled")]
    version: Option<Box<str>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct StatusWire {
    observed_generation: Option<i64>,
    replicas: Option<i32>,
    ready_replicas: Option<i32>,
    versions: Option<Vec<SeenWire>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct SeenWire {
    #[serde(deserialize_with = "text")]
    version: Box<str>,
}

/// How far a pool is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MachinePool {
    /// Identity.
    pub meta: Meta,
    /// Why it could not be read; the fields below are then empty.
    pub malformed: Option<Box<str>>,
    /// The version wanted.
    pub version: Option<Box<str>>,
    /// Generation that its status speaks of.
    pub observed_generation: Option<i64>,
    /// Machines wanted.
    pub desired: Option<i32>,
    /// Machines there.
    pub replicas: Option<i32>,
    /// Machines that are ready.
    pub ready: Option<i32>,
    /// The versions that its machines report, oldest first (Cluster API ≥ 1.14); `None` where not told.
    pub versions: Option<Vec<Box<str>>>,
}

impl Row for MachinePool {
    type Wire = Wire;

    fn from_wire(meta: &WireMeta, wire: Wire) -> Self {
        let Wire { spec, status } = wire;
        let versions = |list: Vec<SeenWire>| list.into_iter().map(|entry| entry.version).collect();
        Self {
            meta: meta.meta(),
            malformed: None,
            version: spec.template.spec.version,
            observed_generation: status.observed_generation,
            desired: spec.replicas,
            replicas: status.replicas,
            ready: status.ready_replicas,
            versions: status.versions.map(versions),
        }
    }

    fn malformed(meta: &WireMeta, error: &str) -> Self {
        Self { meta: meta.meta(), malformed: Some(error.into()), ..Self::default() }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }
}
