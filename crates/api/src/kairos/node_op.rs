//! `NodeOp`: a command that is run once on every node that is selected, with cordon, drain and reboot around it.

use std::collections::BTreeMap;

use domain::object::{Kind, Meta, Row, WireMeta, null_is_default};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::node_status::{Counts, NodeRecords, NodeStatuses, WaitingNode};
use super::pod_settings::{LocalObjectReference, Resources};
use super::{OperationPhase, status_schema};
use crate::schema::{self, Conditions};
use crate::selector::LabelSelector;
use crate::wire::{Own, Written, filled, lenient};

pub use self::reason::Reason;

mod reason;
mod row;

pub use self::row::{Drain, NodeOpRow, Preflight};

/// The kind.
pub const KIND: Kind = super::kind("NodeOp", "nodeops");
/// Index: uid of the NodeOpUpgrade that owns the NodeOp.
pub const OWNER_INDEX: &str = "owner";
/// The reason of `UpToDate=True`.
pub const DONE: &str = "AllNodesDone";
/// The reason of `UpToDate=True` where there was nothing to do: no node is selected.
pub const NO_NODE_SELECTED: &str = "NoNodeSelected";

/// What is run, where and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// Labels of the nodes that the command is run on; absent or empty means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_selector: Option<LabelSelector>,
    /// What is run: a program and its arguments, in the place of the image's own.
    pub command: Vec<Box<str>>,
    /// Where the node's / is mounted in the container; HOST_DIR tells it to the command.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "filled")]
    #[schemars(extend("x-default" = super::DEFAULT_HOST_MOUNT_PATH))]
    pub host_mount_path: Option<Box<str>>,
    /// The image that the command is run in. Absent: the manager's default, busybox:latest if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "filled")]
    pub image: Option<Box<str>>,
    /// Secrets that the images are pulled with.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// Cordons a node before the command is run, and uncordons it afterwards, if it was not cordoned before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = false))]
    pub cordon: Option<bool>,
    /// Uncordons a node on which the operation has failed, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = false))]
    pub uncordon_on_failure: Option<bool>,
    /// How a node is drained before the command is run; only where cordon is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain_options: Option<DrainOptions>,
    /// Reboots a node after the command has succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = false))]
    pub reboot_on_success: Option<bool>,
    /// How often a command that fails is run again on a node. 6 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff_limit: Option<i32>,
    /// How many nodes may be at work at a time, preflight and reboot included. 0 means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0), extend("x-default" = 0))]
    pub concurrency: Option<i32>,
    /// Starts no other node once the operation has failed on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = false))]
    pub stop_on_failure: Option<bool>,
    /// A command that says of each node, before it is cordoned, whether there is anything to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preflight: Option<PreflightSpec>,
    /// Resources of the command's container. Absent: none are asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Resources of the preflight's container. Absent: the manager's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preflight_resources: Option<Resources>,
    /// Resources of the reboot pod's container, and of that which tells the boot ID after the command. Absent: the manager's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reboot_resources: Option<Resources>,
}

/// How a node is drained.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrainOptions {
    /// Drains the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = false))]
    pub enabled: Option<bool>,
    /// Evicts pods without a controller as well, which nothing makes anew; otherwise they stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = false))]
    pub force: Option<bool>,
    /// Seconds that a pod has to end. Absent or negative: its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_period_seconds: Option<i32>,
    /// Leaves the pods of DaemonSets where they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = true))]
    pub ignore_daemon_sets: Option<bool>,
    /// Whether pods may lose what they hold in emptyDir volumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = false))]
    pub delete_empty_dir_data: Option<bool>,
    /// Seconds after which a drain that is not over has failed. Absent: the manager's own limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<i32>,
}

/// A command that says whether there is anything to do on a node: what it writes to its termination log has the node
/// skipped, and with nothing in it the operation goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreflightSpec {
    /// A program and its arguments. The node's / is mounted read-only.
    pub command: Vec<Box<str>>,
    /// The image that it is run in. Absent: that of the operation.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "filled")]
    pub image: Option<Box<str>>,
    /// Seconds after which it has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = super::DEFAULT_PREFLIGHT_DEADLINE_SECONDS))]
    pub active_deadline_seconds: Option<i32>,
}

/// How far the operation is.
// It is all that is known of what has run, so that whatever can be read of it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Pending, Running, Completed or Failed.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub phase: Option<OperationPhase>,
    /// The nodes that have started, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_default")]
    #[schemars(schema_with = "status_schema::node_statuses")]
    pub node_statuses: NodeStatuses,
    /// What objects do not keep of the nodes that are at work, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_default")]
    #[schemars(schema_with = "status_schema::node_records")]
    pub node_records: NodeRecords,
    /// When the status last changed.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    #[schemars(schema_with = "schema::time")]
    pub last_updated: Option<Timestamp>,
    /// When the operation ended, well or not: no node is started after that, whatever is selected then.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    #[schemars(schema_with = "schema::time")]
    pub finished_at: Option<Timestamp>,
    /// How many nodes stand where.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub counts: Option<Counts>,
    /// How many nodes wait for each reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "lenient")]
    pub waiting_reasons: BTreeMap<Box<str>, u32>,
    /// Nodes that wait, and why: those that are at work first, then those that wait for more than their turn.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient")]
    #[schemars(schema_with = "status_schema::waiting_nodes")]
    pub waiting_nodes: Vec<WaitingNode>,
    /// Why it is not done, for programs.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    #[schemars(schema_with = "schema::waiting")]
    pub waiting: schema::Wait,
    /// Conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Conditions,
    /// Generation of the spec that the status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub observed_generation: Option<i64>,
}

impl Row for NodeOpRow {
    type Wire = Own<Spec, Status>;

    fn from_wire(meta: &WireMeta, wire: Self::Wire) -> Self {
        let (spec, status, malformed) = wire.split();
        Self::new(meta, spec, status, malformed)
    }

    fn malformed(meta: &WireMeta, error: &str) -> Self {
        Self::new(meta, Spec::default(), Written::default(), Some(error.into()))
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn references(&self, put: &mut dyn FnMut(&'static str, &str)) {
        if let Some(uid) = &self.owner_uid {
            put(OWNER_INDEX, uid);
        }
    }
}
