//! `v1` Node: which it is, whether it may be disrupted, and whether it has rebooted.

use domain::condition::Status;
use domain::object::{Kind, Meta, Row, WireMeta, null_is_default};
use jiff::Timestamp;
use serde::Deserialize;

use crate::kairos::cordon::CordonOwner;
use crate::kairos::{CONTROL_PLANE_LABELS, CORDONED_BY_ANNOTATION};
use crate::selector::Labels;

/// The kind. Cluster-scoped.
pub const KIND: Kind = Kind { group: "", versions: &["v1"], kind: "Node", plural: "nodes" };

/// A Node as read.
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
    unschedulable: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct StatusWire {
    #[serde(deserialize_with = "null_is_default")]
    node_info: NodeInfoWire,
    #[serde(deserialize_with = "null_is_default")]
    conditions: Vec<ConditionWire>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct NodeInfoWire {
    #[serde(rename = "bootID")]
    boot_id: Option<Box<str>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ConditionWire {
    #[serde(rename = "type")]
    type_: Box<str>,
    status: Box<str>,
    reason: Option<Box<str>>,
    last_transition_time: Option<Timestamp>,
}

/// The condition Ready, without its message and heartbeat, which change when nothing that matters does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Whether the node is ready. Unknown: its kubelet does not tell.
    pub status: Status,
    /// CamelCase reason, may be empty.
    pub reason: Box<str>,
    /// Since when.
    pub since: Option<Timestamp>,
}

/// What is kept of a Node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeRow {
    /// Identity.
    pub meta: Meta,
    /// Why the Node could not be read; of the fields below, those that are not metadata are then empty.
    pub malformed: Option<Box<str>>,
    /// All labels: a selector may ask for any.
    pub labels: Labels,
    /// `spec.unschedulable`.
    pub unschedulable: bool,
    /// The annotation [`CORDONED_BY_ANNOTATION`], as written.
    pub cordoned_by: Option<Box<str>>,
    /// The condition Ready; absent for a Node whose kubelet has not told yet.
    pub ready: Option<Ready>,
    /// `status.nodeInfo.bootID`: new after each boot.
    pub boot_id: Option<Box<str>>,
}

impl NodeRow {
    /// Whether the condition Ready is true.
    pub fn is_ready(&self) -> bool {
        self.ready.as_ref().is_some_and(|ready| ready.status == Status::True)
    }

    /// Whether a label says that it is of the control plane.
    pub fn is_control_plane(&self) -> bool {
        CONTROL_PLANE_LABELS.iter().any(|label| self.labels.contains_key(*label))
    }

    /// The NodeOp whose the cordon is; `None` where nobody says that it is theirs.
    pub fn cordon_owner(&self) -> Option<CordonOwner> {
        self.cordoned_by.as_deref().and_then(CordonOwner::read)
    }

    fn of_meta(meta: &WireMeta) -> Self {
        Self {
            meta: meta.meta(),
            labels: meta.labels.clone(),
            cordoned_by: meta.annotation(CORDONED_BY_ANNOTATION).map(Box::from),
            ..Self::default()
        }
    }
}

impl Row for NodeRow {
    type Wire = Wire;

    fn from_wire(meta: &WireMeta, wire: Wire) -> Self {
        let Wire { spec, status } = wire;
        let ready = status.conditions.into_iter().find(|condition| *condition.type_ == *"Ready");
        Self {
            unschedulable: spec.unschedulable.unwrap_or_default(),
            ready: ready.map(|condition| Ready {
                status: match condition.status.as_ref() {
                    "True" => Status::True,
                    "False" => Status::False,
                    _ => Status::Unknown,
                },
                reason: condition.reason.unwrap_or_default(),
                since: condition.last_transition_time,
            }),
            boot_id: status.node_info.boot_id.filter(|id| !id.is_empty()),
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
    fn a_node_that_was_cordoned_and_has_gone_down() {
        let row: NodeRow = row("
metadata:
  name: node-2
  labels: {kubernetes.io/hostname: node-2, node-role.kubernetes.io/master: ''}
  annotations: {operator.kairos.io/cordoned-by: ns/op@u1}
  deletionTimestamp: '2026-11-21T10:00:00Z'
spec: {unschedulable: true, podCIDR: 10.0.0.0/24, taints: [{key: a, effect: NoSchedule}]}
status:
  nodeInfo: {bootID: 4c07, kernelVersion: '6.1'}
  conditions:
  - {type: MemoryPressure, status: 'True'}
  - {type: Ready, status: Unknown, reason: NodeStatusUnknown, message: silent, lastHeartbeatTime: '2026-11-21T09:00:00Z', lastTransitionTime: '2026-11-21T09:01:00Z'}");
        assert_eq!((row.malformed.as_deref(), row.unschedulable, row.meta.deleting), (None, true, true));
        let ready = row.ready.clone().unwrap();
        assert_eq!(
            (ready.status, &*ready.reason, ready.since),
            (Status::Unknown, "NodeStatusUnknown", "2026-11-21T09:01:00Z".parse().ok())
        );
        assert!(!row.is_ready() && row.is_control_plane());
        assert_eq!(row.boot_id.as_deref(), Some("4c07"));
        assert_eq!(row.cordon_owner().unwrap().to_string(), "ns/op@u1");
        assert_eq!(row.labels.len(), 2);
    }

    #[test]
    fn a_node_of_which_nothing_is_told_yet() {
        let row: NodeRow = row(
            "metadata: {name: new, annotations: {operator.kairos.io/cordoned-by: me}}\nspec: null\nstatus: {nodeInfo: {bootID: ''}, conditions: null}",
        );
        assert!(!row.unschedulable && !row.is_ready() && !row.is_control_plane());
        assert_eq!((row.ready.clone(), row.boot_id.clone(), row.cordon_owner()), (None, None, None));
        assert_eq!(row.cordoned_by.as_deref(), Some("me"), "somebody's, and so not ours");
    }

    #[test]
    fn a_node_that_cannot_be_read_keeps_its_labels() {
        let row: NodeRow = row("metadata: {name: odd, labels: {a: b}}\nspec: {unschedulable: maybe}");
        assert!(row.malformed.is_some() && row.labels.len() == 1);
    }

    #[test]
    fn a_heartbeat_changes_nothing_that_is_kept() {
        let at = |time: &str| {
            row::<NodeRow>(&format!(
                "metadata: {{name: node-1}}\nstatus: {{conditions: [{{type: Ready, status: 'True', lastHeartbeatTime: '{time}'}}]}}"
            ))
        };
        assert_eq!(at("2026-11-21T09:00:00Z"), at("2026-11-21T09:05:00Z"));
    }
}
