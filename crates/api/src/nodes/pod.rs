//! `v1` Pod on a node that is drained: read live, and not watched.

use domain::object::{Meta, Row, WireMeta, null_is_default};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::kairos::{NODE_OP_LABEL, REBOOT_LABEL};
use crate::selector::Labels;

pub use crate::batch::pod::KIND;

/// Annotation by which the kubelet marks the mirror of a static pod, which no request removes.
pub const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";

/// A pod as read.
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
    #[serde(deserialize_with = "null_is_default")]
    volumes: Vec<VolumeWire>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct VolumeWire {
    empty_dir: Option<IgnoredAny>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct StatusWire {
    phase: Option<Box<str>>,
    #[serde(deserialize_with = "null_is_default")]
    conditions: Vec<ConditionWire>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ConditionWire {
    #[serde(rename = "type")]
    type_: Box<str>,
    status: Box<str>,
}

/// What a drain must know of a pod.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct NodePodRow {
    /// Identity.
    pub meta: Meta,
    /// Why the pod could not be read; what is not metadata is then empty.
    pub malformed: Option<Box<str>>,
    /// All labels: a disruption budget may ask for any.
    pub labels: Labels,
    /// It has an owner that manages it.
    pub owned: bool,
    /// One of its owners is a DaemonSet.
    pub daemon: bool,
    /// It mirrors a static pod.
    pub mirror: bool,
    /// By when it should have left, its grace included; set once its deletion was asked for.
    pub leaving_by: Option<Timestamp>,
    /// It has a volume of type emptyDir.
    pub empty_dir: bool,
    /// It has [`REBOOT_LABEL`], with whatever value.
    pub reboots: bool,
    /// The label [`NODE_OP_LABEL`].
    pub node_op_label: Option<Box<str>>,
    /// `status.phase`.
    pub phase: Box<str>,
    /// Its condition Ready is true.
    pub ready: bool,
}

impl NodePodRow {
    fn of_meta(meta: &WireMeta) -> Self {
        Self {
            meta: meta.meta(),
            labels: meta.labels.clone(),
            owned: meta.controller().is_some(),
            daemon: meta.owner_references.iter().any(|owner| *owner.kind == *"DaemonSet"),
            mirror: meta.annotation(MIRROR_ANNOTATION).is_some(),
            leaving_by: meta.deletion_timestamp,
            reboots: meta.label(REBOOT_LABEL).is_some(),
            node_op_label: meta.label(NODE_OP_LABEL).map(Box::from),
            ..Self::default()
        }
    }
}

impl Row for NodePodRow {
    type Wire = Wire;

    fn from_wire(meta: &WireMeta, wire: Wire) -> Self {
        let Wire { spec, status } = wire;
        let ready = |condition: &ConditionWire| *condition.type_ == *"Ready" && *condition.status == *"True";
        Self {
            empty_dir: spec.volumes.iter().any(|volume| volume.empty_dir.is_some()),
            phase: status.phase.unwrap_or_default(),
            ready: status.conditions.iter().any(ready),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::row;

    #[test]
    fn a_pod_that_leaves_with_data_of_its_own() {
        let row: NodePodRow = row("
metadata:
  name: web-1
  namespace: shop
  labels: {app: web, kairos.io/nodeop: op}
  deletionTimestamp: '2026-11-22T10:00:30Z'
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web, uid: u, controller: true}]
spec: {volumes: [{name: a, secret: {}}, {name: b, emptyDir: {}}]}
status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}");
        assert_eq!((row.malformed.as_deref(), &*row.phase), (None, "Running"));
        assert!(row.owned && row.empty_dir && row.ready && !row.daemon && !row.mirror && !row.reboots);
        assert_eq!(row.leaving_by, "2026-11-22T10:00:30Z".parse().ok());
        assert_eq!((row.labels.len(), row.node_op_label.as_deref()), (2, Some("op")));
    }

    #[test]
    fn what_no_drain_removes_is_known_by_its_metadata() {
        let row: NodePodRow = row("
metadata:
  name: p
  annotations: {kubernetes.io/config.mirror: abc}
  labels: {kairos.io/reboot: ''}
  ownerReferences: [{apiVersion: apps/v1, kind: DaemonSet, name: d, uid: u}]
spec: 7");
        assert!(row.malformed.is_some());
        assert!(row.mirror && row.daemon && row.reboots && !row.owned && !row.empty_dir);
    }
}
