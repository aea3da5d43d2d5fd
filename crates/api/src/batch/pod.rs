//! `v1` Pod of a Job: read live once, for the termination message of its container. Pods are not watched.

use domain::object::{Kind, Meta, Row, WireMeta, null_is_default};
use serde::Deserialize;

use crate::pod_template::PodSpec;

/// The kind.
pub const KIND: Kind = Kind { group: "", versions: &["v1"], kind: "Pod", plural: "pods" };
/// Label that the Job controller sets on its pods: uid of the Job.
pub const CONTROLLER_UID_LABEL: &str = "batch.kubernetes.io/controller-uid";
/// Phase of a pod whose containers have all succeeded.
pub const SUCCEEDED: &str = "Succeeded";

/// A pod as read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wire {
    #[serde(deserialize_with = "null_is_default")]
    spec: PodSpec,
    #[serde(deserialize_with = "null_is_default")]
    status: StatusWire,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct StatusWire {
    phase: Option<Box<str>>,
    #[serde(deserialize_with = "null_is_default")]
    container_statuses: Vec<ContainerWire>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ContainerWire {
    name: Box<str>,
    #[serde(deserialize_with = "null_is_default")]
    state: StateWire,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct StateWire {
    terminated: Option<TerminatedWire>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct TerminatedWire {
    exit_code: i32,
    message: Option<Box<str>>,
}

/// A container that has ended; init containers are not among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terminated {
    /// Name of the container.
    pub container: Box<str>,
    /// Its exit code.
    pub exit_code: i32,
    /// What it left in its termination message file; empty where nothing.
    pub message: Box<str>,
}

/// How a pod ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodTermination {
    /// Identity.
    pub meta: Meta,
    /// Why the pod could not be read; the fields below are then empty.
    pub malformed: Option<Box<str>>,
    /// Uid of the owner that manages it: a Job's pods by that, never by name.
    pub owner_uid: Option<Box<str>>,
    /// The label [`CONTROLLER_UID_LABEL`].
    pub controller_uid: Option<Box<str>>,
    /// `status.phase`.
    pub phase: Box<str>,
    /// Containers of the pod, init containers not counted.
    pub containers: usize,
    /// The containers that have ended.
    pub terminated: Vec<Terminated>,
}

impl Row for PodTermination {
    type Wire = Wire;

    fn from_wire(meta: &WireMeta, wire: Wire) -> Self {
        let ended = |container: ContainerWire| {
            let terminated = container.state.terminated?;
            Some(Terminated {
                container: container.name,
                exit_code: terminated.exit_code,
                message: terminated.message.unwrap_or_default(),
            })
        };
        Self {
            containers: wire.spec.count().main,
            phase: wire.status.phase.unwrap_or_default(),
            terminated: wire.status.container_statuses.into_iter().filter_map(ended).collect(),
            ..Self::of_meta(meta)
        }
    }

    fn malformed(meta: &WireMeta, error: &str) -> Self {
        Self { malformed: Some(error.into()), ..Self::of_meta(meta) }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

impl PodTermination {
    fn of_meta(meta: &WireMeta) -> Self {
        Self {
            meta: meta.meta(),
            owner_uid: meta.controller().map(|owner| owner.uid.clone()),
            controller_uid: meta.label(CONTROLLER_UID_LABEL).map(Box::from),
            ..Self::default()
        }
    }
}
