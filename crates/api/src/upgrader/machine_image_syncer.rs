//! `MachineImageSyncer`: makes a `MachineImage` for the versions of a source.

use domain::object::{Kind, Meta, Row, WireMeta, null_is_default};
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::interval::Interval;
use crate::reference::ObjectReference;
use crate::schema::{self, Conditions};
use crate::wire::Own;

/// The kind.
pub const KIND: Kind = super::kind("MachineImageSyncer", "machineimagesyncers");
/// Index: name of the template, in the syncer's namespace.
pub const TEMPLATE_INDEX: &str = "template";
/// Index: name of the source, in the syncer's namespace, of whatever kind.
pub const SOURCE_INDEX: &str = "source";
/// Time between two looks at the source where `spec.interval` is absent; the original's default.
pub const DEFAULT_INTERVAL: SignedDuration = SignedDuration::from_hours(1);
/// The reason of `UpToDate=True`.
pub const DONE: &str = "ImagesExist";

domain::reasons! {
    /// Why a wanted version has no machine image object.
    pub enum Reason {
        /// spec.paused is set
        Paused: waits,
        /// spec.versionRange does not parse
        InvalidVersionRange: human,
        /// A reference points to another namespace
        CrossNamespaceReference: human,
        /// The source object does not exist
        SourceMissing: fails,
        /// The kind of the source is not installed in this cluster
        SourceKindNotInstalled: fails,
        /// The controller may not read the kind of the source: grant it get, list and watch
        SourceKindForbidden: human,
        /// The reference to the source, or its status.versions, is not what it must be
        SourceInvalid: human,
        /// The source has no version yet
        NoVersionsInSource: waits,
        /// No version of the source is in the range
        NoVersionInRange: waits,
        /// The machine image template does not exist
        TemplateMissing: fails,
        /// No Job can be made of the machine image template
        TemplateInvalid: human,
        /// Another object has the name of the machine image to be made
        ImageNameTaken: waits,
        /// The machine image of that name is being deleted
        ImageDeleting: waits,
        /// The machine image is being made
        CreatingImage: works,
    }
}

/// Which versions, from where, made how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// Range of versions that get a machine image: the newest version of the source in it, for example v1.36.x or
    /// >=1.35.2 <1.37.
    #[schemars(schema_with = "schema::version_range")]
    pub version_range: Box<str>,
    /// The object whose status.versions lists the available versions: a `DebianRepositorySource`, or any kind with that
    /// field, in the same namespace.
    #[schemars(schema_with = "schema::named_reference")]
    pub source_ref: ObjectReference,
    /// The `MachineImageTemplate` to make machine images from, in the same namespace; only its name is read.
    #[schemars(schema_with = "schema::named_reference")]
    pub machine_image_template_ref: ObjectReference,
    /// Makes no machine image while true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// Time between two looks at a source that cannot be watched: a duration such as 1h, or an integer number of
    /// nanoseconds. 1h where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::interval")]
    pub interval: Option<Interval>,
}

/// What was made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The newest version that has a machine image made by this syncer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_version: Option<Box<str>>,
    /// Conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Conditions,
    /// Generation of the spec that the status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// What is kept of a syncer.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncerRow {
    /// Identity.
    pub meta: Meta,
    /// What is wrong with the spec; its fields are then empty.
    pub malformed: Option<Box<str>>,
    /// The range as written.
    pub version_range: Box<str>,
    /// The source.
    pub source: ObjectReference,
    /// The template; only name and namespace are read.
    pub template: ObjectReference,
    /// `spec.paused`.
    pub paused: bool,
    /// `spec.interval` as given.
    pub interval: Option<SignedDuration>,
    /// What was last written.
    pub status: Status,
}

impl Row for SyncerRow {
    type Wire = Own<Spec, Status>;

    fn from_wire(meta: &WireMeta, wire: Self::Wire) -> Self {
        let (spec, status, malformed) = wire.split();
        Self {
            meta: meta.meta(),
            malformed,
            version_range: spec.version_range,
            source: spec.source_ref,
            template: spec.machine_image_template_ref,
            paused: spec.paused.unwrap_or_default(),
            interval: spec.interval.map(|interval| interval.0),
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
        if let Some(name) = &self.template.name {
            put(TEMPLATE_INDEX, name);
        }
        if let Some(name) = &self.source.name {
            put(SOURCE_INDEX, name);
        }
    }
}
