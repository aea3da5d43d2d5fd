//! The machine image that is made from a template.

use std::collections::BTreeMap;

use api::selector::Labels;
use api::upgrader::machine_image::{
    self, CLONED_FROM_ANNOTATION, KUBERNETES_VERSION_LABEL, SYNCER_NAME_LABEL,
};
use api::upgrader::machine_image_syncer::{KIND, SyncerRow};
use api::upgrader::machine_image_template::TemplateRow;
use domain::name;
use domain::object::{Meta, Row as _, WireMeta};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A template as it was read a moment ago, with the `PodSpec` as it is, so that no field newer than this program is lost.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveTemplate {
    /// Identity.
    pub meta: Meta,
    labels: Labels,
    annotations: BTreeMap<Box<str>, Box<str>>,
    job_template: Value,
}

impl LiveTemplate {
    /// From the object; an error says why no Job can be made of it.
    pub fn of(mut object: Value) -> Result<Self, Box<str>> {
        let meta: WireMeta = part(object["metadata"].take(), "metadata")?;
        // The same reading as the watch's, so that both say the same of a template.
        TemplateRow::from_wire(&meta, part(object.clone(), "the template")?).containers?;
        let mut template = object["spec"]["template"].take();
        let mut metadata = template["metadata"].take();
        Ok(Self {
            meta: meta.meta(),
            labels: part(metadata["labels"].take(), "spec.template.metadata.labels")?,
            annotations: part(metadata["annotations"].take(), "spec.template.metadata.annotations")?,
            job_template: template["spec"]["jobTemplate"].take(),
        })
    }
}

/// The name of the machine image of a version.
pub(super) fn image_name(syncer: &Meta, version: &str) -> String {
    name::unique(&format!("{}-{version}", syncer.key.name), &[&syncer.uid, version])
}

/// The machine image of a version. What identifies it is put over the template's labels and annotations, and the
/// template's id and version are not taken.
pub(super) fn machine_image(syncer: &SyncerRow, version: &str, template: &LiveTemplate) -> Value {
    let meta = &syncer.meta;
    let mut labels = template.labels.clone();
    labels.insert(SYNCER_NAME_LABEL.into(), name::label_value(&meta.key.name).into());
    labels.insert(KUBERNETES_VERSION_LABEL.into(), name::label_value(version).into());
    let mut annotations = template.annotations.clone();
    annotations.insert(CLONED_FROM_ANNOTATION.into(), template.meta.key.name.clone());
    json!({
        "apiVersion": machine_image::KIND.api_version(),
        "kind": machine_image::KIND.kind,
        "metadata": {
            "name": image_name(meta, version),
            "namespace": meta.key.namespace,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [{
                "apiVersion": KIND.api_version(),
                "kind": KIND.kind,
                "name": meta.key.name,
                "uid": meta.uid,
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        },
        "spec": {"version": version, "jobTemplate": template.job_template},
    })
}

/// A part of an object; absent and `null` are empty.
fn part<T: DeserializeOwned + Default>(value: Value, at: &str) -> Result<T, Box<str>> {
    let read: Result<Option<T>, _> = serde_json::from_value(value);
    read.map(Option::unwrap_or_default).map_err(|error| format!("{at}: {error}").into())
}
