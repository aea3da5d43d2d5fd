//! A control plane object of any kind, read live through `spec.controlPlaneRef`: for Clusters whose status has no counters.

use domain::object::{Meta, Row, WireMeta, null_is_default};
use serde::Deserialize;

use crate::wire::filled;

/// A control plane as read: the fields of the control plane contract.
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
    #[serde(deserialize_with = "filled")]
    version: Option<Box<str>>,
    replicas: Option<i32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct StatusWire {
    #[serde(deserialize_with = "filled")]
    version: Option<Box<str>>,
    observed_generation: Option<i64>,
    replicas: Option<i32>,
    up_to_date_replicas: Option<i32>,
    /// The name in v1beta1.
    updated_replicas: Option<i32>,
}

/// How far a control plane is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ControlPlane {
    /// Identity.
    pub meta: Meta,
    /// Why it could not be read; the fields below are then empty.
    pub malformed: Option<Box<str>>,
    /// The version wanted.
    pub version: Option<Box<str>>,
    /// The lowest version that runs; some providers do not tell.
    pub status_version: Option<Box<str>>,
    /// Generation that its status speaks of.
    pub observed_generation: Option<i64>,
    /// Machines wanted; `None` for control planes without machines.
    pub desired: Option<i32>,
    /// Machines there.
    pub replicas: Option<i32>,
    /// Machines that are as the spec has them.
    pub up_to_date: Option<i32>,
}

impl Row for ControlPlane {
    type Wire = Wire;

    fn from_wire(meta: &WireMeta, wire: Wire) -> Self {
        let Wire { spec, status } = wire;
        Self {
            meta: meta.meta(),
            malformed: None,
            version: spec.version,
            status_version: status.version,
            observed_generation: status.observed_generation,
            desired: spec.replicas,
            replicas: status.replicas,
            up_to_date: status.up_to_date_replicas.or(status.updated_replicas),
        }
    }

    fn malformed(meta: &WireMeta, error: &str) -> Self {
        Self { meta: meta.meta(), malformed: Some(error.into()), ..Self::default() }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }
}
