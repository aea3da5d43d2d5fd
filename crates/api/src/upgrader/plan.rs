//! `Plan`: which machine image is to be rolled out.

use std::borrow::Cow;

use domain::object::{Kind, Meta, Row, WireMeta, null_is_default};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::reference::ObjectReference;
use crate::schema::{self, Conditions};
use crate::selector::LabelSelector;
use crate::wire::{Own, Written, text};

/// The kind.
pub const KIND: Kind = super::kind("Plan", "plans");
/// `status.phase` where no image is suitable.
pub const NO_SUITABLE_MACHINE_IMAGE: &str = "NoSuitableMachineImage";
/// `status.phase` where an image was found.
pub const FOUND_MACHINE_IMAGE: &str = "FoundMachineImage";
/// The reason of `UpToDate=True`.
pub const DONE: &str = FOUND_MACHINE_IMAGE;

domain::reasons! {
    /// Why a plan has no result.
    pub enum Reason {
        /// spec.versionRange does not parse
        InvalidVersionRange: human,
        /// spec.machineImageSelector is not a label selector
        InvalidSelector: human,
        /// No machine image with an id is selected and in the range
        NoSuitableMachineImage: waits,
    }
}

/// Which machine images count.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// Range of versions, for example v1.36.x or >=1.35.2 <1.37. The newest version in it that has an image is rolled
    /// out.
    #[schemars(schema_with = "schema::version_range")]
    pub version_range: Box<str>,
    /// Labels of the machine images that count; absent or empty means all in the namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_image_selector: Option<LabelSelector>,
    /// How many Clusters may roll at a time, of those that follow this plan. Absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_concurrent: Option<u32>,
    /// Without effect. Plans of v0.4.0 and the original's example have it, and kubectl refuses a field that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<Box<str>>,
}

/// The image to be rolled out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Version and id of the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_image_details: Option<MachineImageDetails>,
    /// The machine image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_image_ref: Option<ObjectReference>,
    /// The minors on the way to the result, the lowest first: from the lowest in the range that has an image, each with
    /// its newest image.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    #[schemars(length(max = 100))]
    pub path: Vec<PathEntry>,
    /// `NoSuitableMachineImage` or `FoundMachineImage`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Cow<'static, str>>,
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

/// Version and id of an image: what an upgrader reads of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MachineImageDetails {
    /// Version of Kubernetes, as the machine image has it.
    #[serde(default, skip_serializing_if = "str::is_empty", deserialize_with = "text")]
    pub version: Box<str>,
    /// Id of the image.
    pub id: Box<str>,
}

/// One minor of `status.path`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PathEntry {
    /// The minor, for example v1.36.
    #[schemars(length(max = 64))]
    pub minor: Box<str>,
    /// The newest version of it that has an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub version: Option<Box<str>>,
    /// Name of the machine image of that version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub machine_image: Option<Box<str>>,
    /// True where no image of the minor is selected and in the range: no Cluster gets past it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<bool>,
}

/// What is kept of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanRow {
    /// Identity.
    pub meta: Meta,
    /// What is wrong with the spec; its fields are then empty.
    pub malformed: Option<Box<str>>,
    /// The range as written.
    pub version_range: Box<str>,
    /// The selector; one that is absent selects everything.
    pub selector: LabelSelector,
    /// `spec.maxConcurrent`.
    pub max_concurrent: Option<u32>,
    /// What was last written.
    pub status: Written<Status>,
}

impl Row for PlanRow {
    type Wire = Own<Spec, Status>;

    fn from_wire(meta: &WireMeta, wire: Self::Wire) -> Self {
        let (spec, status, malformed) = wire.split();
        Self {
            meta: meta.meta(),
            malformed,
            version_range: spec.version_range,
            selector: spec.machine_image_selector.unwrap_or_default(),
            max_concurrent: spec.max_concurrent,
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
}
