//! `MachineImage`: an image with one version of Kubernetes, and the Job that builds it.

use std::borrow::Cow;

use domain::object::{Kind, Meta, Row, WireMeta, null_is_default};
use domain::version::KubernetesVersion;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::machine_image_syncer;
use crate::clusterctl;
use crate::pod_template::{Containers, PodSpec, containers};
use crate::reference::ObjectReference;
use crate::schema::{self, Conditions, Rule};
use crate::selector::Labels;
use crate::wire::{Own, Part, Written, filled, text};

/// The kind.
pub const KIND: Kind = super::kind("MachineImage", "machineimages");
/// Label on a machine image: name of the syncer that made it.
pub const SYNCER_NAME_LABEL: &str = "kubernetes-upgrader.dimitrikoshkin.com/machine-image-syncer-name";
/// Label on a machine image: its version, as found in the source.
pub const KUBERNETES_VERSION_LABEL: &str = "kubernetes-upgrader.dimitrikoshkin.com/kubernetes-version";
/// Annotation on a machine image: name of the template that it was made from.
pub const CLONED_FROM_ANNOTATION: &str = "kubernetes-upgrader.dimitrikoshkin.com/cloned-from";
/// Annotation on a machine image: the source of its version, as `<kind>/<name>`.
pub const SOURCE_ANNOTATION: &str = "kubernetesupgraded.dimitrikoshkin.com/source";
/// Annotation on a machine image: the package that has its version, such as `kubeadm 1.36.2-1.1`.
pub const PACKAGE_ANNOTATION: &str = "kubernetesupgraded.dimitrikoshkin.com/package";
/// Annotation on a machine image: URL of the package index that lists that package.
pub const REPOSITORY_ANNOTATION: &str = "kubernetesupgraded.dimitrikoshkin.com/repository";
/// Annotation on a Job: the how manyth build of its machine image it is, from 1.
pub const ATTEMPT_ANNOTATION: &str = "kubernetesupgraded.dimitrikoshkin.com/attempt";
/// Environment variable of every container of the Job: `spec.version`.
pub const KUBERNETES_VERSION_ENV: &str = "KUBERNETES_VERSION";
/// Index: uid of each syncer that owns the image.
pub const OWNER_INDEX: &str = "owner";
/// Index: `spec.version`.
pub const VERSION_INDEX: &str = "version";
/// `status.phase` while the Job runs.
pub const BUILDING: &str = "Building";
/// `status.phase` once the id is known.
pub const CREATED: &str = "Created";
/// `status.phase` once the Job has failed.
pub const FAILED: &str = "Failed";
/// The reason of `Ready=True`.
pub const DONE: &str = "ImageAvailable";

/// Rules of a machine image's spec beyond those of a template's, which needs no version: one must be given, and cannot be
/// taken away; an object without one that exists already may be written as it is.
pub const SPEC_RULES: &[Rule] = &[Rule {
    rule: "(has(self.version) && self.version != '') || \
           (oldSelf.hasValue() && !(has(oldSelf.value().version) && oldSelf.value().version != ''))",
    message: "version must be set",
    optional_old_self: true,
}];

domain::reasons! {
    /// Why an image is not there.
    pub enum Reason {
        /// spec.version is not a version of Kubernetes
        InvalidVersion: human,
        /// No Job can be made of spec.jobTemplate
        InvalidTemplate: human,
        /// The Job is being made
        CreatingJob: works,
        /// The Job runs
        Building: works,
        /// The Job has failed, and another is made after a while
        WaitingToRetry: waits,
        /// The Job has failed; delete it to build again
        JobFailed: human,
        /// The Job has succeeded without an image id; delete it to build again
        ImageIdMissing: human,
        /// The Job has succeeded, and what it tells of the image id cannot be one; delete it to build again
        ImageIdAmbiguous: human,
        /// The Job has built another version than spec.version, which was changed meanwhile; delete it to build again
        JobOfOtherVersion: human,
        /// Another object has the name of the Job to be made
        JobNameTaken: waits,
        /// The Job of that name is being deleted
        JobDeleting: waits,
        /// The machine image is being deleted
        Deleting: waits,
        /// The API server refuses the Job as invalid: see the message for the field
        JobRejected: human,
    }
}

