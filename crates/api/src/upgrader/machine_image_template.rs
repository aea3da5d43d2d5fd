//! `MachineImageTemplate`: what new machine images are made from. It has no controller and no conditions; the syncer
//! reports a bad template.

use std::collections::BTreeMap;

use domain::object::{Kind, Meta, Row, WireMeta, null_is_default};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::machine_image;
use crate::pod_template::{Containers, PodSpec, containers};
use crate::wire::{Own, Part};

/// The kind.
pub const KIND: Kind = super::kind("MachineImageTemplate", "machineimagetemplates");

/// What new machine images are made from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// The template.
    pub template: Template,
}

/// Metadata and spec of the machine images to be made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Template {
    /// Labels and annotations of the machine images. Those by which the syncer knows its images cannot be overridden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TemplateMeta>,
    /// Spec of the machine images; only its jobTemplate and build are used.
    pub spec: machine_image::Spec,
}

/// Labels and annotations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateMeta {
    /// Annotations to set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_default")]
    pub annotations: BTreeMap<Box<str>, Box<str>>,
    /// Labels to set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_default")]
    pub labels: BTreeMap<Box<str>, Box<str>>,
}

/// Empty: the kind has no controller.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {}

/// What is kept of a template: whether a Job can be made of it. The template is read live when an image is made.
#[derive(Clone, Debug, PartialEq)]
pub struct TemplateRow {
    /// Identity.
    pub meta: Meta,
    /// Containers of its `PodSpec`, or what is wrong with the template.
    pub containers: Result<Containers, Box<str>>,
}

/// The fields of the spec that are read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SpecWire {
    #[serde(deserialize_with = "null_is_default")]
    template: TemplateWire,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct TemplateWire {
    /// Checked, not kept.
    #[serde(rename = "metadata")]
    _metadata: Option<TemplateMeta>,
    #[serde(deserialize_with = "null_is_default")]
    spec: ImageWire,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ImageWire {
    #[serde(deserialize_with = "null_is_default")]
    job_template: JobTemplateWire,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct JobTemplateWire {
    spec: Part<PodSpec>,
}

impl Row for TemplateRow {
    type Wire = Own<SpecWire, Status>;

    fn from_wire(meta: &WireMeta, wire: Self::Wire) -> Self {
        let (spec, _, malformed) = wire.split();
        let counted =
            || containers(&spec.template.spec.job_template.spec, "spec.template.spec.jobTemplate.spec");
        Self { meta: meta.meta(), containers: malformed.map_or_else(counted, Err) }
    }

    fn malformed(meta: &WireMeta, error: &str) -> Self {
        Self { meta: meta.meta(), containers: Err(error.into()) }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }
}
