//! What a status says of nodes: the original's map of those that have started, and beside it those that wait.

use std::borrow::Cow;
use std::collections::BTreeMap;

use domain::verdict::Waiting;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::message::NodeMessage;
use super::{NodeOutcome, NodePhase, NodeReach, RebootStatus};
use crate::schema;
use crate::wire::lenient;

/// Most entries of `status.waitingNodes`.
pub const MOST_WAITING_NODES: usize = 100;

/// The nodes that have started, by name. A node has an entry from its preflight or its Job on, and never before: the
/// original takes an entry without a Job for one whose Job is gone.
pub type NodeStatuses = BTreeMap<Box<str>, NodeStatus>;

/// Where one node stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// Preflight, Pending, Running, Completed or Failed.
    pub phase: NodePhase,
    /// Name of the Job; absent during the preflight, and for nodes that it skipped.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub job_name: Option<Box<str>>,
    /// What happens, or has happened.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub message: Option<Box<str>>,
    /// not-requested, pending, completed or cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub reboot_status: Option<RebootStatus>,
    /// When this entry last changed.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    #[schemars(schema_with = "schema::time")]
    pub last_updated: Option<Timestamp>,
    /// Boot ID of the node before its reboot: another one proves it.
    #[serde(
        default,
        rename = "preRebootBootID",
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient"
    )]
    pub pre_reboot_boot_id: Option<Box<str>>,
    /// Why the node is not done, or has failed: a reason of the conditions.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    #[schemars(length(max = 1024))]
    pub reason: Option<Cow<'static, str>>,
}

impl NodeStatus {
    /// An entry that says no more than its phase.
    pub fn new(phase: NodePhase) -> Self {
        Self {
            phase,
            job_name: None,
            message: None,
            reboot_status: None,
            last_updated: None,
            pre_reboot_boot_id: None,
            reason: None,
        }
    }

    /// The Job; none where the name is empty, as it is in entries of the original.
    pub fn job(&self) -> Option<&str> {
        self.job_name.as_deref().filter(|name| !name.is_empty())
    }

    /// The message, recognised.
    pub fn said(&self) -> NodeMessage<'_> {
        NodeMessage::read(self.message.as_deref().unwrap_or_default())
    }
}

/// What objects do not keep of nodes that have a place in the operation, by name: `status.nodeRecords`. A record comes before
/// the node's entry in [`NodeStatuses`], and goes once the operation has ended on the node and nothing of it is left there.
pub type NodeRecords = BTreeMap<Box<str>, NodeRecord>;

/// What objects do not keep of one node. Each mark is set once, after what it tells of is true; a clock before what it limits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeRecord {
    /// Uid of the Node: another one of its name has no part in the operation.
    #[serde(
        default,
        rename = "nodeUID",
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient"
    )]
    pub node_uid: Option<Box<str>>,
    /// The preflight has found something to do.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub preflight_passed: Option<bool>,
    /// When the drain began.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    #[schemars(schema_with = "schema::time")]
    pub drain_started_at: Option<Timestamp>,
    /// The Job was seen: it is not made again.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub command_started: Option<bool>,
    /// The Job has succeeded; what the boot ID was then is in status.nodeStatuses.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub command_succeeded: Option<bool>,
    /// Boot ID of the node when it was taken over from another controller, whose reboot pod reboots it by itself.
    #[serde(
        default,
        rename = "adoptedBootID",
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient"
    )]
    pub adopted_boot_id: Option<Box<str>>,
    /// When the node was asked to reboot.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    #[schemars(schema_with = "schema::time")]
    pub reboot_asked_at: Option<Timestamp>,
    /// When the node was back and ready.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    #[schemars(schema_with = "schema::time")]
    pub ready_at: Option<Timestamp>,
    /// Completed, Skipped, Removed, Stopped or Failed; absent before the end.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub outcome: Option<NodeOutcome>,
    /// Untouched, Worked or Rebooted: how far a node was changed on which the operation has failed.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub reach: Option<NodeReach>,
    /// Why it failed: a reason of the conditions.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    #[schemars(length(max = 1024))]
    pub reason: Option<Cow<'static, str>>,
    /// What is known of the end beside its reason.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    #[schemars(length(max = 4096))]
    pub detail: Option<Box<str>>,
}

/// How many nodes stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Counts {
    /// Nodes that are part of the operation: those that spec.nodeSelector selects, and those that have started.
    pub nodes: u32,
    /// Nodes that have not started.
    pub not_started: u32,
    /// Nodes that are at work, those that reboot among them. spec.concurrency limits them.
    pub in_flight: u32,
    /// Nodes that are done, those that their preflight skipped among them.
    pub completed: u32,
    /// Nodes that their preflight skipped.
    pub skipped: u32,
    /// Nodes that have failed.
    pub failed: u32,
}

/// A node that waits, and why: `status.waitingNodes`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitingNode {
    /// Name of the node.
    pub name: Box<str>,
    /// For people, on one line.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub message: Box<str>,
    /// The same for programs.
    #[serde(flatten)]
    pub waiting: Waiting,
}
