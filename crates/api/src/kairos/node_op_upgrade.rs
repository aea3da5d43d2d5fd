//! `NodeOpUpgrade`: brings the operating system of nodes to an image of Kairos, by a NodeOp of the same name.

use std::borrow::Cow;
use std::collections::BTreeMap;

use domain::object::{Kind, Meta, Row, WireMeta, null_is_default};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::node_status::{Counts, NodeStatuses};
use super::pod_settings::{LocalObjectReference, Resources};
use super::{UpgradePhase, status_schema};
use crate::schema::{self, Conditions};
use crate::selector::LabelSelector;
use crate::wire::{Own, Written, lenient};

/// The kind.
pub const KIND: Kind = super::kind("NodeOpUpgrade", "nodeopupgrades");
/// The reason of `UpToDate=True`.
pub const DONE: &str = "AllNodesUpgraded";

domain::reasons! {
    /// Why an upgrade is not done.
    pub enum Reason {
        /// spec.nodeSelector is not a label selector
        InvalidSelector: human,
        /// The NodeOp of the upgrade is being made
        CreatingNodeOp: works,
        /// The NodeOp of that name is not of this NodeOpUpgrade
        NodeOpNameTaken: human,
        /// The NodeOp of the upgrade is being deleted; another is made after that
        NodeOpDeleting: waits,
        /// The NodeOp of the upgrade is at work, or waits: see its own reason
        NodeOpInProgress: works,
        /// The NodeOp of the upgrade has failed, or cannot go on: see its own reason
        NodeOpFailed: human,
        /// The upgrade has ended, and spec.image is another one since: nothing is upgraded to it
        ImageNotApplied: human,
        /// The NodeOpUpgrade is being deleted
        Deleting: waits,
    }
}

/// Which nodes, and to which image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// Labels of the nodes that are upgraded; absent or empty means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_selector: Option<LabelSelector>,
    /// Image of Kairos: what the nodes are upgraded to, and what does it.
    pub image: Box<str>,
    /// Secrets that the image is pulled with.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// How many nodes may be at work at a time, reboot included. 0 means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0), extend("x-default" = 0))]
    pub concurrency: Option<i32>,
    /// Starts no other node once the upgrade of one has failed. False where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_on_failure: Option<bool>,
    /// Upgrades the active partition, and reboots. True where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade_active: Option<bool>,
    /// Upgrades the recovery partition. False where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade_recovery: Option<bool>,
    /// Upgrades nodes that are at the version of the image already. False where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force: Option<bool>,
    /// Has the agent tell more. False where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debug: Option<bool>,
    /// Uncordons a node whose upgrade has failed, too. False where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncordon_on_failure: Option<bool>,
    /// Paths that are not taken over from the image, beside /etc/hostname and /etc/hosts. Needs kairos-agent 3.6.0.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub exclude_paths: Vec<Box<str>>,
    /// Resources of the upgrade's container. Absent: none are asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Resources of the preflight's container. Absent: the manager's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preflight_resources: Option<Resources>,
    /// Resources of the reboot pod's container, and of that which tells the boot ID after the command. Absent: the manager's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reboot_resources: Option<Resources>,
}

/// How far the upgrade is, as its NodeOp says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Initializing, then the phase of the NodeOp.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub phase: Option<UpgradePhase>,
    /// Name of the NodeOp.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub node_op_name: Option<Box<str>>,
    /// The nodes that have started, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_default")]
    #[schemars(schema_with = "status_schema::node_statuses")]
    pub node_statuses: NodeStatuses,
    /// How the upgrade goes.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub message: Option<Cow<'static, str>>,
    /// When the status last changed.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    #[schemars(schema_with = "schema::time")]
    pub last_updated: Option<Timestamp>,
    /// How many nodes stand where.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub counts: Option<Counts>,
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

/// What is kept of a NodeOpUpgrade. What its NodeOp gets as it is stays as it is, absent or not.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the spec")]
pub struct NodeOpUpgradeRow {
    /// Identity.
    pub meta: Meta,
    /// What is wrong with the spec; where it does not parse, its fields are empty.
    pub malformed: Option<Box<str>>,
    /// `spec.nodeSelector`, or what is wrong with it.
    pub selector: Result<Option<LabelSelector>, Box<str>>,
    /// `spec.image`; empty only where `malformed` says so.
    pub image: Box<str>,
    /// `spec.imagePullSecrets`.
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// `spec.concurrency`.
    pub concurrency: Option<i32>,
    /// `spec.stopOnFailure`.
    pub stop_on_failure: Option<bool>,
    /// `spec.uncordonOnFailure`.
    pub uncordon_on_failure: Option<bool>,
    /// `spec.upgradeActive`; true where absent.
    pub upgrade_active: bool,
    /// `spec.upgradeRecovery`.
    pub upgrade_recovery: bool,
    /// `spec.force`.
    pub force: bool,
    /// `spec.debug`.
    pub debug: bool,
    /// `spec.excludePaths`.
    pub exclude_paths: Vec<Box<str>>,
    /// `spec.resources`.
    pub resources: Option<Resources>,
    /// `spec.preflightResources`.
    pub preflight_resources: Option<Resources>,
    /// `spec.rebootResources`.
    pub reboot_resources: Option<Resources>,
    /// What was last written, by whomever.
    pub status: Written<Status>,
}

impl NodeOpUpgradeRow {
    fn new(meta: &WireMeta, spec: Spec, status: Written<Status>, malformed: Option<Box<str>>) -> Self {
        let problem = || {
            if spec.image.is_empty() {
                Some("spec.image is empty")
            } else if spec.concurrency.is_some_and(i32::is_negative) {
                Some("spec.concurrency is negative: 0 means all nodes at a time")
            } else {
                None
            }
        };
        Self {
            meta: meta.meta(),
            malformed: malformed.or_else(|| problem().map(Box::from)),
            selector: spec.node_selector.map(|of| of.checked("spec.nodeSelector")).transpose(),
            image: spec.image,
            image_pull_secrets: spec.image_pull_secrets,
            concurrency: spec.concurrency,
            stop_on_failure: spec.stop_on_failure,
            uncordon_on_failure: spec.uncordon_on_failure,
            upgrade_active: spec.upgrade_active.unwrap_or(true),
            upgrade_recovery: spec.upgrade_recovery.unwrap_or_default(),
            force: spec.force.unwrap_or_default(),
            debug: spec.debug.unwrap_or_default(),
            exclude_paths: spec.exclude_paths,
            resources: spec.resources,
            preflight_resources: spec.preflight_resources,
            reboot_resources: spec.reboot_resources,
            status,
        }
    }
}

impl Row for NodeOpUpgradeRow {
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
}
