//! `ClusterClassClusterUpgrader`: moves one Cluster of Cluster API to the result of a plan.

use domain::object::{Kind, Meta, Row, WireMeta, null_is_default};
use domain::verdict::{Reason as _, Trouble};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::reference::ObjectReference;
use crate::schema::{self, Conditions};
use crate::wire::{Own, Written, filled};

/// The kind.
pub const KIND: Kind = super::kind("ClusterClassClusterUpgrader", "clusterclassclusterupgraders");
/// Annotation on an upgrader: what it last set, as the JSON of [`LastSet`], so that another writer of the same Cluster is
/// recognised. It is metadata because status does not survive `clusterctl move`.
pub const LAST_SET_ANNOTATION: &str = "kubernetesupgraded.dimitrikoshkin.com/last-set";
/// Index: name of the Cluster, in the upgrader's namespace.
pub const CLUSTER_INDEX: &str = "cluster";
/// Index: name of the plan, in the upgrader's namespace.
pub const PLAN_INDEX: &str = "plan";
/// Index: name of the plan, of upgraders whose status says that machines of their Cluster move, or may move.
pub const ROLLING_INDEX: &str = "rolling";
/// Index: [`STALLED`], of upgraders whose status says that their Cluster is stalled.
pub const STALLED_INDEX: &str = "stalled";
/// The value of [`STALLED_INDEX`].
pub const STALLED: &str = "";
/// The reason of `UpToDate=True`.
pub const DONE: &str = "UpToDate";

domain::reasons! {
    /// Why a Cluster is not at the version and image of its plan.
    pub enum Reason {
        /// spec.paused is set
        Paused: waits,
        /// Cluster API is not installed in this cluster
        ClusterAPINotInstalled: fails,
        /// Cluster API is too old: it does not tell how far an upgrade is
        ClusterAPIUnsupported: human,
        /// The Cluster does not exist
        ClusterMissing: fails,
        /// The Cluster cannot be read
        ClusterMalformed: human,
        /// The Cluster has no spec.topology: only Clusters of a ClusterClass can be upgraded
        ClusterWithoutTopology: human,
        /// The version of the Cluster does not parse
        ClusterVersionInvalid: human,
        /// The Cluster is paused
        ClusterPaused: waits,
        /// The Cluster is being deleted
        ClusterDeleting: waits,
        /// The Cluster is not provisioned yet
        ClusterNotProvisioned: waits,
        /// spec.planRef points to another namespace
        CrossNamespaceReference: human,
        /// An older upgrader drives the same Cluster
        AnotherUpgrader: waits,
        /// Someone else sets another image for the version that this upgrader has set
        ConflictingOwner: human,
        /// The plan does not exist
        PlanMissing: fails,
        /// The plan has no result yet
        PlanWithoutResult: waits,
        /// The version of the plan does not parse
        PlanVersionInvalid: human,
        /// The machine image of the plan is gone, or is another one by now
        ImageGone: waits,
        /// The Cluster is at a newer version than the plan; downgrades are never asked for
        ClusterAhead: waits,
        /// A minor version lies between the Cluster and the plan, and has no machine image
        NoImageForHop: waits,
        /// Workers are too old for the next version: they may be at most three minors behind the control plane
        WorkerSkew: human,
        /// A Cluster that started on this image is stalled: no other starts on it
        ImageSuspect: waits,
        /// As many Clusters of the plan roll at a time as its spec.maxConcurrent lets
        MaxConcurrentReached: waits,
        /// The ClusterClass of the Cluster does not exist
        ClassMissing: fails,
        /// Cluster API has not reconciled the ClusterClass yet: it would not validate variables
        ClassNotReconciled: waits,
        /// The ClusterClass lists the versions that it allows, and this is none of them
        VersionNotInClass: waits,
        /// Neither the Cluster nor its ClusterClass knows the variable: the version is not moved
        VariableUndefined: human,
        /// The variable is neither a string nor a map of strings
        VariableShapeUnsupported: human,
        /// A group of machines overrides the variable, and would roll with its old image
        ImageOverridden: human,
        /// The write to the Cluster was refused: see the message for the server's words
        Blocked: waits,
        /// Version and image are being set
        SettingVersion: works,
        /// Cluster API rolls the machines
        UpgradeInProgress: works,
        /// Groups of machines are deferred by annotation
        UpgradeDeferred: waits,
        /// Cluster API cannot reconcile the topology: see the message for its words
        TopologyReconcileFailed: fails,
        /// No machine has moved for longer than the deadline
        UpgradeStalled: human,
        /// The upgrade is complete, and is watched for a moment
        Settling: works,
    }
}

/// Which Cluster, by which plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// Name of the Cluster of Cluster API, in the same namespace.
    #[schemars(length(min = 1, max = 253))]
    pub cluster_name: Box<str>,
    /// Name of the topology variable that takes the image id. Absent: only the version is set.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "filled")]
    #[schemars(length(max = 256))]
    pub topology_variable: Option<Box<str>>,
    /// The Plan, in the same namespace; only its name is read.
    #[schemars(schema_with = "schema::named_reference")]
    pub plan_ref: ObjectReference,
    /// Leaves the Cluster alone while true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// Also rolls a new image of the version that the Cluster has. Absent or false: an image is only set together with
    /// another version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout_image_changes: Option<bool>,
    /// Sets the topology variable although a group of machines overrides it: that group rolls with its own image. Absent
    /// or false: it is not set then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_image_overrides: Option<bool>,
}

