//! `MachineImageSyncer`: makes a `MachineImage` for the versions of a source.

use domain::object::{Kind, Meta, Row, WireMeta, null_is_default};
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::interval::Interval;
use crate::reference::ObjectReference;
use crate::schema::{self, Conditions};
use crate::wire::{Own, Written};

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
        /// spec.versionRange, or an entry of spec.deniedVersions, does not parse
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
        /// Every version of the range is in spec.deniedVersions
        VersionDenied: waits,
        /// A newer version is younger than spec.minimumAge
        VersionTooYoung: waits,
        /// The machine image is being made
        CreatingImage: works,
        /// A machine image that nothing uses any more is being deleted
        DeletingImage: works,
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
    /// Which versions of the range get a machine image. Newest, which holds where it is absent: the newest one.
    /// NewestOfEachMinor: the newest one of each minor, so that Clusters several minors behind can walk them all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_policy: Option<VersionPolicy>,
    /// How long ago the source must have seen a version first: a duration such as 72h, or an integer number of
    /// nanoseconds. Younger versions are passed over. 0 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::period")]
    pub minimum_age: Option<Interval>,
    /// Versions that get no machine image, such as v1.36.1.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 256)))]
    pub denied_versions: Vec<Box<str>>,
    /// Deletes machine images that nothing uses any more. Absent: none is ever deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// Makes and deletes no machine image while true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// Time between two looks at a source that cannot be watched: a duration such as 1h, or an integer number of
    /// nanoseconds. 1h where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::interval")]
    pub interval: Option<Interval>,
}

/// Which versions of a range get a machine image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum VersionPolicy {
    /// The newest one.
    #[default]
    Newest,
    /// The newest one of each minor.
    NewestOfEachMinor,
}

/// Which machine images are deleted. Only the objects are: what they stand for is the provider's, and stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    /// DryRun tells in status.retention which images would go, and why the others stay. Delete deletes them as well.
    pub mode: RetentionMode,
    /// How many images that nothing uses are kept besides, the newest ones, to go back to. 0 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1000))]
    pub keep: Option<u32>,
}

/// What is done about machine images that nothing uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RetentionMode {
    /// They are told, and stay.
    #[default]
    DryRun,
    /// They are deleted.
    Delete,
}

/// Why one machine image stays or goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetentionVerdict {
    /// Name of the machine image.
    #[schemars(length(max = 253))]
    pub machine_image: Box<str>,
    /// Its version.
    #[schemars(length(max = 256))]
    pub version: Box<str>,
    /// Keep or Delete.
    #[schemars(length(max = 16))]
    pub action: Box<str>,
    /// Why.
    #[schemars(length(max = 1024))]
    pub reason: Box<str>,
}

/// Most entries of `status.retention`.
pub const MOST_RETENTION_VERDICTS: usize = 100;

/// What was made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The newest version that has a machine image made by this syncer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_version: Option<Box<str>>,
    /// Why each machine image of this syncer stays or goes, where spec.retention is set; the newest 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    #[schemars(length(max = 100))]
    pub retention: Vec<RetentionVerdict>,
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
    /// `spec.versionPolicy`.
    pub version_policy: VersionPolicy,
    /// `spec.minimumAge`; zero where absent.
    pub minimum_age: SignedDuration,
    /// `spec.deniedVersions` as written.
    pub denied_versions: Vec<Box<str>>,
    /// `spec.retention`.
    pub retention: Option<Retention>,
    /// What was last written.
    pub status: Written<Status>,
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
            version_policy: spec.version_policy.unwrap_or_default(),
            minimum_age: spec.minimum_age.map_or(SignedDuration::ZERO, |age| age.0),
            denied_versions: spec.denied_versions,
            retention: spec.retention,
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
