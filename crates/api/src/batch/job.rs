//! `batch/v1` Job: what builds a machine image.

use domain::object::{Kind, Meta, Row, WireMeta, null_is_default};
use jiff::Timestamp;
use serde::Deserialize;

use crate::pod_template::PodSpec;
use crate::upgrader::machine_image::{ATTEMPT_ANNOTATION, KUBERNETES_VERSION_ENV};

/// The kind.
pub const KIND: Kind = Kind { group: "batch", versions: &["v1"], kind: "Job", plural: "jobs" };
/// Label on a Job of v0.5.0 and before; empty value. Still set, for those who select by it.
pub const OWNED_LABEL: &str = "image-builder.kubernetesupgraded.dimitrikoshkin.com/owned";
/// Label on a Job since v0.6.0: name of the machine image that it builds.
pub const MACHINE_IMAGE_NAME_LABEL: &str = "kubernetesupgraded.dimitrikoshkin.com/machine-image-name";
/// Annotation on a Job, set by what runs in it: the image id. The original's README calls it a label, so that is read too.
pub const IMAGE_ID: &str = "kubernetesupgraded.dimitrikoshkin.com/image-id";
/// Index: uid of the controller that owns the Job.
pub const OWNER_INDEX: &str = "owner";

/// A Job as read.
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
    template: TemplateWire,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct TemplateWire {
    #[serde(deserialize_with = "null_is_default")]
    spec: PodSpec,
}

/// The status of a Job as read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct StatusWire {
    pub(crate) active: Option<u32>,
    pub(crate) succeeded: Option<u32>,
    pub(crate) failed: Option<u32>,
    #[serde(deserialize_with = "null_is_default")]
    conditions: Vec<ConditionWire>,
}

impl StatusWire {
    /// How the Job ended, where the condition of this type holds.
    pub(crate) fn ended(&self, type_: &str) -> Option<Ended> {
        let holds = |condition: &&ConditionWire| *condition.type_ == *type_ && *condition.status == *"True";
        self.conditions.iter().find(holds).map(|condition| Ended {
            reason: condition.reason.clone().unwrap_or_default(),
            message: condition.message.clone().unwrap_or_default(),
            at: condition.last_transition_time,
        })
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ConditionWire {
    #[serde(rename = "type")]
    type_: Box<str>,
    status: Box<str>,
    reason: Option<Box<str>>,
    message: Option<Box<str>>,
    last_transition_time: Option<Timestamp>,
}

/// How a Job ended, from its condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// CamelCase reason, may be empty.
    pub reason: Box<str>,
    /// For people, may be empty.
    pub message: Box<str>,
    /// When; foreign Job controllers may not tell.
    pub at: Option<Timestamp>,
}

/// Reason of the Failed condition of a Job that took longer than its `activeDeadlineSeconds`.
pub const DEADLINE_EXCEEDED: &str = "DeadlineExceeded";

/// What is kept of a Job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobRow {
    /// Identity.
    pub meta: Meta,
    /// Why the Job could not be read; the fields below are then empty.
    pub malformed: Option<Box<str>>,
    /// Uid of the owner that manages it.
    pub owner_uid: Option<Box<str>>,
    /// The label [`MACHINE_IMAGE_NAME_LABEL`].
    pub machine_image_name: Option<Box<str>>,
    /// [`IMAGE_ID`] as annotation, as written.
    pub image_id_annotation: Option<Box<str>>,
    /// [`IMAGE_ID`] as label, as written.
    pub image_id_label: Option<Box<str>>,
    /// Its Complete condition is true.
    pub complete: Option<Ended>,
    /// Its Failed condition is true.
    pub failed: Option<Ended>,
    /// Pods that run or wait to.
    pub active: u32,
    /// Pods that succeeded.
    pub succeeded: u32,
    /// Pods that failed.
    pub failed_pods: u32,
    /// Containers of its pods, init containers not counted.
    pub containers: usize,
    /// The version that it builds: what its first container is told.
    pub kubernetes_version: Option<Box<str>>,
    /// The annotation [`ATTEMPT_ANNOTATION`]; `None` where it is absent or no number from 1 on.
    pub attempt: Option<u32>,
}

impl Row for JobRow {
    type Wire = Wire;

    fn from_wire(meta: &WireMeta, wire: Wire) -> Self {
        let Wire { spec, status } = wire;
        Self {
            complete: status.ended("Complete"),
            failed: status.ended("Failed"),
            active: status.active.unwrap_or_default(),
            succeeded: status.succeeded.unwrap_or_default(),
            failed_pods: status.failed.unwrap_or_default(),
            containers: spec.template.spec.count().main,
            kubernetes_version: spec.template.spec.variable(KUBERNETES_VERSION_ENV).map(Box::from),
            ..Self::of_meta(meta)
        }
    }

    fn malformed(meta: &WireMeta, error: &str) -> Self {
        Self { malformed: Some(error.into()), ..Self::of_meta(meta) }
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

impl JobRow {
    fn of_meta(meta: &WireMeta) -> Self {
        Self {
            meta: meta.meta(),
            owner_uid: meta.controller().map(|owner| owner.uid.clone()),
            machine_image_name: meta.label(MACHINE_IMAGE_NAME_LABEL).map(Box::from),
            image_id_annotation: meta.annotation(IMAGE_ID).map(Box::from),
            image_id_label: meta.label(IMAGE_ID).map(Box::from),
            attempt: meta
                .annotation(ATTEMPT_ANNOTATION)
                .and_then(|text| text.parse().ok())
                .filter(|attempt| *attempt > 0),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests;