/// What was last set on the Cluster, and for which result of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastSet {
    /// Uid of the Cluster: a namesake that was made anew has not been set to anything. It only tells those two apart, so
    /// that nothing is lost with `clusterctl move` but what this annotation is for, until it is written again.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub cluster: Box<str>,
    /// The variable that took the image: another one has not been set to anything.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub variable: Box<str>,
    /// The version that was set.
    pub version: Box<str>,
    /// The id of the image that was set with it.
    pub image: Box<str>,
    /// Name of the machine image that it came from.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub machine_image: Box<str>,
    /// The version of the plan's result at that time.
    pub target: Box<str>,
    /// The image id of the plan's result at that time.
    pub target_image: Box<str>,
}

/// What was set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The version last set on the Cluster, for example v1.36.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_set_version: Option<Box<str>>,
    /// Why it is not done, for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::waiting")]
    pub waiting: schema::Wait,
    /// Conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Conditions,
    /// Generation of the spec that the status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// The reasons for which an upgrader waits while machines of its Cluster move.
const MOVING: [Reason; 6] = [
    Reason::SettingVersion,
    Reason::UpgradeInProgress,
    Reason::UpgradeDeferred,
    Reason::TopologyReconcileFailed,
    Reason::UpgradeStalled,
    Reason::Settling,
];

/// The troubles of a manager that a status tells of instead of what the machines do.
const TROUBLES: [Trouble; 5] = [
    Trouble::Forbidden,
    Trouble::WriteRefused,
    Trouble::ForeignWebhook,
    Trouble::ApiUnavailable,
    Trouble::InternalError,
];

/// What is kept of an upgrader.
#[derive(Clone, Debug, PartialEq)]
pub struct UpgraderRow {
    /// Identity.
    pub meta: Meta,
    /// What is wrong with the spec; its fields are then empty.
    pub malformed: Option<Box<str>>,
    /// Name of the Cluster.
    pub cluster_name: Box<str>,
    /// The variable that takes the image id; `None` where absent or empty.
    pub topology_variable: Option<Box<str>>,
    /// The plan; only name and namespace are read.
    pub plan: ObjectReference,
    /// `spec.paused`.
    pub paused: bool,
    /// `spec.rolloutImageChanges`.
    pub rollout_image_changes: bool,
    /// `spec.allowImageOverrides`.
    pub allow_image_overrides: bool,
    /// The annotation [`LAST_SET_ANNOTATION`]; `None` where it is absent or cannot be read.
    pub last_set: Option<LastSet>,
    /// What was last written.
    pub status: Written<Status>,
}

impl Reason {
    /// Whether machines of the Cluster move, or may move, while this is waited for.
    pub fn is_moving(self) -> bool {
        MOVING.contains(&self)
    }
}

impl UpgraderRow {
    /// What it waits for, by its status.
    pub fn waits_for(&self, reason: Reason) -> bool {
        self.status.waiting.as_ref().is_some_and(|waiting| waiting.reason == reason.name())
    }

    /// Whether its status says that machines of its Cluster move, or may move behind a trouble that it tells of.
    pub fn is_rolling(&self) -> bool {
        self.is_troubled() || MOVING.iter().any(|moving| self.waits_for(*moving))
    }

    /// Whether its status tells of a trouble, and so nothing of machines.
    pub fn is_troubled(&self) -> bool {
        TROUBLES.iter().any(|trouble| self.waits_for(Reason::of_trouble(*trouble)))
    }
}

impl Row for UpgraderRow {
    type Wire = Own<Spec, Status>;

    fn from_wire(meta: &WireMeta, wire: Self::Wire) -> Self {
        let (spec, status, malformed) = wire.split();
        Self {
            meta: meta.meta(),
            malformed,
            cluster_name: spec.cluster_name,
            topology_variable: spec.topology_variable,
            plan: spec.plan_ref,
            paused: spec.paused.unwrap_or_default(),
            rollout_image_changes: spec.rollout_image_changes.unwrap_or_default(),
            allow_image_overrides: spec.allow_image_overrides.unwrap_or_default(),
            last_set: meta.annotation(LAST_SET_ANNOTATION).and_then(|text| serde_json::from_str(text).ok()),
            status,
        }
    }

    fn malformed(meta: &WireMeta, error: &str) -> Self {
        let mut row = Self::from_wire(meta, Own::default());
        row.malformed = Some(error.into());
        row
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn references(&self, put: &mut dyn FnMut(&'static str, &str)) {
        if !self.cluster_name.is_empty() {
            put(CLUSTER_INDEX, &self.cluster_name);
        }
        if let Some(name) = &self.plan.name {
            put(PLAN_INDEX, name);
            if self.is_rolling() {
                put(ROLLING_INDEX, name);
            }
        }
        if self.waits_for(Reason::UpgradeStalled) {
            put(STALLED_INDEX, STALLED);
        }
    }
}