/// One version of Kubernetes, and how its image is built.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// Version of Kubernetes in the image, for example v1.36.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub version: Option<Box<str>>,
    /// Id of the image; written when the Job has built it. Set by hand for an image that exists already: then no Job is
    /// made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub id: Option<Box<str>>,
    /// What the Job is made from.
    pub job_template: JobTemplate,
    /// How long a build may take, and how often it is tried. Absent: without limit, and once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<Build>,
}

/// How long a build may take, and how often it is tried.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Build {
    /// How long one Job may take, in seconds: its activeDeadlineSeconds. Absent: without limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 31_536_000))]
    pub deadline_seconds: Option<i64>,
    /// How many more Jobs are made, one after another, after one has failed. 0 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100))]
    pub retries: Option<u32>,
}

/// What the Job is made from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobTemplate {
    /// The `PodSpec` of the Job. Raw, so that no field newer than this program is lost.
    #[schemars(schema_with = "schema::pod_spec")]
    pub spec: Value,
}

/// Where the image stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The image exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
    /// Building, Created or Failed; absent before the first Job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Cow<'static, str>>,
    /// The Job of the last build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_ref: Option<ObjectReference>,
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

/// What is kept of a machine image. Its `jobTemplate` is not: it is read live when a Job is made.
#[derive(Clone, Debug, PartialEq)]
pub struct MachineImageRow {
    /// Identity.
    pub meta: Meta,
    /// What is wrong with the spec; its fields are then empty.
    pub malformed: Option<Box<str>>,
    /// Labels, for selectors.
    pub labels: Labels,
    /// Uids of the syncers that own it, of either generation of owner reference.
    pub owner_uids: Vec<Box<str>>,
    /// `spec.version`, empty where absent.
    pub version: Box<str>,
    /// The same as a version, where it is one: it is compared for every Cluster.
    pub parsed: Option<KubernetesVersion>,
    /// `spec.id`; `None` where absent or empty.
    pub id: Option<Box<str>>,
    /// Containers of `spec.jobTemplate.spec`, or what is wrong with it.
    pub containers: Result<Containers, Box<str>>,
    /// `spec.build`.
    pub build: Build,
    /// The annotation [`clusterctl::BLOCK_MOVE_ANNOTATION`] is set.
    pub blocks_move: bool,
    /// What was last written.
    pub status: Written<Status>,
}

/// The fields of the spec that are read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SpecWire {
    #[serde(deserialize_with = "text")]
    version: Box<str>,
    #[serde(deserialize_with = "filled")]
    id: Option<Box<str>>,
    job_template: Part<JobTemplateWire>,
    #[serde(deserialize_with = "null_is_default")]
    build: Build,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct JobTemplateWire {
    spec: Part<PodSpec>,
}

fn counted(job_template: Part<JobTemplateWire>) -> Result<Containers, Box<str>> {
    match job_template.0 {
        Ok(template) => containers(&template.unwrap_or_default().spec, "spec.jobTemplate.spec"),
        Err(error) => Err(format!("spec.jobTemplate: {error}").into()),
    }
}

impl Row for MachineImageRow {
    type Wire = Own<SpecWire, Status>;

    fn from_wire(meta: &WireMeta, wire: Self::Wire) -> Self {
        let (spec, status, malformed) = wire.split();
        let syncers = meta.owner_references.iter().filter(|owner| {
            let group = owner.api_version.split_once('/').map(|(group, _)| group);
            group == Some(super::GROUP) && *owner.kind == *machine_image_syncer::KIND.kind
        });
        Self {
            owner_uids: syncers.map(|owner| owner.uid.clone()).collect(),
            meta: meta.meta(),
            malformed,
            labels: meta.labels.clone(),
            parsed: KubernetesVersion::parse_strict(&spec.version).ok(),
            version: spec.version,
            id: spec.id,
            containers: counted(spec.job_template),
            build: spec.build,
            blocks_move: meta.annotation(clusterctl::BLOCK_MOVE_ANNOTATION).is_some(),
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
        for uid in &self.owner_uids {
            put(OWNER_INDEX, uid);
        }
        if !self.version.is_empty() {
            put(VERSION_INDEX, &self.version);
        }
    }
}
